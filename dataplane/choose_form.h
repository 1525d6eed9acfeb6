/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The body of choose.h, inlined into the worker's loop: as many candidates at once as a vector
 * of this form holds. Scores must be the same in all forms, so files that include this are compiled
 * with -ffp-contract=off; what is left are single correctly rounded operations (IEEE 754).
 */
#pragma once

#include <rte_branch_prediction.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define CHOOSE_LANES 16
#elif defined(__AVX2__)
#define CHOOSE_LANES 8
#else
#define CHOOSE_LANES 4
#endif
_Static_assert(CHOOSE_GROUP % CHOOSE_LANES == 0, "whole vectors");

#define CHOOSE_INFINITE 0x7f800000u

typedef uint32_t choose_bits __attribute__((vector_size(4 * CHOOSE_LANES)));
typedef int32_t choose_int __attribute__((vector_size(4 * CHOOSE_LANES)));
typedef float choose_float __attribute__((vector_size(4 * CHOOSE_LANES)));

/* Two rounds of an unbiased 32-bit mixer, with half of the flow's hash before each. */
static inline choose_bits choose_mix(choose_bits key, uint64_t hash)
{
	choose_bits x = key ^ (uint32_t)hash;

	x = (x ^ x >> 16) * 0x7feb352du;
	x ^= (uint32_t)(hash >> 32);
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

/*
 * -log2(1 - s) / s for s in [0, 1/2], relative error below 2e-6 (Chebyshev), in the order of
 * Estrin: half the latency of Horner's.
 */
static inline choose_float choose_log_ratio(choose_float s)
{
	choose_float s2 = s * s;
	choose_float low = (1.44269624f + s * 0.721112976f) + s2 * (0.48822524f + s * 0.276858596f);
	choose_float high = (0.729325249f - s * 0.875417747f) + s2 * 1.39874513f;

	return low + s2 * s2 * high;
}

/* Values are below 2^31, so the signed conversion is right. */
static inline choose_float choose_to_float(choose_bits value)
{
	return __builtin_convertvector((choose_int)value, choose_float);
}

/*
 * -log2(u) of u = draw / 2^32, exact to a few units in the last place also where u is nearly 1:
 * there the winners are, and a float of u itself would have only 2^-24 to tell them apart.
 *	z = draw / 2 = lead (1 + r), lead a power of two: u = 2^-k (1 - s), s = 1 - z / (2 lead)
 * No branches and no division; a draw of 0 counts as 2^-31.
 */
static inline choose_float choose_minus_log2(choose_bits draw)
{
	choose_bits z = draw >> 1;
#if defined(__AVX512CD__)
	/* The same numbers: shifted to the top, 2^32 - z has the bits of 2 lead - z. */
	choose_bits zeros = (choose_bits)_mm512_lzcnt_epi32((__m512i)z);
	choose_bits rest = -(choose_bits)_mm512_sllv_epi32((__m512i)z, (__m512i)zeros);
	choose_float s = (choose_float)_mm512_cvtepu32_ps((__m512i)rest) * 0x1p-32f;
	choose_float k = choose_to_float(zeros - 1);
#else
	/* Without the bit after the leading one, rounding cannot reach the next power. */
	choose_bits lead_bits = (choose_bits)choose_to_float(z & ~(z >> 1)) & CHOOSE_INFINITE;
	choose_bits lead =
		(choose_bits) __builtin_convertvector((choose_float)lead_bits, choose_int);
	choose_float s = choose_to_float(2 * lead - z) * (choose_float)((253u << 23) - lead_bits);
	choose_bits power = 157 - (lead_bits >> 23);
	choose_bits none = (choose_bits)(power > 31);
	choose_float k = choose_to_float((power & ~none) | (none & 31));
#endif

	return k + s * choose_log_ratio(s);
}

/* Scores of the candidates from `at` on, as bits: they are not negative, so these order alike. */
static inline choose_bits choose_scores(const struct choose_set *set, uint64_t hash, unsigned at)
{
	choose_float inverse_weight;
	choose_bits key;

	memcpy(&key, &set->key[at], sizeof(key));
	memcpy(&inverse_weight, &set->inverse_weight[at], sizeof(inverse_weight));
	return (choose_bits)(choose_minus_log2(choose_mix(key, hash)) * inverse_weight);
}

static inline uint32_t choose_lowest(choose_bits v)
{
#if defined(__AVX512F__)
	return _mm512_reduce_min_epu32((__m512i)v);
#else
	uint32_t lowest = v[0];

	for (unsigned i = 1; i < CHOOSE_LANES; i++)
		lowest = v[i] < lowest ? v[i] : lowest;
	return lowest;
#endif
}

/* The first lane with this value. */
static inline unsigned choose_lane(choose_bits v, uint32_t value)
{
#if defined(__AVX512F__)
	return __builtin_ctz(_mm512_cmpeq_epi32_mask((__m512i)v, _mm512_set1_epi32((int)value)));
#elif defined(__AVX2__)
	return __builtin_ctz(_mm256_movemask_ps((__m256)(v == value)));
#elif defined(__SSE2__)
	return __builtin_ctz(_mm_movemask_ps((__m128)(v == value)));
#else
	unsigned lane = 0;

	while (v[lane] != value)
		lane++;
	return lane;
#endif
}

static __attribute__((noinline, unused)) int choose_many(const struct choose_set *set,
							 uint64_t hash)
{
	uint32_t lowest = CHOOSE_INFINITE;
	int winner = -1;

	for (unsigned at = 0; at < set->candidates; at += CHOOSE_LANES) {
		choose_bits score = choose_scores(set, hash, at);
		uint32_t best = choose_lowest(score);

		if (best < lowest) {
			lowest = best;
			winner = at + choose_lane(score, best);
		}
	}
	return winner;
}

/* The first of equal ones. Most sets fit in one vector: without a loop its constants stay put. */
static inline int choose(const struct choose_set *set, uint64_t hash)
{
	choose_bits score;
	uint32_t best;

	if (unlikely(set->candidates - 1 >= CHOOSE_LANES))
		return choose_many(set, hash);
	score = choose_scores(set, hash, 0);
	best = choose_lowest(score);
	return best == CHOOSE_INFINITE ? -1 : (int)choose_lane(score, best);
}
