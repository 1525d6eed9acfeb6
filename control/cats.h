/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One service at one site as CATS metrics (draft-ietf-cats-metric-definition, sections 3 and
 * 4.1): what the site said, level 0, and what this node derives from it for those who want scores,
 * levels 1 and 2. Scores are integers, 0 the poorest and 10 the best, by min-max normalisation
 * (4.2.2) between bounds that are here and in no configuration:
 *
 *	compute_norm		utilisation, 0 .. 1
 *	communication_norm	one-way path delay, 0 .. the service's max_delay_ms, or 100 ms
 *	service_norm		response, service time .. 5 times that
 *	composed_norm		delay and response, the best of the service's sites .. 5 times that
 *	norm_fi (level 2)	mean of the first three before they are rounded
 *
 * Routes are computed from delays and rates (solve/), never from these.
 */
#pragma once

#include "routes.h"

struct cats_metric {
	const char *type, *format, *unit, *source, *statistics; /* empty: not said */
	unsigned level;
	uint32_t window_ms; /* 0: not said */
	double value;
	bool derived; /* by this node; else the site's word */
};

typedef void cats_each(void *context, const struct cats_metric *metric);

/* Nothing if the site has not said anything yet; of a level that is not 0..2 neither. */
void cats_metrics(const struct routes *routes, unsigned service, unsigned k, double now_s,
		  cats_each *each, void *context);

/* 10 at best or better, 0 at worst or worse; NaN stays. Not rounded. */
double cats_score(double value, double best, double worst);
