/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much this host's processes had to wait for a CPU and for memory: pressure stall
 * information, /proc/pressure (kernel's Documentation/accounting/psi.rst). A share of time, over
 * the last whole second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum pressure_of { PRESSURE_CPU, PRESSURE_MEMORY, PRESSURES };

struct pressure {
	uint64_t from_ns; /* 0: no window yet */
	uint64_t total_us[PRESSURES];
	double share[PRESSURES]; /* negative: unknown */
};

/* Renews at most once a second; now_ns: any monotonic clock. */
void pressure_sample(struct pressure *pressure, uint64_t now_ns);
