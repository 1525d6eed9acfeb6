/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets of routes.h: each way once, however many services use it. */
#include "routes.h"

#include <rte_malloc.h>
#include <string.h>

struct target_key {
	struct sl_via via;
	uint64_t family;
};
_Static_assert(sizeof(struct target_key) == ROUTES_TARGET_KEY_BYTES, "target key");

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
		routes_retire(routes, old);
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

static void forget_segments(struct routes *routes, const struct adjacency *table)
{
	for (unsigned i = 0; i < ADJACENCY_SLOTS; i++)
		routes_way_release(routes, table->slot[i].target);
}

void routes_segment(struct routes *routes, const struct in6_addr *segment)
{
	struct sl_via via = {.kind = SL_VIA_L2, .segments = 1, .segment[0] = *segment};
	struct adjacency *old = routes->adjacency, *new;
	int target;

	if (adjacency_find(old, segment->s6_addr) || IN6_IS_ADDR_MULTICAST(segment))
		return;
	new = rte_zmalloc("adjacency", sizeof(*new), RTE_CACHE_LINE_SIZE);
	target = new ? routes_way(routes, &via, 6) : 0;
	if (target <= 0) {
		rte_free(new);
		return;
	}
	if (old->segments < ADJACENCY_MAX)
		memcpy(new, old, sizeof(*new));
	else
		forget_segments(routes, old);
	adjacency_add(new, segment, (uint16_t)target);
	__atomic_store_n(&routes->adjacency, new, __ATOMIC_RELEASE);
	routes_retire(routes, old);
	routes->targets_changed(routes->context);
}
