/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a report is due: each interval, and at once when load jumps (RFC 10053 asks for both), but
 * not within PACE_LEAST_NS of the last one. Pure; any monotonic clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PACE_LEAST_NS 20000000ull

struct pace {
	bool begun;
	uint64_t due_ns, sent_ns;
};

/* Flows at a service changed by more than a quarter since they were last reported, while they are
 * at least twice what it can work on: edges have to know now. */
static inline bool pace_jumped(uint32_t now, uint32_t reported, uint32_t servers)
{
	const double most = now > reported ? now : reported;
	const double change = now > reported ? now - reported : reported - now;

	return change > 0.25 * reported && most >= 2.0 * servers;
}

/* The same as bounds: there is a jump above or below these. */
static inline int64_t pace_above(uint32_t reported, uint32_t servers)
{
	const int64_t rise = (int64_t)(1.25 * reported), enough = 2 * (int64_t)servers - 1;

	return rise > enough ? rise : enough;
}

static inline int64_t pace_below(uint32_t reported, uint32_t servers)
{
	return reported >= 2 * (uint64_t)servers ? reported - (int64_t)(0.25 * reported)
						 : INT64_MIN;
}

/* true: publish now, and that is noted. Timers may be a little early. */
static inline bool pace_due(struct pace *pace, uint64_t now_ns, uint64_t interval_ns, bool jumped)
{
	if (!pace->begun || now_ns + interval_ns / 20 >= pace->due_ns) {
		pace->due_ns += interval_ns;
		if (pace->due_ns <=
		    now_ns +
			    interval_ns / 20) /* first, or late by more than one: do not catch up */
			pace->due_ns = now_ns + interval_ns;
	} else if (!jumped || now_ns - pace->sent_ns < PACE_LEAST_NS) {
		return false;
	}
	pace->begun = true;
	pace->sent_ns = now_ns;
	return true;
}

/* How long a jump has to wait. */
static inline uint64_t pace_wait_ns(const struct pace *pace, uint64_t now_ns)
{
	const uint64_t from_ns = pace->sent_ns + PACE_LEAST_NS;

	return now_ns < from_ns ? from_ns - now_ns : 0;
}
