/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of one service, from samples of its open connections and from the kernel's
 * notice of each one that ended. Pure: cookies and times in, numbers out.
 *
 * At each tick: meter_begin, meter_ended for each notice, meter_seen for each open
 * connection, meter_end. Then, exactly,
 *	arrivals == completions + open now - open at the first tick
 * and, by sampling (unbiased, whatever the period),
 *	integral of in service over time == completions * mean service time   (Little 1961)
 *
 * Nothing is made up: what the samples cannot tell is reported as unknown. A connection
 * counts as one flow from its establishment to its end, so a service that keeps idle
 * connections open has to publish its own numbers.
 */
#pragma once

#include "flows.h"
#include <suanlu/publish.h>

#define METER_LATENCIES 3

struct meter_load {
	uint32_t in_flight;    /* being worked on: accepted, at most `servers` */
	uint32_t queued;       /* established, but not that */
	double service_time_s; /* 0: unknown */
	double service_scv;    /* negative: unknown */
	double arrivals_per_s, completions_per_s;
	uint64_t arrivals, completions; /* since the first tick */
	uint64_t missed;		/* ends that the kernel did not tell of */
	double busy_s;			/* integral of in service since the first tick */
	/* by the kernel source only (tally.h), else 0 */
	uint64_t timed;	       /* completions that found a free server */
	double timed_s;	       /* their time in all */
	uint64_t sojourns;     /* completions that were timed, those that waited included */
	double sojourn_s;      /* mean time from establishment to end, over the last second */
	double requests_per_s; /* within connections */
	struct sl_latency latency[METER_LATENCIES];
	unsigned latencies;
};

struct meter;

struct meter *meter_new(uint32_t servers); /* NULL: out of memory */
void meter_free(struct meter *meter);

void meter_begin(struct meter *meter, uint64_t now_ns);
void meter_ended(struct meter *meter, uint64_t cookie);
/*
 * open: established or closed by the peer only, so that the service still has work with it.
 * accepted: the service has taken it from the backlog. -ENOMEM.
 */
int meter_seen(struct meter *meter, uint64_t cookie, bool open, bool accepted);
void meter_end(struct meter *meter);

/* As of the last meter_end. Mean service time: over the last second, or as far back as 20
 * completions (or as many as servers) need, at most a minute; then the last known. */
void meter_read(struct meter *meter, struct meter_load *out);

/* in_flight + queued, cheaply. */
uint32_t meter_present(const struct meter *meter);
