/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of one's own: JSON objects on standard input, one a line (telemetry/line.h), each for
 * one service with `source: stdin`. A line that is no such object is skipped and counted; each
 * reason is told once, until another comes, and at most four in ten seconds.
 *
 * Runs on the caller's event loop; nothing blocks.
 */
#pragma once

#include "config.h"
#include <event2/event.h>

struct feed;

typedef void feed_told(void *context);

/*
 * *out is NULL if no service wants it. `told` is called after lines were taken. -errno: standard
 * input is nothing that one can wait for. `config` must outlive it.
 */
int feed_open(struct feed **out, const struct agent_config *config, struct event_base *base,
	      feed_told *told, void *context, struct config_error *error);
void feed_close(struct feed *feed);

/* The last line about a service, if it is still valid: valid_for_ms of the line, or 3 s. */
bool feed_read(const struct feed *feed, unsigned service, uint64_t now_ns, struct sl_load *out);

/* Standard input has ended, and nothing that it said is valid any more. */
bool feed_ended(const struct feed *feed, uint64_t now_ns);

/* One line on stderr. */
void feed_summary(const struct feed *feed);
