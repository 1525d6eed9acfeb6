/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of one service from what the kernel source counts (kernel.h): as meter.h, but with every
 * connection timed by the kernel, so that only "in service" is still sampled. Pure.
 *
 * Mean service time: of the timed connections that found a free server, exactly. When those are
 * the minority of the timed (overload), or connections wait in the backlog although servers should
 * be free, or nothing has completed for long, from the samples (Little 1961): integral of in
 * service over time / completions
 */
#pragma once

#include "bpf/kernel_map.h"
#include "meter.h"

struct tally;

struct tally *tally_new(uint32_t servers); /* NULL: out of memory */
void tally_free(struct tally *tally);

/* count: totals; present: connections open now; backlog: those of them not accepted yet. */
void tally_tick(struct tally *tally, uint64_t now_ns, const struct kernel_counts *count,
		uint32_t present, uint32_t backlog);

/* About each second: quantiles are over the last ten, up to the last call. */
void tally_histogram(struct tally *tally, uint64_t now_ns,
		     const struct kernel_histogram *histogram);

double tally_arrivals_per_s(const struct tally *tally);
void tally_read(struct tally *tally, struct meter_load *out);
