/* SPDX-License-Identifier: BSD-3-Clause */
#include "choose.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Loops run over whole vectors, padded by choose_add, so that no scalar tail is run. */
#define GROUP 4
_Static_assert(SL_CANDIDATES_MAX % GROUP == 0, "whole groups");

#define INFINITE_BITS 0x7f800000u

static inline uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static inline float float_of(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Two rounds of an unbiased 32-bit mixer, with half of the flow's hash before each. */
static inline uint32_t mix(uint32_t key, uint32_t low, uint32_t high)
{
	uint32_t x = key ^ low;

	x = (x ^ x >> 16) * 0x7feb352du;
	x ^= high;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

/* -log2(1 - s) / s for s in [0, 1/2], relative error below 2e-6 (Chebyshev). */
static inline float log_ratio(float s)
{
	return 1.44269624f +
	       s * (0.721112976f +
		    s * (0.48822524f +
			 s * (0.276858596f +
			      s * (0.729325249f + s * (-0.875417747f + s * 1.39874513f)))));
}

/*
 * -log2(u) of u = draw / 2^32, exact to a few units in the last place also where u is nearly 1:
 * there the winners are, and a float of u itself would have only 2^-24 to tell them apart.
 *	z = draw / 2 = lead (1 + r), lead a power of two: u = 2^-k (1 - s), s = 1 - z / (2 lead)
 * No branches and no division; a draw of 0 counts as 2^-157.
 */
static inline float minus_log2(uint32_t draw)
{
	uint32_t z = draw >> 1;
	/* Without the bit after the leading one, rounding cannot reach the next power. */
	uint32_t lead_bits = bits_of((float)(int32_t)(z & ~(z >> 1))) & INFINITE_BITS;
	uint32_t lead = (uint32_t)(int32_t)float_of(lead_bits);
	float s = (float)(int32_t)(2 * lead - z) * float_of((253u << 23) - lead_bits);
	float k = (float)(157 - (int32_t)(lead_bits >> 23));

	return k + s * log_ratio(s);
}

static inline uint32_t whole_groups(const struct choose_set *set)
{
	return (set->candidates + GROUP - 1) & ~(GROUP - 1u);
}

/*
 * The scores of the first `count` candidates, whole groups. The loops below have one simple body
 * and no exit, so that compilers turn them into vector code.
 */
static inline void score_all(const struct choose_set *set, uint64_t hash, uint32_t count,
			     float *restrict score)
{
	const uint32_t *key = set->key;
	const float *inverse_weight = set->inverse_weight;
	uint32_t low = (uint32_t)hash, high = hash >> 32;

	for (uint32_t i = 0; i < count; i++)
		score[i] = minus_log2(mix(key[i], low, high)) * inverse_weight[i];
}

/* Scores are positive, so their bits order as they do. */
static inline uint32_t lowest_bits(const float *score, uint32_t count)
{
	uint32_t lowest = INFINITE_BITS;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t bits = bits_of(score[i]);

		lowest = bits < lowest ? bits : lowest;
	}
	return lowest;
}

/* The first of equal ones. */
static inline uint32_t place_of(const float *score, uint32_t bits, uint32_t count)
{
	uint32_t first = count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = bits_of(score[i]) == bits ? i : count;

		first = place < first ? place : first;
	}
	return first;
}

int choose(const struct choose_set *set, uint64_t hash)
{
	_Alignas(64) float score[SL_CANDIDATES_MAX];
	uint32_t count = whole_groups(set), best;

	score_all(set, hash, count, score);
	best = lowest_bits(score, count);
	return best == INFINITE_BITS ? -1 : (int)place_of(score, best, count);
}

float choose_score(const struct choose_set *set, uint64_t hash, unsigned candidate)
{
	_Alignas(64) float score[SL_CANDIDATES_MAX];

	score_all(set, hash, whole_groups(set), score);
	return score[candidate];
}

/* FNV-1a, then mixed: names that differ in one letter must not differ in few bits. */
uint32_t choose_key(const char *site)
{
	uint32_t hash = 0x811c9dc5u;

	for (; *site != '\0'; site++)
		hash = (hash ^ (uint8_t)*site) * 0x01000193u;
	return mix(hash, 0, 0);
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
		key = mix(key, 1, 0);
	for (uint32_t i = at; at % GROUP == 0 && i < at + GROUP; i++)
		set->inverse_weight[i] = INFINITY;
	set->key[at] = key;
	set->inverse_weight[at] = weight == 0 ? INFINITY : 1.0f / (float)weight;
	set->member[at] = member;
	set->candidates++;
}
