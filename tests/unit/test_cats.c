/* SPDX-License-Identifier: BSD-3-Clause */
/* CATS metrics: what a site said comes out as it was said, and scores are those of the formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/cats.h"
#include "control/telemetry/unpack.h"
#include <math.h>

#define NOW_S 1000.0
#define METRICS_MAX 64

enum { NEAR, FAR, SITES };

struct lab {
	struct config config;
	struct config_site site[SITES];
	struct config_service service;
	unsigned member[SITES];
	struct state state;
	struct routes routes;
	struct cats_metric metric[METRICS_MAX];
	char type[METRICS_MAX][32]; /* a metric lasts only while it is told */
	unsigned metrics;
};

static int lab_open(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->member[FAR] = FAR;
	lab->site[NEAR] = (struct config_site){.name = "near", .delay_s = 0.002, .servers = 4};
	lab->site[FAR] = (struct config_site){.name = "far", .delay_s = 0.020, .servers = 8};
	lab->service = (struct config_service){
		.name = "infer", .max_delay_s = INFINITY, .site = lab->member, .sites = SITES};
	lab->config = (struct config){.node = "edge",
				      .site = lab->site,
				      .sites = SITES,
				      .service = &lab->service,
				      .services = 1};
	assert_int_equal(state_open(&lab->state, &lab->config), 0);
	assert_int_equal(routes_open(&lab->routes, &lab->state), 0);
	*state = lab;
	return 0;
}

static int lab_close(void **state)
{
	struct lab *lab = *state;

	routes_close(&lab->routes);
	state_close(&lab->state);
	free(lab);
	return 0;
}

/* As from a verified report, whose loads the state keeps. */
static void say(struct lab *lab, unsigned site, Suanlu__ServiceLoad *load)
{
	Suanlu__ServiceLoad *loads[] = {load};
	Suanlu__Report report = SUANLU__REPORT__INIT, *copy;
	uint8_t bytes[2000];
	size_t length;

	load->service = "infer";
	report.valid_for_ms = 500;
	report.load = loads;
	report.n_load = 1;
	length = suanlu__report__pack(&report, bytes);
	copy = unpack_report(bytes, length);
	assert_non_null(copy);
	state_site_report(&lab->state, site, copy, NOW_S, NOW_S, 1);
	state_site_said(&lab->state, site, copy);
	unpack_release(copy);
}

static void take(void *context, const struct cats_metric *metric)
{
	struct lab *lab = context;

	assert_true(lab->metrics < METRICS_MAX);
	snprintf(lab->type[lab->metrics], sizeof(*lab->type), "%s", metric->type);
	lab->metric[lab->metrics++] = *metric;
}

static void tell(struct lab *lab, unsigned site, double now_s)
{
	lab->metrics = 0;
	cats_metrics(&lab->routes, 0, site, now_s, take, lab);
}

static const struct cats_metric *find(const struct lab *lab, const char *type)
{
	for (unsigned i = 0; i < lab->metrics; i++)
		if (strcmp(lab->type[i], type) == 0)
			return &lab->metric[i];
	return NULL;
}

static void assert_value(const struct lab *lab, const char *type, double value)
{
	const struct cats_metric *metric = find(lab, type);

	if (!metric)
		fail_msg("no %s", type);
	if (fabs(metric->value - value) > 1e-9)
		fail_msg("%s: %g instead of %g", type, metric->value, value);
}

static void assert_score(const struct lab *lab, const char *type, unsigned level, double value)
{
	const struct cats_metric *metric = find(lab, type);

	assert_value(lab, type, value);
	assert_int_equal(metric->level, level);
	assert_true(metric->derived);
	assert_string_equal(metric->source, "normalization");
}

static void scores_are_min_max(void **state)
{
	static const struct {
		double value, best, worst, score;
	} cases[] = {
		{0, 0, 1, 10},	{1, 0, 1, 0},	     {0.25, 0, 1, 7.5},
		{-1, 0, 1, 10}, {7, 0, 1, 0},	     {0.5, 0.1, 0.9, 5},
		{3, 3, 15, 10}, {9, 3, 15, 5},	     {5, 5, 5, 10},
		{6, 5, 5, 0},	{INFINITY, 0, 1, 0}, {INFINITY, INFINITY, INFINITY, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (fabs(cats_score(cases[i].value, cases[i].best, cases[i].worst) -
			 cases[i].score) > 1e-9)
			fail_msg("case %zu: %g", i,
				 cats_score(cases[i].value, cases[i].best, cases[i].worst));
	assert_true(isnan(cats_score(NAN, 0, 1)) && isnan(cats_score(1, NAN, 2)));
}

static void nothing_said_is_nothing_told(void **state)
{
	struct lab *lab = *state;

	tell(lab, NEAR, NOW_S);
	assert_int_equal(lab->metrics, 0);
}

static void what_was_said_is_told(void **state)
{
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT;
	Suanlu__LatencyQuantile latency = SUANLU__LATENCY_QUANTILE__INIT, *latencies[] = {&latency};
	Suanlu__Metric metric[] = {SUANLU__METRIC__INIT, SUANLU__METRIC__INIT,
				   SUANLU__METRIC__INIT};
	Suanlu__Metric *metrics[] = {&metric[0], &metric[1], &metric[2]};
	struct lab *lab = *state;

	latency.quantile = 0.99;
	latency.latency_s = 0.25;
	metric[0].type = "compute_cpu";
	metric[0].unit = "none";
	metric[0].source = "aggregation";
	metric[0].statistics = "mean";
	metric[0].window_ms = 1000;
	metric[0].value = 0.75;
	metric[1].type = "of_another_world"; /* not known to us: told as it is */
	metric[1].level = 1;
	metric[1].value = -3;
	metric[2].type = "of_no_level";
	metric[2].level = 3; /* ignored, not refused */
	load.servers = 4;
	load.service_time_s = 0.010;
	load.in_flight = 3;
	load.queued = 1;
	load.arrivals_per_s = 200;
	load.completions = 4711;
	load.latency = latencies;
	load.n_latency = 1;
	load.metric = metrics;
	load.n_metric = 3;
	say(lab, NEAR, &load);
	tell(lab, NEAR, NOW_S);
	assert_value(lab, "servers", 4);
	assert_value(lab, "in_flight", 3);
	assert_value(lab, "queued", 1);
	assert_value(lab, "service_time", 0.010);
	assert_value(lab, "arrivals_per_s", 200);
	assert_value(lab, "completions", 4711);
	assert_value(lab, "latency_p99", 0.25);
	assert_value(lab, "compute_cpu", 0.75);
	assert_string_equal(find(lab, "compute_cpu")->source, "aggregation");
	assert_int_equal(find(lab, "compute_cpu")->window_ms, 1000);
	assert_false(find(lab, "compute_cpu")->derived);
	assert_value(lab, "of_another_world", -3);
	assert_int_equal(find(lab, "of_another_world")->level, 1);
	assert_null(find(lab, "of_no_level"));
	assert_null(find(lab, "service_scv")); /* not said */
	assert_null(find(lab, "cpu_utilisation"));
}

/* near: 4 servers of 10 ms, half used, 2 ms away. far: 8 of 10 ms, 80 % used, 20 ms away. */
static void load_both(struct lab *lab)
{
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT;

	load.service_time_s = 0.010;
	load.servers = 4;
	load.arrivals_per_s = 200;
	say(lab, NEAR, &load);
	load.servers = 8;
	load.arrivals_per_s = 640;
	say(lab, FAR, &load);
	lab->routes.service[0].response_s[NEAR] = 0.010;
	lab->routes.service[0].response_s[FAR] = 0.030;
}

static void scores_are_derived(void **state)
{
	struct lab *lab = *state;

	load_both(lab);
	tell(lab, NEAR, NOW_S);
	assert_score(lab, "compute_norm", 1, 5);	/* 1 - 0.5 */
	assert_score(lab, "communication_norm", 1, 10); /* 1 - 2/100 = 9.8 */
	assert_score(lab, "service_norm", 1, 10);	/* no waiting */
	assert_score(lab, "composed_norm", 1, 10);	/* the best there is */
	assert_score(lab, "norm_fi", 2, 8);		/* (5 + 9.8 + 10) / 3 = 8.27 */
	tell(lab, FAR, NOW_S);
	assert_score(lab, "compute_norm", 1, 2);
	assert_score(lab, "communication_norm", 1, 8);
	assert_score(lab, "service_norm", 1, 5);  /* 30 ms between 10 and 50 */
	assert_score(lab, "composed_norm", 1, 2); /* 50 ms between 12 and 60: 2.08 */
	assert_score(lab, "norm_fi", 2, 5);	  /* (2 + 8 + 5) / 3 */
	/* a service with a bound of its own */
	lab->service.max_delay_s = 0.025;
	tell(lab, FAR, NOW_S);
	assert_score(lab, "communication_norm", 1, 2);
}

/* Of what is old, or does not say how long it works, no score is made up. */
static void said_twice_is_told_once(void **state)
{
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT;
	Suanlu__Metric metric[] = {SUANLU__METRIC__INIT, SUANLU__METRIC__INIT,
				   SUANLU__METRIC__INIT};
	Suanlu__Metric *metrics[] = {&metric[0], &metric[1], &metric[2]};
	struct lab *lab = *state;
	unsigned told = 0;

	for (unsigned i = 0; i < 3; i++) {
		metric[i].type = "compute_cpu";
		metric[i].statistics = i < 2 ? "mean" : "max";
		metric[i].value = i;
	}
	load.servers = 4;
	load.metric = metrics;
	load.n_metric = 3;
	say(lab, NEAR, &load);
	tell(lab, NEAR, NOW_S);
	for (unsigned i = 0; i < lab->metrics; i++)
		told += strcmp(lab->type[i], "compute_cpu") == 0;
	assert_int_equal(told, 2);
	assert_value(lab, "compute_cpu", 0);
}

static void unknown_has_no_score(void **state)
{
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT;
	struct lab *lab = *state;

	load_both(lab);
	tell(lab, NEAR, NOW_S + 10);
	assert_value(lab, "servers", 4);
	assert_null(find(lab, "compute_norm"));
	assert_null(find(lab, "norm_fi"));
	load.servers = 4;
	say(lab, NEAR, &load);
	lab->routes.service[0].response_s[NEAR] = NAN;
	lab->routes.service[0].response_s[FAR] = NAN;
	tell(lab, NEAR, NOW_S);
	assert_score(lab, "communication_norm", 1, 10);
	assert_null(find(lab, "service_norm"));
	assert_null(find(lab, "composed_norm"));
	assert_null(find(lab, "norm_fi"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_are_min_max),
		cmocka_unit_test_setup_teardown(nothing_said_is_nothing_told, lab_open, lab_close),
		cmocka_unit_test_setup_teardown(what_was_said_is_told, lab_open, lab_close),
		cmocka_unit_test_setup_teardown(scores_are_derived, lab_open, lab_close),
		cmocka_unit_test_setup_teardown(said_twice_is_told_once, lab_open, lab_close),
		cmocka_unit_test_setup_teardown(unknown_has_no_score, lab_open, lab_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
