/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How busy this host's processors are, from /proc/stat (proc(5)).
 */
#pragma once

#include <stdint.h>

struct cpu {
	uint64_t busy, total; /* clock ticks at the start of the window */
	uint64_t from_ns;     /* 0: no window yet */
	double utilisation;   /* over the last whole window; negative: unknown */
};

/* Renews cpu->utilisation at most once a second; now_ns: any monotonic clock. */
void cpu_sample(struct cpu *cpu, uint64_t now_ns);
