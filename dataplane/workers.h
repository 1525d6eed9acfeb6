/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts and stops the workers, and wakes those that sleep. Main thread only.
 */
#pragma once

#include "pin_file.h"
#include "worker.h"

struct workers {
	unsigned workers; /* running */
	struct worker_clock clock;
	struct worker worker[SL_WORKERS_MAX];
	int wake;
	int wants;	  /* readable: a worker wants to know the way to a segment */
	uint32_t asked_s; /* second that `asked` counts in */
	unsigned asked;
};

/* One worker on each lcore but the main one. 0 or -errno, said on stderr. */
int workers_start(struct workers *workers, const struct ports *ports, struct routes *routes,
		  const struct pin_file *pins, const struct reflect_rule *reflect,
		  struct probes *probes, struct taps *taps, bool busy_poll);
void workers_stop(struct workers *workers);

/* `wants` is readable: has the ways looked for that workers miss (adjacency.h). */
void workers_wants(struct workers *workers, struct routes *routes);

/* Renews their clock, once a second. */
void workers_tick(struct workers *workers);
