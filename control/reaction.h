/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long it takes to the dataplane's acknowledgement of the routes that a report changed, from
 * its arrival at this host (the kernel's receive time stamp), and from when its site measured it,
 * which is as right as the two hosts' clocks are alike.
 *
 * A histogram with 8 buckets per octave of microseconds: quantiles are right within 12 %.
 */
#pragma once

#include <stdint.h>

#define REACTION_BUCKETS 256

/* The report behind a change: CLOCK_MONOTONIC of this host; zeros: none. */
struct reaction_cause {
	uint64_t arrived_ns, measured_ns;
};

struct reaction {
	uint64_t count, sum_ns;
	uint64_t bucket[REACTION_BUCKETS];
};

void reaction_add(struct reaction *reaction, uint64_t ns);

/* Upper end of the bucket with this quantile, in microseconds; 0 if nothing was counted. */
double reaction_quantile_us(const struct reaction *reaction, double quantile);

/* How many took at most 2^octave microseconds. */
uint64_t reaction_within(const struct reaction *reaction, unsigned octave);
