/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long it takes from the arrival of a report at this host (the kernel's receive time
 * stamp) to the dataplane's acknowledgement of the routes that it changed.
 *
 * A histogram with 8 buckets per octave of microseconds: quantiles are right within 12 %.
 */
#pragma once

#include <stdint.h>

#define REACTION_BUCKETS 256

struct reaction {
	uint64_t count, sum_ns;
	uint64_t bucket[REACTION_BUCKETS];
};

void reaction_add(struct reaction *reaction, uint64_t ns);

/* Upper end of the bucket with this quantile, in microseconds; 0 if nothing was counted. */
double reaction_quantile_us(const struct reaction *reaction, double quantile);

/* How many took at most 2^octave microseconds. */
uint64_t reaction_within(const struct reaction *reaction, unsigned octave);
