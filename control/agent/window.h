/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of what happened at a service, kept for a minute in slots of 50 ms, so that a figure can be
 * formed of the last second, or of as much longer as it takes until enough has happened. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_SLOTS (60 * 20)

struct window_sums {
	uint64_t span_ns, ticks; /* looked at, and how often */
	uint64_t busy_ns;	 /* integral of in service over time */
	uint64_t idle_ticks;	 /* connections in the backlog although servers were free */
	uint64_t arrivals, completions, requests;
	/* completions of those that found a free server, and their times */
	uint64_t timed;
	double timed_s, timed_s2;
	/* completions whose whole stay was seen */
	uint64_t sojourns;
	double sojourn_s;
};

struct window {
	struct window_sums slot[WINDOW_SLOTS];
	unsigned head; /* being filled */
};

/* What happened since the last time. */
void window_add(struct window *window, const struct window_sums *sums);

/* The latest slots: at least a second of them, then more until there are enough of both. */
struct window_sums window_sum(const struct window *window, uint64_t completions, uint64_t timed);

/*
 * So too, for a mean service time: enough completions that it is one, at least 20 or as many
 * as servers; of a service that is nearly idle five in the whole minute. completions 0: too few.
 */
struct window_sums window_completions(const struct window *window, uint32_t servers);

/* Mean time that a completion was in service, by the samples (Little 1961). 0: unknown. */
double window_sampled_s(const struct window_sums *sums);

/* Squared coefficient of variation of the times; noise_s2: variance that the measurement adds.
 * Negative: unknown. */
double window_scv(const struct window_sums *sums, double noise_s2);
