/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A caller's struct sl_report in protobuf's structs, cut into reports that fit a datagram.
 *
 * Entries are all loads, then all demands, then all paths; a slice of them with the site's
 * facts is one report. Strings stay the caller's: a draft must not outlive its report.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <suanlu/publish.h>
#include <suanlu/telemetry.pb-c.h>

struct draft {
	Suanlu__Report head; /* site facts, no entries; sequence is the caller's to set */
	size_t entries;
	void **entry; /* pointers into the lists below, in order */
	const struct sl_report *from;
	Suanlu__ServiceLoad *load;
	Suanlu__LatencyQuantile *latency;
	Suanlu__LatencyQuantile **latency_list;
	Suanlu__Metric *metric;
	Suanlu__Metric **metric_list;
	Suanlu__ServiceDemand *demand;
	Suanlu__SiteFlows *flows;
	Suanlu__SiteFlows **flows_list;
	Suanlu__PathDelay *path;
	Suanlu__Announcement announcement;
	Suanlu__Offer *offer;
	Suanlu__Offer **offer_list;
};

/* 0 or -ENOMEM. now_us: Unix time, for a report that does not say when it was measured. */
int draft_init(struct draft *draft, const struct sl_report *report, uint64_t now_us);
void draft_free(struct draft *draft);

/*
 * The end of the slice that starts at `first`: as many entries as fit, and at least one if
 * any is left (an entry that does not fit by itself is not plausible, see plausible.h).
 */
size_t draft_cut(const struct draft *draft, size_t first);

/* The report of entries first .. end - 1. */
Suanlu__Report draft_slice(const struct draft *draft, size_t first, size_t end);
