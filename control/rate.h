/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events per second from counts: steady while the counts may be chance, quick when not.
 *
 * Flows arrive about as a Poisson process. The exponentially weighted rate of one has
 * variance rate / (2 tau) (Campbell's theorem), so a long memory is quiet and a short one
 * quick. Two are kept, as long as 200 and 40 events take (noise 5 and 11 %), within bounds.
 * While the short one is within 4 standard deviations of the long one, the difference may be
 * chance and the long one stands; past that, demand has really changed, and for three short
 * memories, until the short one has forgotten what was before, its value is taken. So a surge
 * from 100 to 400 flows a second is seen in the first 50 ms and nearly all followed in 0.25 s.
 * Pure.
 */
#pragma once

#include <stdint.h>

#define RATE_SLOW_S 0.2 /* bounds of the memories */
#define RATE_SLOW_MOST_S 1.0
#define RATE_FAST_S 0.05
#define RATE_FAST_MOST_S 0.1
#define RATE_SLOW_EVENTS 200
#define RATE_FAST_EVENTS 40

struct rate {
	double slow_per_s; /* the answer */
	double fast_per_s;
	double age_s;	 /* of what is averaged, as far as it matters */
	double follow_s; /* the change is this young: the fast one is taken */
};

/* Zero bytes are a rate of nothing yet. `events` happened in the last `elapsed_s` > 0 seconds. */
void rate_count(struct rate *rate, uint64_t events, double elapsed_s);
