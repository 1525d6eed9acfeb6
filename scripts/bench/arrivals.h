/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that come by chance (a Poisson process), and how long each takes from then until it is
 * sent. A card's queue stands before the worker: who asks gets what has come, and while
 * ARRIVALS_WAIT_MAX wait there, what comes is lost.
 *
 * A queue's worker calls arrivals_due and delays_add, the timer all else.
 */
#pragma once

#include <stdint.h>

#define ARRIVALS_WAIT_MAX 1024

#define DELAYS_FINE 32 /* parts of each power of two: quantiles are right to 3 % */
#define DELAYS_STEPS (40 * DELAYS_FINE)

/* How often each delay was seen, in ticks of the TSC. */
struct delays {
	uint64_t count[DELAYS_STEPS];
	uint64_t n, sum;
};

struct arrivals {
	double wanted; /* timer: rw; ticks between two in the mean, 0: as many as are asked for */
	double ticks_each;
	uint64_t next; /* when the next one comes */
	uint32_t at;   /* place among the gaps */
	uint64_t lost; /* timer: ro */
};

void arrivals_init(void);

/* From now on so many a second; 0: as many as are asked for. */
void arrivals_rate(struct arrivals *arrivals, double per_s);

/* When each of those came that are there now, at most `max`; returns how many. */
unsigned arrivals_due(struct arrivals *arrivals, uint64_t now, uint64_t *when, unsigned max);

static inline void delays_add(struct delays *delays, uint64_t ticks)
{
	unsigned power = 63 - __builtin_clzll(ticks | DELAYS_FINE);
	unsigned step = (power - 5) * DELAYS_FINE + (ticks >> (power - 5));

	delays->count[step < DELAYS_STEPS ? step : DELAYS_STEPS - 1]++;
	delays->n++;
	delays->sum += ticks;
}

/* Of all together, in ns. */
double delays_mean(const struct delays *delays, unsigned n);
double delays_quantile(const struct delays *delays, unsigned n, double quantile);
