/* SPDX-License-Identifier: BSD-3-Clause */
#include "choose.h"
#include <math.h>
#include <stdbool.h>

float choose_score(const struct choose_set *set, uint64_t hash, unsigned candidate)
{
	unsigned lane = candidate % CHOOSE_LANES;
	choose_bits score = choose_scores(set, hash, candidate - lane);

	return ((choose_float)(score & ~CHOOSE_PLACE))[lane];
}

static uint32_t mix(uint32_t key, uint64_t hash)
{
	return choose_mix((choose_bits){key}, hash)[0];
}

/* FNV-1a, then mixed: names that differ in one letter must not differ in few bits. */
uint32_t choose_key(const char *site)
{
	uint32_t hash = 0x811c9dc5u;

	for (; *site != '\0'; site++)
		hash = (hash ^ (uint8_t)*site) * 0x01000193u;
	return mix(hash, 0);
}

static bool has_key(const struct choose_set *set, uint32_t key)
{
	for (uint32_t i = 0; i < set->candidates; i++)
		if (set->key[i] == key)
			return true;
	return false;
}

void choose_add(struct choose_set *set, const char *site, uint32_t weight, uint16_t member)
{
	uint32_t at = set->candidates, key = choose_key(site);

	if (at == SL_CANDIDATES_MAX)
		return;
	/* Two sites with one key would draw alike, and the second never win. */
	while (has_key(set, key))
		key = mix(key, 1);
	for (uint32_t i = at; at % CHOOSE_GROUP == 0 && i < at + CHOOSE_GROUP; i++)
		set->inverse_weight[i] = INFINITY;
	set->key[at] = key;
	choose_weigh(set, at, weight);
	set->member[at] = member;
	set->candidates++;
}

void choose_weigh(struct choose_set *set, unsigned candidate, uint32_t weight)
{
	set->inverse_weight[candidate] = weight == 0 ? INFINITY : 1.0f / (float)weight;
}
