/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two clocks: what is compared with other machines is Unix time in microseconds, all else
 * CLOCK_MONOTONIC. Modules that compute get the time passed in; only the loop reads clocks.
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline double clock_s(void)
{
	return (double)clock_ns() / 1e9;
}

static inline uint64_t clock_unix_us(void)
{
	return clock_read_ns(CLOCK_REALTIME) / 1000;
}
