/* SPDX-License-Identifier: BSD-3-Clause */
#include "flows.h"
#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

static uint64_t home(const struct flows *flows, uint64_t cookie)
{
	/* cookies count up: Fibonacci hashing (Knuth, volume 3, section 6.4) spreads them */
	return cookie * 0x9e3779b97f4a7c15ull >> 20 & flows->mask;
}

int flows_init(struct flows *flows)
{
	flows->slot = calloc(SLOTS_MIN, sizeof(*flows->slot));
	flows->mask = SLOTS_MIN - 1;
	flows->count = 0;
	return flows->slot ? 0 : -ENOMEM;
}

void flows_clear(struct flows *flows)
{
	free(flows->slot);
	flows->slot = NULL;
}

static struct flow *probe(const struct flows *flows, uint64_t cookie)
{
	uint64_t at = home(flows, cookie);

	while (flows->slot[at].cookie && flows->slot[at].cookie != cookie)
		at = (at + 1) & flows->mask;
	return &flows->slot[at];
}

struct flow *flows_find(const struct flows *flows, uint64_t cookie)
{
	struct flow *flow = probe(flows, cookie);

	return flow->cookie ? flow : NULL;
}

static int grow(struct flows *flows)
{
	struct flows larger = {.mask = flows->mask * 2 + 1, .count = flows->count};

	larger.slot = calloc(larger.mask + 1, sizeof(*larger.slot));
	if (!larger.slot)
		return -ENOMEM;
	for (uint64_t i = 0; i <= flows->mask; i++)
		if (flows->slot[i].cookie)
			*probe(&larger, flows->slot[i].cookie) = flows->slot[i];
	free(flows->slot);
	*flows = larger;
	return 0;
}

struct flow *flows_add(struct flows *flows, uint64_t cookie)
{
	struct flow *flow;

	if (flows->count * 2 > flows->mask && grow(flows) < 0)
		return NULL;
	flow = probe(flows, cookie);
	*flow = (struct flow){.cookie = cookie};
	flows->count++;
	return flow;
}

/* Deletion without tombstones, Knuth, volume 3, section 6.4, algorithm R. */
void flows_remove(struct flows *flows, struct flow *flow)
{
	uint64_t hole = (uint64_t)(flow - flows->slot), at = hole;

	for (;;) {
		at = (at + 1) & flows->mask;
		if (!flows->slot[at].cookie)
			break;
		/* may it move? only if its home is not between the hole and itself */
		if (((at - home(flows, flows->slot[at].cookie)) & flows->mask) <
		    ((at - hole) & flows->mask))
			continue;
		flows->slot[hole] = flows->slot[at];
		hole = at;
	}
	flows->slot[hole].cookie = 0;
	flows->count--;
}
