/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the next segment of packets that pass a transit node (End) is: a segment's address -> the
 * target (an L2 way) that leads there. Learnt: a worker that meets an unknown segment asks main,
 * which has the kernel's route and neighbour looked up as for all targets. Tables are
 * immutable and replaced whole under RCU (routes.h).
 *
 * At most ADJACENCY_MAX segments; one more makes it begin anew, and those in use are learnt again.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define ADJACENCY_MAX 1024
#define ADJACENCY_SLOTS (2 * ADJACENCY_MAX)

struct adjacency {
	unsigned segments;
	struct {
		struct in6_addr segment;
		uint16_t target; /* 0: empty */
	} slot[ADJACENCY_SLOTS];
};

static inline unsigned adjacency_place(const uint8_t *segment)
{
	uint64_t half[2];

	memcpy(half, segment, sizeof(half));
	return (half[0] * 0x9e3779b97f4a7c15u ^ half[1] * 0xc2b2ae3d27d4eb4fu) >> 53;
}
_Static_assert(ADJACENCY_SLOTS == 1 << 11, "the upper 11 bits");

/* The target that leads to a segment, 0: not known. */
static inline uint16_t adjacency_find(const struct adjacency *table, const uint8_t *segment)
{
	for (unsigned at = adjacency_place(segment);; at = (at + 1) % ADJACENCY_SLOTS)
		if (!table->slot[at].target ||
		    memcmp(&table->slot[at].segment, segment, sizeof(struct in6_addr)) == 0)
			return table->slot[at].target;
}

/* For a segment that is not in it, and if segments < ADJACENCY_MAX. */
static inline void adjacency_add(struct adjacency *table, const struct in6_addr *segment,
				 uint16_t target)
{
	unsigned at = adjacency_place(segment->s6_addr);

	while (table->slot[at].target)
		at = (at + 1) % ADJACENCY_SLOTS;
	table->slot[at].segment = *segment;
	table->slot[at].target = target;
	table->segments++;
}
