/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One endpoint asked again and again by HTTP, its answer read by a mapping. A request that takes
 * longer than the interval, or than 2 s, is given up; an answer over 8 MiB is refused. Whatever is
 * strange is told once, counted, and told again only after it was well in between, at most once a
 * minute in the long run.
 *
 * Runs on the caller's event loop; nothing blocks, names are looked up by evdns.
 */
#pragma once

#include "config.h"
#include "mapping.h"
#include <event2/event.h>

struct scrape;

/* Whether it can be asked at all: http://HOST:PORT/PATH. -EINVAL; error says what was expected. */
int scrape_check_url(const char *url, char error[240]);

/* -errno; error says why. `service` must outlive it. */
int scrape_open(struct scrape **out, const struct agent_service *service, struct event_base *base,
		char error[240]);
void scrape_close(struct scrape *scrape);

/* Fills *out if the last good answer is not older than three intervals; else false. */
bool scrape_read(const struct scrape *scrape, uint64_t now_ns, struct reading *out);

/* One line on stderr. */
void scrape_summary(const struct scrape *scrape);
