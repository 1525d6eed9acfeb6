/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tests of inlined code are built once for each kind of CPU (meson.build); a build for another one
 * than this counts as skipped.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#define FORM_SKIPPED 77 /* meson's number */

static inline void form_or_skip(void)
{
	bool runs = true;

#if defined(__AES__)
	runs = runs && __builtin_cpu_supports("aes");
#endif
#if defined(__AVX2__)
	runs = runs && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#endif
#if defined(__AVX512BW__)
	runs = runs && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
#endif
	if (!runs)
		exit(FORM_SKIPPED);
}
