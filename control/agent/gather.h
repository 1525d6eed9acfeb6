/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of a service, from all sources, as one load: its connections, its endpoint, its
 * own numbers, its host. Connections win where both tell the same; of what nobody tells nothing is
 * said. Pure.
 */
#pragma once

#include "pressure.h"
#include "report.h"

struct gathered_host {
	double cpu_utilisation; /* negative: unknown, as the others */
	double runqueue_s;
	const struct pressure *pressure;
};

/* Connections that were watched, on this host. */
void gather_watched(struct report_load *out, const struct meter_load *load, uint32_t servers,
		    bool timed, const struct gathered_host *host);

/* The endpoint's numbers, of a service that is watched, too: they add. */
void gather_more(struct report_load *out, const struct reading *reading);

/* What was said on standard input, all of it plausible. */
void gather_said(struct report_load *out, const struct sl_load *said);

/* Only the endpoint's. false: it does not tell how busy the service is. */
bool gather_scraped(struct report_load *out, const struct reading *reading, uint32_t servers);
