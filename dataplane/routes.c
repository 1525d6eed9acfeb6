/* SPDX-License-Identifier: BSD-3-Clause */
#include "routes.h"
#include "alive.h"
#include "route_check.h"
#include "service_index.h"
#include "slots.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct retired {
	void *memory;
	uint64_t is_classify; /* malloc'd, the others are rte_malloc'd */
};

static void retired_free(void *context, void *entries, unsigned n)
{
	(void)context;
	for (struct retired *r = entries; n--; r++) {
		if (r->is_classify)
			free(r->memory);
		else
			rte_free(r->memory);
	}
}

static void retire(struct routes *routes, void *memory, bool is_classify)
{
	struct retired entry = {memory, is_classify};

	if (!memory || rte_rcu_qsbr_dq_enqueue(routes->retired, &entry) == 0)
		return;
	rte_rcu_qsbr_synchronize(routes->rcu, RTE_QSBR_THRID_INVALID);
	retired_free(NULL, &entry, 1);
}

void routes_retire(struct routes *routes, void *memory)
{
	retire(routes, memory, false);
}

void routes_reclaim(struct routes *routes)
{
	rte_rcu_qsbr_dq_reclaim(routes->retired, 64, NULL, NULL, NULL);
}

static void member_set(struct routes *routes, unsigned slot, struct member member)
{
	struct member old = routes->member[slot];
	uint64_t word;

	/* Most updates change weights alone: workers keep the line that they have. */
	if (memcmp(&old, &member, sizeof(old)) == 0)
		return;
	memcpy(&word, &member, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)&routes->member[slot], word, __ATOMIC_RELEASE);
}

/* --- services --- */

static bool classify_rebuild(struct routes *routes)
{
	struct classify *table = service_index_build(routes->service), *old = routes->classify;

	if (!table)
		return false;
	__atomic_store_n(&routes->classify, table, __ATOMIC_RELEASE);
	retire(routes, old, true);
	return true;
}

static bool same_key(const struct service *a, const struct service *b)
{
	return a->ipv4.s_addr == b->ipv4.s_addr && IN6_ARE_ADDR_EQUAL(&a->ipv6, &b->ipv6) &&
	       a->port == b->port && a->protocol == b->protocol;
}

/* Candidates of `old` that `new` has no more: their pins count as misses from now on. */
static void members_leave(struct routes *routes, const struct service *old,
			  const struct service *new)
{
	for (unsigned i = 0; i < old->choose.candidates; i++) {
		uint16_t slot = old->choose.member[i];
		bool stays = false;
		for (unsigned j = 0; new &&j < new->choose.candidates && !stays; j++)
			stays = new->choose.member[j] == slot;
		if (!stays)
			member_set(routes, slot, (struct member){.service = ROUTES_NO_SERVICE});
	}
}

static struct service *service_alloc(const struct routes *routes)
{
	size_t bytes = sizeof(struct service) + routes->workers * sizeof(struct choice);
	struct service *service = rte_zmalloc("service", bytes, 64);

	if (service)
		service->choice = (struct choice *)(service + 1);
	return service;
}

static struct service *service_from(const struct routes *routes,
				    const struct sl_msg_service *message, uint16_t slot)
{
	struct service *service = service_alloc(routes);

	if (service) {
		service->slot = slot;
		service->idle_s = message->idle_s;
		service->draws = message->draws;
		service->affinity = message->affinity;
		service->ipv4 = message->ipv4;
		service->ipv6 = message->ipv6;
		service->port = rte_cpu_to_be_16(message->port);
		service->protocol = message->protocol;
		service->named = true;
	}
	return service;
}

static void release_ways(struct routes *routes, const struct service *service)
{
	for (unsigned i = 0; i < service->choose.candidates; i++)
		for (unsigned w = 0; w < ROUTES_WAYS; w++)
			for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
				routes_way_release(routes, service->candidate[i].way[w][f]);
}

/* Finds slots for a candidate; what it has taken is in *out also if it fails. */
static bool candidate_prepare(struct routes *routes, const struct sl_candidate *from,
			      struct candidate *out)
{
	const struct sl_via *via[ROUTES_WAYS] = {from->via, from->second};

	*out = (struct candidate){.weight = from->weight,
				  .standby = from->standby,
				  .wait_s = from->wait_s,
				  .step_s = from->step_s};
	for (unsigned w = 0; w < ROUTES_WAYS; w++)
		for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
			int target = routes_way(routes, &via[w][f], f == SL_INNER_IPV4 ? 4 : 6);

			if (target < 0)
				return false;
			out->way[w][f] = (uint16_t)target;
		}
	return true;
}

/* Slots for all candidates; nothing that workers see has changed yet. */
static bool candidates_prepare(struct routes *routes, const struct sl_msg_service *message,
			       struct service *service)
{
	for (unsigned i = 0; i < message->candidates; i++) {
		const struct sl_candidate *candidate = &message->candidate[i];
		int slot = slots_member(&routes->slots, message->service, candidate->site);
		bool done = candidate_prepare(routes, candidate, &service->candidate[i]);

		choose_add(&service->choose, candidate->site, candidate->weight,
			   slot < 0 ? 0 : (uint16_t)slot);
		if (!done || slot < 0)
			return false;
	}
	return true;
}

/* The ways that serve now become what workers see of members and of the choice. */
static void serve(struct routes *routes, struct service *service)
{
	float wait_s[SL_CANDIDATES_MAX], step_s[SL_CANDIDATES_MAX];

	alive_decide(routes, service);
	for (unsigned i = 0; i < service->choose.candidates; i++) {
		const struct candidate *candidate = &service->candidate[i];
		struct member member = {.service = ROUTES_NO_SERVICE};

		if (candidate->serves != ALIVE_NONE) {
			member.service = service->slot;
			member.takes_new = candidate->share > 0;
			memcpy(member.target, candidate->way[candidate->serves],
			       sizeof(member.target));
		}
		choose_weigh(&service->choose, i, candidate->share);
		member_set(routes, service->choose.member[i], member);
		wait_s[i] = candidate->wait_s;
		step_s[i] = candidate->step_s;
	}
	prefer_init(&service->prefer, &service->choose, wait_s, step_s, service->draws);
	for (unsigned w = 0; w < routes->workers; w++)
		prefer_begin(&service->choice[w], &service->prefer, &service->choose,
			     routes->counters->worker[w].member);
}

void routes_alive_changed(struct routes *routes)
{
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
		struct service *old = routes->service[i], *new;

		if (!old || !alive_differs(routes, old))
			continue;
		new = service_alloc(routes);
		if (!new)
			continue; /* the next change, or control's next message, does it */
		struct choice *choice = new->choice;
		memcpy(new, old, sizeof(*new));
		new->choice = choice;
		serve(routes, new);
		__atomic_store_n(&routes->service[i], new, __ATOMIC_RELEASE);
		retire(routes, old, false);
	}
}

static void service_remove(struct routes *routes, unsigned slot)
{
	struct service *old = routes->service[slot];

	routes->service[slot] = NULL;
	classify_rebuild(routes);
	members_leave(routes, old, NULL);
	release_ways(routes, old);
	retire(routes, old, false);
}

/* Who holds the service's addresses gives them up if this update has not named it yet. */
static bool make_room(struct routes *routes, const struct service *service)
{
	int slot;

	while ((slot = service_index_holder(routes->classify, service)) >= 0) {
		if (routes->service[slot]->named)
			return false;
		service_remove(routes, slot);
	}
	return true;
}

enum sl_ack_status routes_service(struct routes *routes, const struct sl_msg_service *message,
				  size_t bytes, char field[SL_NAME_MAX])
{
	struct service *service, *old;
	enum sl_ack_status status = route_check_service(message, bytes, field);
	int slot;

	if (status != SL_ACK_DONE)
		return status;
	slot = slots_service(&routes->slots, message->service);
	service = slot < 0 ? NULL : service_from(routes, message, slot);
	if (!service)
		return SL_ACK_FULL;
	if (!make_room(routes, service)) {
		rte_free(service);
		return SL_ACK_CONFLICT;
	}
	if (!candidates_prepare(routes, message, service)) {
		release_ways(routes, service);
		rte_free(service);
		return SL_ACK_FULL;
	}
	routes->targets_changed(routes->context);

	serve(routes, service);
	old = routes->service[slot];
	__atomic_store_n(&routes->service[slot], service, __ATOMIC_RELEASE);
	if (old) {
		members_leave(routes, old, service);
		release_ways(routes, old);
	}
	if (!old || !same_key(old, service)) {
		classify_rebuild(routes);
		routes->services_changed(routes->context);
	}
	retire(routes, old, false);
	return SL_ACK_DONE;
}

enum sl_ack_status routes_withdraw(struct routes *routes, const struct sl_msg_withdraw *message,
				   size_t bytes, char field[SL_NAME_MAX])
{
	enum sl_ack_status status = route_check_withdraw(message, bytes, field);
	int slot;

	if (status != SL_ACK_DONE)
		return status;
	slot = slots_known_service(&routes->slots, message->service);
	if (slot < 0 || !routes->service[slot])
		return SL_ACK_DONE;
	service_remove(routes, slot);
	routes->services_changed(routes->context);
	return SL_ACK_DONE;
}

static bool same_sids(const struct routes *routes, const struct sl_msg_node *message)
{
	const struct decap_sids *sids = routes->sids;

	return sids->sids == message->sids &&
	       memcmp(routes->sid, message->sid, sizeof(routes->sid)) == 0 &&
	       sids->vnis == message->vnis &&
	       memcmp(sids->vni, message->vni, sizeof(sids->vni)) == 0 &&
	       (sids->vnis == 0 ||
		memcmp(sids->address4, &message->address4, sizeof(sids->address4)) == 0);
}

static bool sids_replace(struct routes *routes, const struct sl_msg_node *message)
{
	struct decap_sids *sids = rte_zmalloc("sids", sizeof(*sids), 64), *old = routes->sids;

	if (!sids)
		return false;
	for (unsigned i = 0; i < message->sids; i++)
		decap_add(sids, &message->sid[i].prefix, message->sid[i].bits);
	for (unsigned i = 0; i < message->vnis; i++)
		decap_add_vni(sids, &message->address4, message->vni[i]);
	memcpy(routes->sid, message->sid, sizeof(routes->sid));
	__atomic_store_n(&routes->sids, sids, __ATOMIC_RELEASE);
	retire(routes, old, false);
	return true;
}

enum sl_ack_status routes_node(struct routes *routes, const struct sl_msg_node *message,
			       size_t bytes, char field[SL_NAME_MAX])
{
	enum sl_ack_status status = route_check_node(message, bytes, field);
	struct in6_addr address4 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (status != SL_ACK_DONE)
		return status;
	memcpy(&address4.s6_addr[12], &message->address4, sizeof(message->address4));
	if (!same_sids(routes, message)) {
		if (!sids_replace(routes, message))
			return SL_ACK_FULL;
		routes->services_changed(routes->context);
	}
	if (!IN6_ARE_ADDR_EQUAL(&routes->address, &message->address) ||
	    !IN6_ARE_ADDR_EQUAL(&routes->address4, &address4)) {
		routes->address = message->address;
		routes->address4 = address4;
		routes->address_changed(routes->context);
	}
	return SL_ACK_DONE;
}

void routes_hello(struct routes *routes)
{
	routes->updating = true;
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++)
		if (routes->service[i])
			routes->service[i]->named = false;
}

void routes_sync(struct routes *routes)
{
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++)
		if (routes->service[i] && !routes->service[i]->named)
			service_remove(routes, i);
	routes->updating = false;
	routes->synced = true;
	routes->services_changed(routes->context);
}

static bool service_in_use(const void *context, unsigned slot)
{
	return ((const struct routes *)context)->service[slot] != NULL;
}

static bool member_in_use(const void *context, unsigned slot)
{
	return ((const struct routes *)context)->member[slot].service != ROUTES_NO_SERVICE;
}

struct routes *routes_create(struct sl_counters *counters, unsigned workers)
{
	struct routes *routes = rte_zmalloc("routes", sizeof(*routes), 64);
	size_t rcu_bytes = rte_rcu_qsbr_get_memsize(workers);

	if (!routes)
		return NULL;
	routes->counters = counters;
	routes->workers = workers;
	routes->encap[0] = rte_zmalloc("encap", sizeof(struct encap), 64);
	routes->targets = 1;
	for (unsigned i = 0; i <= SL_MEMBERS_MAX; i++)
		routes->member[i].service = ROUTES_NO_SERVICE;
	routes->rcu = rte_zmalloc("rcu", rcu_bytes, 64);
	routes->classify = classify_build(NULL, 0);
	routes->sids = rte_zmalloc("sids", sizeof(*routes->sids), 64);
	routes->adjacency = rte_zmalloc("adjacency", sizeof(*routes->adjacency), 64);
	routes->target_slots =
		slots_create("targets", ROUTES_TARGETS_MAX * 2, ROUTES_TARGET_KEY_BYTES);
	if (!routes->encap[0] || !routes->rcu || !routes->classify || !routes->sids ||
	    !routes->adjacency || !routes->target_slots ||
	    rte_rcu_qsbr_init(routes->rcu, workers) != 0 ||
	    slots_open(&routes->slots, counters, service_in_use, member_in_use, routes) < 0)
		goto fail;
	routes->retired = rte_rcu_qsbr_dq_create(&(struct rte_rcu_qsbr_dq_parameters){
		.name = "retired",
		.size = 4096,
		.esize = sizeof(struct retired),
		.trigger_reclaim_limit = 0,
		.max_reclaim_size = 16,
		.free_fn = retired_free,
		.v = routes->rcu,
		.flags = RTE_RCU_QSBR_DQ_MT_UNSAFE,
	});
	if (routes->retired)
		return routes;
fail:
	routes_destroy(routes);
	return NULL;
}

void routes_destroy(struct routes *routes)
{
	if (!routes)
		return;
	if (routes->retired)
		rte_rcu_qsbr_dq_delete(routes->retired);
	for (unsigned i = 1; i < routes->targets; i++)
		if (routes->encap[i] != routes->encap[0])
			rte_free(routes->encap[i]);
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++)
		rte_free(routes->service[i]);
	slots_destroy(routes->target_slots);
	slots_close(&routes->slots);
	rte_free(routes->adjacency);
	rte_free(routes->sids);
	free(routes->classify);
	rte_free(routes->rcu);
	rte_free(routes->encap[0]);
	rte_free(routes);
}
