/* SPDX-License-Identifier: BSD-3-Clause */
#include "routes.h"
#include "route_check.h"
#include "slots.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target_key {
	struct sl_via via;
	uint64_t family;
};

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

/* Frees memory once no worker can hold a pointer to it. */
static void retire(struct routes *routes, void *memory, bool is_classify)
{
	struct retired entry = {memory, is_classify};

	if (!memory || rte_rcu_qsbr_dq_enqueue(routes->retired, &entry) == 0)
		return;
	rte_rcu_qsbr_synchronize(routes->rcu, RTE_QSBR_THRID_INVALID);
	retired_free(NULL, &entry, 1);
}

void routes_reclaim(struct routes *routes)
{
	rte_rcu_qsbr_dq_reclaim(routes->retired, 64, NULL, NULL, NULL);
}

/* --- targets: each way once, however many services use it --- */

static int target_unused(struct routes *routes)
{
	if (routes->targets < ROUTES_TARGETS_MAX)
		return routes->targets++;
	for (unsigned i = 1; i < routes->targets; i++) {
		struct target *target = &routes->target[i];
		if (target->references == 0) {
			struct target_key old = {target->via, target->family};
			slots_forget(routes->target_slots, &old);
			rte_rcu_qsbr_synchronize(routes->rcu, RTE_QSBR_THRID_INVALID);
			return i;
		}
	}
	return -1;
}

/* The target of a via, made if need be; 0 where there is none. -1: table full. */
static int target_slot(struct routes *routes, const struct sl_via *via, uint8_t family)
{
	struct target_key key = {.family = family};
	int slot;

	if (via->kind == SL_VIA_NONE)
		return 0;
	key.via.kind = via->kind;
	key.via.segments = via->segments;
	memcpy(key.via.vni, via->vni, sizeof(via->vni));
	memcpy(key.via.segment, via->segment, via->segments * sizeof(via->segment[0]));
	slot = slots_find(routes->target_slots, &key);
	if (slot >= 0)
		return slot;
	slot = target_unused(routes);
	if (slot < 0 || slots_keep(routes->target_slots, &key, slot) < 0)
		return -1;
	routes->target[slot] = (struct target){.via = key.via, .family = family};
	if (!routes->encap[slot])
		routes->encap[slot] = routes->encap[0];
	else
		routes_set_encap(routes, slot, NULL);
	return slot;
}

void routes_set_encap(struct routes *routes, unsigned target, struct encap *encap)
{
	struct encap *old = routes->encap[target];

	__atomic_store_n(&routes->encap[target], encap ? encap : routes->encap[0],
			 __ATOMIC_RELEASE);
	if (old != routes->encap[0])
		retire(routes, old, false);
}

int routes_way(struct routes *routes, const struct sl_via *via, uint8_t family)
{
	int slot = target_slot(routes, via, family);

	if (slot > 0)
		routes->target[slot].references++;
	return slot;
}

void routes_way_release(struct routes *routes, unsigned target)
{
	if (target > 0)
		routes->target[target].references--;
}

static void member_set(struct routes *routes, unsigned slot, struct member member)
{
	struct member old = routes->member[slot];
	uint64_t word;

	/* Most updates change weights alone: workers keep the line that they have. */
	if (memcmp(&old, &member, sizeof(old)) == 0)
		return;
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		routes->target[member.target[f]].references++;
		routes->target[old.target[f]].references--;
	}
	memcpy(&word, &member, sizeof(word));
	__atomic_store_n((uint64_t *)(void *)&routes->member[slot], word, __ATOMIC_RELEASE);
}

/* --- services --- */

static void classify_add(struct classify_entry *entry, const struct service *service, int family)
{
	*entry = (struct classify_entry){
		.port = service->port,
		.protocol = service->protocol,
		.family = family,
		.service = service->slot,
	};
	if (family == 4)
		memcpy(entry->address, &service->ipv4, sizeof(service->ipv4));
	else
		memcpy(entry->address, &service->ipv6, sizeof(service->ipv6));
}

static int address_order(const void *a, const void *b)
{
	const struct classify_entry *one = a, *two = b;

	if (one->family != two->family)
		return one->family - two->family;
	return memcmp(one->address, two->address, sizeof(one->address));
}

/* ICMP to a service's address has no port: one entry for each address, whichever service it is. */
static unsigned classify_add_icmp(struct classify_entry *entry, unsigned entries)
{
	struct classify_entry *icmp = entry + entries;
	unsigned n = 0;

	memcpy(icmp, entry, entries * sizeof(*icmp));
	qsort(icmp, entries, sizeof(*icmp), address_order);
	for (unsigned i = 0; i < entries; i++) {
		if (n && address_order(&icmp[i], &icmp[n - 1]) == 0)
			continue;
		icmp[n] = icmp[i];
		icmp[n].port = 0;
		icmp[n].protocol = icmp[n].family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		n++;
	}
	return n;
}

static bool classify_rebuild(struct routes *routes)
{
	struct classify_entry *entry = calloc(4 * SL_SERVICES_MAX, sizeof(*entry));
	struct classify *table, *old = routes->classify;
	unsigned n = 0;

	if (!entry)
		return false;
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
		const struct service *service = routes->service[i];
		if (service && service->ipv4.s_addr)
			classify_add(&entry[n++], service, 4);
		if (service && !IN6_IS_ADDR_UNSPECIFIED(&service->ipv6))
			classify_add(&entry[n++], service, 6);
	}
	n += classify_add_icmp(entry, n);
	table = classify_build(entry, n);
	free(entry);
	if (!table)
		return false;
	__atomic_store_n(&routes->classify, table, __ATOMIC_RELEASE);
	retire(routes, old, true);
	return true;
}

/* Slot of another service that has one of the addresses with this protocol and port, or -1. */
static int holder(const struct routes *routes, const struct service *service)
{
	for (int family = 4; family <= 6; family += 2) {
		struct classify_entry entry;
		struct flow_key key = {0};
		uint16_t slot;
		classify_add(&entry, service, family);
		memcpy(key.destination, entry.address, sizeof(key.destination));
		key.destination_port = entry.port;
		key.protocol = entry.protocol;
		key.family = family;
		slot = classify_lookup(routes->classify, &key);
		if (slot != CLASSIFY_NONE && slot != service->slot)
			return slot;
	}
	return -1;
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

static struct service *service_from(const struct sl_msg_service *message, uint16_t slot)
{
	struct service *service = rte_zmalloc("service", sizeof(*service), 64);

	if (service) {
		service->slot = slot;
		service->idle_s = message->idle_s;
		service->affinity = message->affinity;
		service->ipv4 = message->ipv4;
		service->ipv6 = message->ipv6;
		service->port = rte_cpu_to_be_16(message->port);
		service->protocol = message->protocol;
		service->named = true;
	}
	return service;
}

/* Finds slots for all candidates; nothing that workers see has changed yet. */
static bool members_prepare(struct routes *routes, const struct sl_msg_service *message,
			    struct service *service, struct member *member)
{
	for (unsigned i = 0; i < message->candidates; i++) {
		const struct sl_candidate *candidate = &message->candidate[i];
		int slot = slots_member(&routes->slots, message->service, candidate->site);
		member[i] = (struct member){service->slot, .takes_new = candidate->weight > 0};
		for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
			int target =
				target_slot(routes, &candidate->via[f], f == SL_INNER_IPV4 ? 4 : 6);
			if (target < 0)
				return false;
			member[i].target[f] = target;
		}
		if (slot < 0)
			return false;
		choose_add(&service->choose, candidate->site, candidate->weight, slot);
		service->weight[i] = candidate->weight;
	}
	return true;
}

static void service_remove(struct routes *routes, unsigned slot)
{
	struct service *old = routes->service[slot];

	routes->service[slot] = NULL;
	classify_rebuild(routes);
	members_leave(routes, old, NULL);
	retire(routes, old, false);
}

/* Who holds the service's addresses gives them up if this update has not named it yet. */
static bool make_room(struct routes *routes, const struct service *service)
{
	int slot;

	while ((slot = holder(routes, service)) >= 0) {
		if (routes->service[slot]->named)
			return false;
		service_remove(routes, slot);
	}
	return true;
}

enum sl_ack_status routes_service(struct routes *routes, const struct sl_msg_service *message,
				  size_t bytes, char field[SL_NAME_MAX])
{
	struct member member[SL_CANDIDATES_MAX];
	struct service *service, *old;
	enum sl_ack_status status = route_check_service(message, bytes, field);
	int slot;

	if (status != SL_ACK_DONE)
		return status;
	slot = slots_service(&routes->slots, message->service);
	service = slot < 0 ? NULL : service_from(message, slot);
	if (!service)
		return SL_ACK_FULL;
	if (!make_room(routes, service)) {
		rte_free(service);
		return SL_ACK_CONFLICT;
	}
	if (!members_prepare(routes, message, service, member)) {
		rte_free(service);
		return SL_ACK_FULL;
	}
	routes->targets_changed(routes->context);

	for (unsigned i = 0; i < service->choose.candidates; i++)
		member_set(routes, service->choose.member[i], member[i]);
	old = routes->service[slot];
	__atomic_store_n(&routes->service[slot], service, __ATOMIC_RELEASE);
	if (old)
		members_leave(routes, old, service);
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
	routes->encap[0] = rte_zmalloc("encap", sizeof(struct encap), 64);
	routes->targets = 1;
	for (unsigned i = 0; i <= SL_MEMBERS_MAX; i++)
		routes->member[i].service = ROUTES_NO_SERVICE;
	routes->rcu = rte_zmalloc("rcu", rcu_bytes, 64);
	routes->classify = classify_build(NULL, 0);
	routes->sids = rte_zmalloc("sids", sizeof(*routes->sids), 64);
	routes->target_slots =
		slots_create("targets", ROUTES_TARGETS_MAX * 2, sizeof(struct target_key));
	if (!routes->encap[0] || !routes->rcu || !routes->classify || !routes->sids ||
	    !routes->target_slots || rte_rcu_qsbr_init(routes->rcu, workers) != 0 ||
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
	rte_free(routes->sids);
	free(routes->classify);
	rte_free(routes->rcu);
	rte_free(routes->encap[0]);
	rte_free(routes);
}
