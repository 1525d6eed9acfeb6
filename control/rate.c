/* SPDX-License-Identifier: BSD-3-Clause */
#include "rate.h"
#include <math.h>
#include <stdbool.h>

#define SIGMAS 4
#define FOLLOW 3 /* short memories */

/* As long as so many events take, within bounds. */
static double memory_s(const struct rate *rate, double events, double least_s, double most_s)
{
	return fmin(fmax(events / fmax(rate->slow_per_s, 1e-9), least_s), most_s);
}

static bool beyond_chance(const struct rate *rate, double fast_s)
{
	/* one event more: after a silence the first is chance too */
	double deviation = sqrt((rate->slow_per_s + 1 / (2 * fast_s)) / (2 * fast_s));

	return fabs(rate->fast_per_s - rate->slow_per_s) > SIGMAS * deviation;
}

/* Young rates are plain means: the first count must not weigh more than the second. */
static double gain(const struct rate *rate, double elapsed_s, double over_s)
{
	return fmax(-expm1(-elapsed_s / over_s), elapsed_s / rate->age_s);
}

void rate_count(struct rate *rate, uint64_t events, double elapsed_s)
{
	double now_per_s = (double)events / elapsed_s;

	/* Most of an edge's many members: nothing for so long that nothing is left to forget. */
	if (events == 0 && rate->slow_per_s == 0 && rate->fast_per_s == 0 &&
	    rate->age_s >= RATE_SLOW_MOST_S && rate->follow_s <= 0)
		return;

	double slow_s = memory_s(rate, RATE_SLOW_EVENTS, RATE_SLOW_S, RATE_SLOW_MOST_S);
	double fast_s = memory_s(rate, RATE_FAST_EVENTS, RATE_FAST_S, RATE_FAST_MOST_S);

	rate->age_s = fmin(rate->age_s, slow_s) + elapsed_s;
	rate->fast_per_s += gain(rate, elapsed_s, fast_s) * (now_per_s - rate->fast_per_s);
	rate->slow_per_s += gain(rate, elapsed_s, slow_s) * (now_per_s - rate->slow_per_s);
	rate->follow_s = beyond_chance(rate, fast_s) ? FOLLOW * fast_s : rate->follow_s - elapsed_s;
	if (rate->follow_s > 0)
		rate->slow_per_s = rate->fast_per_s;
}
