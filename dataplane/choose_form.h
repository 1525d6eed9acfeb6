/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The body of choose.h, inlined into the worker's loop: as many candidates at once as a vector
 * of this form holds. Files that include this are compiled with -ffp-contract=off: all forms for
 * CPUs with fused multiply-add compute the same bits, and so do all for those without.
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
#define CHOOSE_PLACE (CHOOSE_GROUP - 1u) /* bits of a score that it gives up for its place */
static const uint32_t choose_place[CHOOSE_GROUP] = {0, 1, 2,  3,  4,  5,  6,  7,
						    8, 9, 10, 11, 12, 13, 14, 15};

typedef uint32_t choose_bits __attribute__((vector_size(4 * CHOOSE_LANES)));
typedef int32_t choose_int __attribute__((vector_size(4 * CHOOSE_LANES)));
typedef float choose_float __attribute__((vector_size(4 * CHOOSE_LANES)));

/* (x & mask) | bits */
static inline choose_bits choose_merge(choose_bits x, choose_bits mask, choose_bits bits)
{
#if defined(__AVX512F__)
	return (choose_bits)_mm512_ternarylogic_epi32((__m512i)x, (__m512i)mask, (__m512i)bits,
						      0xea);
#else
	return (x & mask) | bits;
#endif
}

/* a + b c, rounded once where the CPU can. */
static inline choose_float choose_add_product(choose_float a, choose_float b, choose_float c)
{
#if defined(__AVX512F__)
	return (choose_float)_mm512_fmadd_ps((__m512)b, (__m512)c, (__m512)a);
#elif defined(__FMA__)
	return (choose_float)_mm256_fmadd_ps((__m256)b, (__m256)c, (__m256)a);
#else
	return a + b * c;
#endif
}

/*
 * Two rounds of an unbiased 32-bit mixer, with half of the flow's hash before each; without its
 * last step, which would only mix the low bits again: those count least.
 */
static inline choose_bits choose_mix(choose_bits key, uint64_t hash)
{
	choose_bits x = (key ^ (uint32_t)hash) * 0x7feb352du;

	x ^= (uint32_t)(hash >> 32);
	return (x ^ x >> 15) * 0x846ca68bu;
}

/*
 * -log2(u) of u = (2 floor(draw / 512) + 1) / 2^24, between 0 and 24: u is exact as a float, never
 * 0 or 1, and finer than shares of flows can tell.
 *	u = m 2^-k, m in [1/2, 1): -log2(u) = k + s R(s), s = 1 - m
 * R(s) = -log2(1 - s) / s by a polynomial, relative error below 3.2e-4 (minimax): a share is off by
 * no more than that. No branches and no division.
 */
static inline choose_float choose_minus_log2(choose_bits draw)
{
#if defined(__AVX512F__)
	/* odd, and scaled by 256: k is as well the scale's exponent less this one's */
	choose_bits odd = choose_merge(draw, (choose_bits){} + ~511u, (choose_bits){} + 256u);
	__m512 z = _mm512_cvtepu32_ps((__m512i)odd);
	choose_float m = (choose_float)_mm512_getmant_ps(z, _MM_MANT_NORM_p5_1, _MM_MANT_SIGN_zero);
	choose_float k = 31 - (choose_float)_mm512_getexp_ps(z);
#else
	choose_bits z =
		(choose_bits) __builtin_convertvector((choose_int)(draw >> 8 | 1), choose_float);
	choose_float m = (choose_float)((z & 0x007fffff) | 0x3f000000);
	choose_float k = __builtin_convertvector((choose_int)(150 - (z >> 23)), choose_float);
#endif
	choose_float s = 1 - m, r;

	r = choose_add_product((choose_float){} + (0.237085849f), s,
			       (choose_float){} + (0.988944352f));
	r = choose_add_product((choose_float){} + (0.748482645f), s, r);
	r = choose_add_product((choose_float){} + (1.44224429f), s, r);
	return choose_add_product(k, s, r);
}

/*
 * Scores of the candidates from `at` on, as bits: they are not negative, so these order alike. The
 * lowest bits are the candidate's place in its group, so that the lowest score names the winner.
 */
static inline choose_bits choose_scores(const struct choose_set *set, uint64_t hash, unsigned at)
{
	choose_float inverse_weight;
	choose_bits key, place, score;

	memcpy(&key, &set->key[at], sizeof(key));
	memcpy(&inverse_weight, &set->inverse_weight[at], sizeof(inverse_weight));
	memcpy(&place, &choose_place[at % CHOOSE_GROUP], sizeof(place));
	score = (choose_bits)(choose_minus_log2(choose_mix(key, hash)) * inverse_weight);
	return choose_merge(score, (choose_bits){} + ~CHOOSE_PLACE, place);
}

/* Lane by lane the lower one. */
static inline choose_bits choose_lower(choose_bits a, choose_bits b)
{
	choose_bits is_lower = (choose_bits)(a < b);

	return (a & is_lower) | (b & ~is_lower);
}

/* Of a group, in one vector: places tell which is which, and those past the last are infinite. */
static inline choose_bits choose_group(const struct choose_set *set, uint64_t hash, unsigned at)
{
	choose_bits scores = choose_scores(set, hash, at);

	for (unsigned i = CHOOSE_LANES; i < CHOOSE_GROUP && at + i < set->candidates;
	     i += CHOOSE_LANES)
		scores = choose_lower(choose_scores(set, hash, at + i), scores);
	return scores;
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

static inline bool choose_is_few(const struct choose_set *set)
{
	return set->candidates <= CHOOSE_GROUP;
}

static inline int choose_winner(choose_bits scores)
{
	uint32_t best = choose_lowest(scores);

	return best >= CHOOSE_INFINITE ? -1 : (int)(best & CHOOSE_PLACE);
}

/* The first of equal ones. */
static inline int choose(const struct choose_set *set, uint64_t hash)
{
	uint32_t lowest = CHOOSE_INFINITE;
	int winner = -1;

	for (unsigned at = 0; at < set->candidates; at += CHOOSE_GROUP) {
		uint32_t best = choose_lowest(choose_group(set, hash, at));

		if ((best & ~CHOOSE_PLACE) < lowest) {
			lowest = best & ~CHOOSE_PLACE;
			winner = at + (best & CHOOSE_PLACE);
		}
	}
	return winner;
}
