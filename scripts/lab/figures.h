/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the client measured: a JSON line per second, and one of everything at the end.
 *
 * Latency is from when a request was *due*, so a client that falls behind, or a server that
 * refuses to accept, cannot hide waiting (no coordinated omission). A failed request
 * counts in quantiles with the whole timeout, however fast it failed.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#define FIGURES_SITE_MAX 16 /* bytes of a site's name with its NUL */

enum failure {
	FAILURE_NONE,
	FAILURE_REFUSED,
	FAILURE_RESET,
	FAILURE_CLOSED, /* before the answer was complete */
	FAILURE_STATUS, /* not 200, or not HTTP */
	FAILURE_TIMEOUT,
	FAILURE_LOCAL, /* no socket, no port, no route */
	FAILURES,
};

struct figures;

struct figures *figures_new(uint64_t timeout_us);
void figures_due(struct figures *figures);
void figures_done(struct figures *figures, uint64_t latency_us, const char *site);
void figures_failed(struct figures *figures, enum failure failure);
const char *failure_text(enum failure failure);

/* One line to `out` about what happened since the last call; unix_s: when that was. */
void figures_second(struct figures *figures, double unix_s, FILE *out);
void figures_summary(struct figures *figures, double seconds, FILE *out);
