/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eight doubles at once, by the compiler's vectors: for whatever the CPU has, with the same bits
 * everywhere, as the sums are taken in a fixed order and products are not fused
 * (-ffp-contract=off). In the solver they are, where the CPU can: edges of two kinds may differ in
 * the last digits of a share, far below what a weight can tell. LANES_CLONES compiles a function,
 * with all that it inlines, for several CPUs and takes the best at start.
 */
#pragma once

#include <stdint.h>

#define LANES 8u

/* How functions hand vectors on does not matter: all of these are inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t lanes_mask __attribute__((vector_size(8 * LANES)));
typedef uint64_t lanes_bits __attribute__((vector_size(8 * LANES)));
typedef double lanes_half __attribute__((vector_size(4 * LANES)));
typedef double lanes_quarter __attribute__((vector_size(2 * LANES)));

#define LANES_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LANES_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define LANES_CLONES
#endif

LANES_INLINE lanes lanes_all(double value)
{
	lanes first = {value};

	return __builtin_shufflevector(first, first, 0, 0, 0, 0, 0, 0, 0, 0);
}

LANES_INLINE lanes lanes_if(lanes_mask mask, lanes yes, lanes no)
{
	return (lanes)((mask & (lanes_mask)yes) | (~mask & (lanes_mask)no));
}

LANES_INLINE lanes lanes_least(lanes a, lanes b)
{
	return lanes_if(a < b, a, b);
}

LANES_INLINE lanes lanes_most(lanes a, lanes b)
{
	return lanes_if(a > b, a, b);
}

/* ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)) */
LANES_INLINE double lanes_sum(lanes a)
{
	lanes_half half = __builtin_shufflevector(a, a, 0, 1, 2, 3) +
			  __builtin_shufflevector(a, a, 4, 5, 6, 7);
	lanes_quarter quarter = __builtin_shufflevector(half, half, 0, 1) +
				__builtin_shufflevector(half, half, 2, 3);

	return quarter[0] + quarter[1];
}

/* The sums of eight vectors. */
LANES_INLINE lanes lanes_sums(const lanes *a)
{
	lanes two[4], four[2];

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		lanes b = a[2 * i], c = a[2 * i + 1];
		two[i] = __builtin_shufflevector(b, c, 0, 8, 2, 10, 4, 12, 6, 14) +
			 __builtin_shufflevector(b, c, 1, 9, 3, 11, 5, 13, 7, 15);
	}
#pragma GCC unroll 2
	for (unsigned i = 0; i < 2; i++) {
		lanes b = two[2 * i], c = two[2 * i + 1];
		four[i] = __builtin_shufflevector(b, c, 0, 1, 8, 9, 4, 5, 12, 13) +
			  __builtin_shufflevector(b, c, 2, 3, 10, 11, 6, 7, 14, 15);
	}
	return __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 8, 9, 10, 11) +
	       __builtin_shufflevector(four[0], four[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

LANES_INLINE double lanes_largest(lanes a)
{
	a = lanes_most(a, __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3));
	a = lanes_most(a, __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
	return a[0] > a[1] ? a[0] : a[1];
}

LANES_INLINE double lanes_smallest(lanes a)
{
	return -lanes_largest(-a);
}
