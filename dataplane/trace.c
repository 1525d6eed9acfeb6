/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <string.h>

static struct flow_key flow_key_of(const struct sl_msg_trace *asked)
{
	size_t bytes = asked->family == 4 ? 4 : 16;
	struct flow_key key = {
		.source_port = rte_cpu_to_be_16(asked->source_port),
		.destination_port = rte_cpu_to_be_16(asked->destination_port),
		.protocol = asked->protocol,
		.family = asked->family,
	};

	memcpy(key.source, &asked->source, bytes);
	memcpy(key.destination, &asked->destination, bytes);
	return key;
}

static struct worker_way look(const struct workers *workers, const struct flow_key *key)
{
	for (unsigned i = 1; i < workers->workers; i++) {
		struct worker_way way = worker_way(&workers->worker[i], key);
		if (way.pinned)
			return way;
	}
	return worker_way(&workers->worker[0], key);
}

static void tell_candidates(const struct routes *routes, const struct worker_way *way,
			    struct sl_msg_traced *traced)
{
	const struct choose_set *set = way->set;

	traced->candidates = set->candidates;
	for (unsigned i = 0; i < set->candidates; i++) {
		memcpy(traced->candidate[i].site, routes->counters->member[set->member[i]].site,
		       SL_NAME_MAX);
		traced->candidate[i].weight = way->service->candidate[i].share;
		traced->candidate[i].score = choose_score(set, way->hash, i);
	}
}

void trace(const struct routes *routes, const struct workers *workers,
	   const struct sl_msg_trace *asked, struct sl_msg_traced *traced)
{
	struct flow_key key = flow_key_of(asked);
	struct worker_way way = look(workers, &key);
	const struct target *target;

	*traced = (struct sl_msg_traced){.header = {SL_ROUTE_VERSION, SL_MSG_TRACED,
						    sizeof(*traced), asked->header.generation}};
	if (!way.service)
		return;
	memcpy(traced->service, routes->counters->service[way.service->slot].name, SL_NAME_MAX);
	tell_candidates(routes, &way, traced);
	if (way.member == PIN_MEMBER_NONE) {
		traced->how = SL_TRACE_NO_CANDIDATE;
		return;
	}
	traced->how = way.pinned ? SL_TRACE_PINNED : SL_TRACE_CHOSEN;
	traced->age_s = way.pinned ? way.age_s : 0;
	memcpy(traced->site, routes->counters->member[way.member].site, SL_NAME_MAX);
	target = &routes->target[routes->member[way.member].target
					 [asked->family == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6]];
	traced->via = target->via;
	memcpy(traced->next_hop, target->next_hop, sizeof(traced->next_hop));
}

unsigned trace_targets(const struct routes *routes, unsigned first,
		       struct sl_target_state state[TRACE_TARGETS_PER_MESSAGE])
{
	unsigned n = 0;

	for (unsigned i = first; i < routes->targets && n < TRACE_TARGETS_PER_MESSAGE; i++, n++) {
		const struct target *target = &routes->target[i];
		const struct encap *encap = routes->encap[i];
		state[n] = (struct sl_target_state){
			.via = target->via,
			.resolved = encap->kind != SL_VIA_NONE,
			.mtu_bytes = encap->mtu_bytes,
			.references = target->references,
			.changes = target->changes,
			.changed_s = target->changed_s,
		};
		memcpy(state[n].next_hop, target->next_hop, sizeof(state[n].next_hop));
	}
	return n;
}
