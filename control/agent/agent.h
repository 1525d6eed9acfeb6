/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measure, and publish: one step of the agent, at a pace that costs at most 1 % of a CPU.
 *
 *	watch (connections: BPF or sock_diag) \
 *	scrape (an endpoint's metrics, ORCA)   \
 *	feed (numbers on standard input)       /- gather -> report -> edges
 *	cpu, pressure, runqueue (the host)    /
 *
 * Published each interval, and at once when the connections present at a service
 * change by more than a quarter while they are at least twice what it can work on: then
 * edges have to know. A service whose endpoint does not answer is left out.
 */
#pragma once

#include "config.h"
#include <event2/event.h>

struct agent;

/* Load has jumped: agent_step is to be called in so many nanoseconds. */
typedef void agent_wake(void *context, uint64_t in_ns);

/* -errno; error->text says why and the remedy. `config` and `base` must outlive it. */
int agent_open(struct agent **out, const struct agent_config *config, struct event_base *base,
	       agent_wake *wake, void *context, struct config_error *error);
void agent_close(struct agent *agent);

/* now_ns: CLOCK_MONOTONIC. Returns when to call again, in nanoseconds from now_ns. */
uint64_t agent_step(struct agent *agent, uint64_t now_ns);

/* All numbers came from standard input, that has ended, and none is valid any more. */
bool agent_ended(const struct agent *agent, uint64_t now_ns);

/* What was measured in all, up to now, one line per service, on stderr. */
void agent_summary(struct agent *agent, uint64_t now_ns);
