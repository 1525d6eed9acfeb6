/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pseudo-random numbers of the simulator: xoshiro256+ (Blackman and Vigna 2018), seeded by
 * splitmix64. One generator per stream (each edge's arrivals, its choices, the network), so that
 * all policies of a run meet the very same requests.
 */
#pragma once

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state[4];
};

static inline uint64_t random_mix(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline void random_seed(struct random *random, uint64_t seed, uint64_t stream)
{
	seed ^= random_mix(&stream);
	for (unsigned i = 0; i < 4; i++)
		random->state[i] = random_mix(&seed);
}

static inline uint64_t random_bits(struct random *random)
{
	uint64_t *s = random->state, result = s[0] + s[3], t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return result;
}

/* In (0, 1]. */
static inline double random_uniform(struct random *random)
{
	return (double)((random_bits(random) >> 11) + 1) * 0x1p-53;
}

static inline unsigned random_below(struct random *random, unsigned bound)
{
	return (unsigned)((random_bits(random) >> 32) * bound >> 32);
}

static inline double random_exponential(struct random *random)
{
	return -log(random_uniform(random));
}

static inline double random_normal(struct random *random)
{
	double x, y, square;

	do { /* Marsaglia's polar method */
		x = 2 * random_uniform(random) - 1;
		y = 2 * random_uniform(random) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	return x * sqrt(-2 * log(square) / square);
}
