/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a report's field comes from the series of a scrape. A small part of PromQL:
 *
 *	1 - rate(node_cpu_seconds_total{mode="idle"}) / rate(node_cpu_seconds_total)
 *
 *	sum, avg, max, min, count (SERIES)	of the last scrape
 *	rate(SERIES)	rise per second of all together, over some ten seconds
 *	total(SERIES)	rise since the first scrape
 *	SERIES		the same as sum(SERIES)
 *	servers		the service's, from the configuration
 *	or		the right side if the left is unknown: other versions name a thing otherwise
 *	+ - * / ( ) and numbers
 *
 * Unknown (NaN) is what has no series, no second scrape yet, or nothing to divide by. Pure.
 */
#pragma once

#include "series.h"

struct expression;

struct expression_select { /* wanted of every series beside what the expression says */
	const char *label, *value;
};

/* -EINVAL or -ENOMEM; `error` says where and what. */
int expression_parse(struct expression **out, const char *text,
		     const struct expression_select *select, unsigned selects, char error[160]);
void expression_free(struct expression *expression);

/* One scrape: begin, all samples, end. */
void expression_begin(struct expression *expression);
void expression_take(struct expression *expression, const struct exposition_sample *sample);
void expression_end(struct expression *expression, double now_s);

double expression_value(const struct expression *expression, double servers);

/* Adds up what was strange, since the beginning. */
void expression_events(const struct expression *expression, struct series_events *sum);
