/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What came out of a run: a histogram of request times with bins of under 1.1 %, sums, and how
 * much the routes moved. churn is the part of an edge's requests that goes elsewhere than it
 * did a second before, mean over edges and seconds: chance alone makes some, as `random` shows.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#define RESULT_OCTAVES 40 /* from 1 us */
#define RESULT_BINS (RESULT_OCTAVES * 64)

struct result {
	const char *scenario, *policy;
	double interval_s;
	uint64_t requests, again; /* again: asked once more, after a site died */
	uint64_t unanswered;	  /* of requests: when the run ended */
	double sum_s;
	double path_s, work_s; /* parts of the sum: path delay, work; the rest is waiting */
	uint64_t bin[RESULT_BINS];
	double churn, churn_weight;
	double utilisation; /* mean, all sites */
	double simulated_s, took_s;
	uint64_t all_requests; /* with those of the warm-up */
	uint64_t solves;
};

void result_add(struct result *result, double time_s);
double result_mean_s(const struct result *result);
double result_quantile_s(const struct result *result, double quantile);
double result_churn(const struct result *result);

void result_table_head(FILE *out);
void result_table_row(FILE *out, const struct result *result);
void result_json(FILE *out, const struct result *result, const char *indent);
