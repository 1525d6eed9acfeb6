/* SPDX-License-Identifier: BSD-3-Clause */
#include "rate.h"
#include <math.h>
#include <stdbool.h>

#define SIGMAS 4
#define FOLLOW_S (3 * RATE_FAST_S)

static bool beyond_chance(const struct rate *rate)
{
	double deviation = sqrt(rate->slow_per_s / (2 * RATE_FAST_S));

	return fabs(rate->fast_per_s - rate->slow_per_s) > SIGMAS * deviation;
}

/* Young rates are plain means: the first count must not weigh more than the second. */
static double gain(const struct rate *rate, double elapsed_s, double memory_s)
{
	return fmax(-expm1(-elapsed_s / memory_s), elapsed_s / rate->age_s);
}

void rate_count(struct rate *rate, uint64_t events, double elapsed_s)
{
	double now_per_s = (double)events / elapsed_s;

	rate->age_s = fmin(rate->age_s, RATE_SLOW_S) + elapsed_s;
	rate->fast_per_s += gain(rate, elapsed_s, RATE_FAST_S) * (now_per_s - rate->fast_per_s);
	rate->slow_per_s += gain(rate, elapsed_s, RATE_SLOW_S) * (now_per_s - rate->slow_per_s);
	rate->follow_s = beyond_chance(rate) ? FOLLOW_S : rate->follow_s - elapsed_s;
	if (rate->follow_s > 0)
		rate->slow_per_s = rate->fast_per_s;
}
