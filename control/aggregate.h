/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of one service at a site with several instances, as one: aggregation at the site's
 * service metric agent (RFC 10053, C-SMA).
 *
 * Parallel servers add, and so do flows, rates and totals. Service time is that of a completion
 * of the site, whichever instance it had: with weights w by completions (instances that none
 * completes: by what they could),
 *	S = sum w S_i		S^2 (1 + c) = sum w S_i^2 (1 + c_i)
 * so that its variation c holds the instances' own and the difference between them. Exact for what
 * has completed; if fast instances get more than their share, the capacity servers / S is that of
 * this mixture.
 *
 * Quantiles of a mixture do not follow from those of its parts; the largest is given, which is an
 * upper bound, and only if all that complete anything told it. Metrics (CATS) that all told are
 * averaged, times by completions and the rest by servers; what is an amount (per second, bytes,
 * watts) adds. Pure.
 */
#pragma once

#include <suanlu/publish.h>
#include <suanlu/telemetry.pb-c.h>

#define AGGREGATE_PARTS_MAX 64
#define AGGREGATE_LATENCIES_MAX 8
#define AGGREGATE_METRICS_MAX 8

struct aggregate {
	struct sl_load load; /* arrivals and completions: sums of the parts' totals */
	struct sl_latency latency[AGGREGATE_LATENCIES_MAX];
	struct sl_metric metric[AGGREGATE_METRICS_MAX];
};

/* Of 1 to AGGREGATE_PARTS_MAX loads of one service. Texts in *out are those of the first part, and
 * out->load points into *out. */
void aggregate(const Suanlu__ServiceLoad *const *part, unsigned parts, struct aggregate *out);
