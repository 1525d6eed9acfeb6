/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "control/describe.h"
#include "control/routes.h"

#define VALID_S 0.5
#define EPSILON 1e-9

enum { A, B, C, SITES };

/* One service at three sites, 2, 8 and 20 ms away, 4, 4 and 8 servers of 10 ms. */
struct lab {
	struct config config;
	struct config_site site[SITES];
	struct config_service service;
	struct config_edge edge[2];
	unsigned member[SITES];
	char label[1][SL_NAME_MAX];
	struct state state;
	struct routes routes;
	double now_s;
	uint64_t arrivals[SITES];
};

static void lab_describe(struct lab *lab)
{
	static const double delay_s[] = {0.002, 0.008, 0.020};

	*lab = (struct lab){.now_s = 1000, .member = {A, B, C}, .label = {"ai"}};
	for (unsigned i = 0; i < SITES; i++) {
		lab->site[i] = (struct config_site){.name = {(char)('a' + i)},
						    .delay_s = delay_s[i],
						    .servers = i == C ? 8 : 4};
	}
	lab->service = (struct config_service){
		.name = "infer", .max_delay_s = INFINITY, .site = lab->member, .sites = SITES};
	lab->config = (struct config){.node = "edge1",
				      .site = lab->site,
				      .sites = SITES,
				      .service = &lab->service,
				      .services = 1,
				      .edge = lab->edge};
}

static void lab_open(struct lab *lab)
{
	assert_int_equal(state_open(&lab->state, &lab->config), 0);
	assert_int_equal(routes_open(&lab->routes, &lab->state), 0);
	lab->routes.settled = true;
}

static void lab_close(struct lab *lab)
{
	routes_close(&lab->routes);
	state_close(&lab->state);
}

static void report_labelled(struct lab *lab, unsigned site, double arrivals_per_s, char **label,
			    size_t labels)
{
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT, *loads[] = {&load};
	Suanlu__Report report = SUANLU__REPORT__INIT;

	load.service = "infer";
	load.servers = lab->site[site].servers;
	load.service_time_s = 0.010;
	load.arrivals_per_s = arrivals_per_s;
	report.valid_for_ms = (uint32_t)(VALID_S * 1000);
	report.load = loads;
	report.n_load = 1;
	report.labels = label;
	report.n_labels = labels;
	state_site_report(&lab->state, site, &report, lab->now_s, lab->now_s, 1);
}

static void report(struct lab *lab, unsigned site, double arrivals_per_s)
{
	report_labelled(lab, site, arrivals_per_s, NULL, 0);
}

static bool update(struct lab *lab)
{
	return routes_update(&lab->routes, 0, lab->now_s);
}

static double share(const struct lab *lab, unsigned site)
{
	return lab->routes.service[0].share[site];
}

static void assert_sum(const struct lab *lab)
{
	assert_true(fabs(share(lab, A) + share(lab, B) + share(lab, C) - 1) < EPSILON);
}

/* Time goes on: those of `reporting` (a bit each) report every 100 ms, routes turn every 50. */
static void pass(struct lab *lab, double seconds, unsigned reporting)
{
	for (unsigned i = 0; i < lround(seconds / 0.05); i++) {
		lab->now_s += 0.05;
		for (unsigned k = 0; i % 2 == 0 && k < SITES; k++)
			if (reporting & 1u << k)
				report(lab, k, share(lab, k) * lab->state.service[0].demand_per_s);
		for (unsigned k = 0; k < SITES; k++)
			lab->state.service[0].member[k].own_per_s =
				share(lab, k) * lab->state.service[0].demand_per_s;
		update(lab);
		assert_sum(lab);
	}
}

#define ALL 7u

static void assert_why(const struct lab *lab, unsigned site, const char *expected)
{
	char why[96];

	routes_why(&lab->routes, 0, site, lab->now_s, why, sizeof(why));
	assert_string_equal(why, expected);
}

static void test_capacity(void **state)
{
	struct lab lab;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	assert_true(update(&lab));
	assert_int_equal(lab.routes.service[0].basis, ROUTES_CAPACITY);
	assert_int_equal(lab.routes.service[0].weight[A], 250000);
	assert_int_equal(lab.routes.service[0].weight[B], 250000);
	assert_int_equal(lab.routes.service[0].weight[C], 500000);
	assert_true(isnan(lab.routes.service[0].predicted_s));
	assert_why(&lab, A, "used, by capacity: no report yet");
	assert_false(update(&lab));
	lab_close(&lab);
}

/* Until they report, sites finish what the operator says of them. */
static void test_capacity_said(void **state)
{
	static const uint32_t flows_per_s[SITES] = {100, 300, 600};
	struct solve_site site[SL_CANDIDATES_MAX];
	struct lab lab;

	(void)state;
	lab_describe(&lab);
	for (unsigned k = 0; k < SITES; k++)
		lab.site[k].flows_per_s = flows_per_s[k];
	lab_open(&lab);
	assert_true(update(&lab));
	for (unsigned k = 0; k < SITES; k++) {
		assert_true(fabs(share(&lab, k) - flows_per_s[k] / 1000.0) < 1e-6);
		assert_int_equal(lab.routes.service[0].standby[k], flows_per_s[k]);
	}
	report(&lab, B, 100);
	describe_sites(&lab.state, 0, lab.now_s, site);
	assert_true(fabs(queue_capacity_per_s(&site[A].queue) - 100) < 1e-6);
	assert_true(fabs(queue_capacity_per_s(&site[C].queue) - 600) < 1e-6);
	lab_close(&lab);

	lab_describe(&lab); /* not of all: by servers */
	lab.site[A].flows_per_s = 100;
	lab_open(&lab);
	assert_true(update(&lab));
	assert_true(share(&lab, A) == 0.25);
	assert_int_equal(lab.routes.service[0].standby[A], lab.site[A].servers);
	lab_close(&lab);
}

/* It says that it finishes 400 a second; the operator gave it 100. */
static void test_claim(void **state)
{
	struct lab lab;

	(void)state;
	lab_describe(&lab);
	lab.site[A].flows_per_s = 100;
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 400;
	pass(&lab, 3, ALL);
	assert_true(share(&lab, A) * 400 < 100);
	assert_true(share(&lab, B) > 0.5);
	assert_true(lab.routes.service[0].response_s[A] >= 0.040);
	lab_close(&lab);
}

static void test_load(void **state)
{
	struct lab lab;
	const struct route *route;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 400;
	pass(&lab, 3, ALL);
	route = &lab.routes.service[0];
	assert_int_equal(route->basis, ROUTES_LOAD);
	/* a alone serves 400 at most: some goes to b, and both are equally dear */
	assert_true(share(&lab, A) > 0.5 && share(&lab, B) > 0.2 && share(&lab, C) < 0.05);
	assert_true(fabs(route->marginal_s[A] - route->marginal_s[B]) < 0.0005);
	assert_true(route->predicted_s > 0.012 && route->predicted_s < 0.020);
	assert_int_equal(route->weight[C], 0);
	assert_why(&lab, A, "used");
	lab_close(&lab);
}

/* The dataplane begins anew with the waits that it is told: what it sent meanwhile is in them. */
static void test_uncounted(void **state)
{
	struct state_member *member;
	const struct route *route;
	struct lab lab;
	float wait_s;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 400;
	pass(&lab, 3, ALL);
	route = &lab.routes.service[0];
	member = &lab.state.service[0].member[A];
	wait_s = route->wait_s[A];
	assert_false(update(&lab)); /* nothing is new */
	member->counted.at_s = lab.now_s;
	member->own_per_s = 100;
	member->uncounted = 1 + (uint64_t)lround(100 * 2 * lab.state.site[A].delay_s);
	update(&lab); /* as many as usual */
	assert_true(fabsf(route->wait_s[A] - wait_s) < 2 * route->step_s[A]);
	member->uncounted += 40;
	assert_false(update(&lab)); /* waits alone are not told so soon */
	lab.now_s += 0.02;
	assert_true(update(&lab));
	assert_true(route->wait_s[A] > wait_s + 10 * route->step_s[A]);
	lab_close(&lab);
}

/* A surge at a from elsewhere sends us away from it. */
static void test_surge(void **state)
{
	struct lab lab;
	double before;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 200;
	pass(&lab, 3, ALL);
	before = share(&lab, A);
	for (unsigned i = 0; i < 10; i++) {
		lab.now_s += 0.1;
		report(&lab, A, 350 + 200 * share(&lab, A));
		report(&lab, B, 200 * share(&lab, B));
		report(&lab, C, 0);
		for (unsigned k = 0; k < SITES; k++)
			lab.state.service[0].member[k].own_per_s = 200 * share(&lab, k);
		update(&lab);
	}
	assert_true(before > 0.9 && share(&lab, A) < 0.3);
	lab_close(&lab);
}

static void test_never_and_silent(void **state)
{
	struct lab lab;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 300;
	pass(&lab, 2, 1u << A | 1u << B);
	assert_true(share(&lab, C) == 0);
	assert_why(&lab, C, "never reported");
	lab.now_s += VALID_S - 0.06; /* a reported 50 ms before */
	report(&lab, B, 100);
	update(&lab);
	assert_true(share(&lab, A) > 0);
	lab.now_s += 0.07; /* a's last report has run out */
	assert_true(update(&lab));
	assert_true(share(&lab, A) == 0);
	assert_int_equal(lab.routes.service[0].weight[A], 0);
	assert_int_equal(lab.routes.service[0].weight[B], ROUTES_WEIGHT_SUM);
	assert_why(&lab, A, "silent for 0.6 s");
	lab_close(&lab);
}

static void test_excluded(void **state)
{
	struct lab lab;
	char *labels[] = {"ai"};

	(void)state;
	lab_describe(&lab);
	lab.service.require = lab.label;
	lab.service.requires = 1;
	lab.service.max_delay_s = 0.010;
	lab.site[A].label = lab.label;
	lab.site[A].labels = 1;
	lab_open(&lab);
	report(&lab, A, 0);
	report(&lab, B, 0);
	report_labelled(&lab, C, 0, labels, 1);
	update(&lab);
	assert_int_equal(lab.routes.service[0].weight[A], ROUTES_WEIGHT_SUM);
	assert_why(&lab, B, "lacks label ai");
	assert_why(&lab, C, "delay 20 ms over 10 ms");
	lab.now_s += 0.1;
	report_labelled(&lab, B, 0, labels, 1); /* it says so itself */
	lab.state.site[A].drained = true;
	assert_true(update(&lab));
	assert_why(&lab, A, "drained");
	assert_int_equal(lab.routes.service[0].weight[A], 0);
	assert_int_equal(lab.routes.service[0].weight[B], ROUTES_WEIGHT_SUM);
	lab.state.site[B].drained = true;
	assert_true(update(&lab));
	assert_int_equal(lab.routes.service[0].basis, ROUTES_NOTHING);
	assert_int_equal(lab.routes.service[0].weight[A] + lab.routes.service[0].weight[B], 0);
	lab_close(&lab);
}

/* No share rises faster than a full swing in 250 ms, however the target jumps. */
static void test_bounded(void **state)
{
	struct lab lab;
	double before[SITES];

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 100;
	pass(&lab, 2, 1u << C);
	assert_true(share(&lab, C) == 1);
	for (unsigned i = 0; i < 20; i++) {
		lab.now_s += 0.02;
		memcpy(before, lab.routes.service[0].share, sizeof(before));
		for (unsigned k = 0; k < SITES; k++)
			report(&lab, k, 0);
		update(&lab);
		assert_sum(&lab);
		for (unsigned k = 0; k < SITES; k++)
			assert_true(share(&lab, k) - before[k] <= 0.02 / 0.25 + EPSILON);
		assert_true(i > 9 || share(&lab, A) < 0.9);
	}
	assert_true(share(&lab, A) > 0.99);
	lab_close(&lab);
}

/*
 * RFC 10054 R15: what the way to a better target costs meanwhile, by path delays alone as next to
 * nothing waits; nothing any more once it is reached.
 */
static void test_regret(void **state)
{
	struct lab lab;
	double before_s = INFINITY;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	const struct route *route = &lab.routes.service[0];
	lab.state.service[0].demand_per_s = 10;
	pass(&lab, 2, 1u << C);
	assert_true(route->weight[C] == ROUTES_WEIGHT_SUM && fabs(route->regret_s) < EPSILON);
	for (unsigned i = 0; i < 5; i++) {
		lab.now_s += 0.02;
		for (unsigned k = 0; k < SITES; k++)
			report(&lab, k, 0);
		update(&lab);
		double from_b = route->weight[B] / (double)ROUTES_WEIGHT_SUM - route->target[B];
		double from_c = route->weight[C] / (double)ROUTES_WEIGHT_SUM - route->target[C];
		double more_s = 0.006 * from_b + 0.018 * from_c; /* than by a */
		assert_true(more_s > 0.005 && more_s < before_s);
		assert_true(fabs(route->regret_s - more_s) < 0.1 * more_s);
		before_s = more_s;
	}
	pass(&lab, 2, ALL);
	assert_true(route->regret_s >= 0 && route->regret_s < 1e-4);
	lab_close(&lab);
}

/* All reports stop, one after the other; then they come back, one after the other. */
static void test_held(void **state)
{
	struct lab lab;
	double before[SITES];

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 500;
	pass(&lab, 4, ALL);
	memcpy(before, lab.routes.service[0].share, sizeof(before));
	pass(&lab, 0.2, 1u << A); /* a is the last to stop, and has everything for a moment */
	pass(&lab, 0.5, 0);
	pass(&lab, 1, 0);
	assert_int_equal(lab.routes.service[0].basis, ROUTES_HELD);
	for (unsigned k = 0; k < SITES; k++)
		assert_true(fabs(share(&lab, k) - before[k]) < 0.05);
	report(&lab, B, 100);
	update(&lab);
	assert_int_equal(lab.routes.service[0].basis, ROUTES_HELD);
	for (unsigned k = 0; k < SITES; k++)
		assert_true(fabs(share(&lab, k) - before[k]) < 0.05);
	lab.state.site[A].drained = true; /* the operator's word counts all the same */
	update(&lab);
	assert_true(share(&lab, A) == 0 && share(&lab, B) > 0.9);
	lab.state.site[A].drained = false;
	pass(&lab, 0.3, 1u << B);
	assert_int_equal(lab.routes.service[0].basis, ROUTES_LOAD);
	assert_true(share(&lab, B) == 1);
	lab_close(&lab);
}

static void test_nearest(void **state)
{
	struct lab lab;

	(void)state;
	lab_describe(&lab);
	lab.config.steering = CONFIG_STEERING_NEAREST;
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 4000;
	pass(&lab, 1, ALL);
	assert_int_equal(lab.routes.service[0].weight[A], ROUTES_WEIGHT_SUM);
	assert_why(&lab, B, "not the nearest");
	lab.state.site[A].drained = true;
	update(&lab);
	assert_int_equal(lab.routes.service[0].weight[B], ROUTES_WEIGHT_SUM);
	lab_close(&lab);
}

/* Noise of demand moves the shares, but not every wiggle becomes a message. */
static void test_published(void **state)
{
	struct lab lab;
	unsigned published = 0;

	(void)state;
	lab_describe(&lab);
	lab_open(&lab);
	lab.state.service[0].demand_per_s = 450;
	pass(&lab, 3, ALL);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t before = lab.routes.service[0].weight[A];
		bool worth;

		lab.now_s += 0.05;
		lab.state.service[0].demand_per_s = 450 + (i % 2 ? 0.5 : -0.5);
		for (unsigned k = 0; k < SITES; k++)
			report(&lab, k, 450 * share(&lab, k));
		worth = update(&lab);
		published += worth;
		assert_true(worth || lab.routes.service[0].weight[A] == before);
	}
	assert_true(published <= 2);
	lab_close(&lab);
}

static void edge_says(struct lab *lab, unsigned edge, double demand_per_s, const double *delay_s)
{
	static char *const names[] = {"a", "b", "c"};
	Suanlu__Report report = SUANLU__REPORT__INIT;
	Suanlu__ServiceDemand demand = SUANLU__SERVICE_DEMAND__INIT, *demands[] = {&demand};
	Suanlu__PathDelay path[SITES], *paths[SITES];

	demand.service = "infer";
	demand.new_flows_per_s = demand_per_s;
	for (unsigned k = 0; k < SITES; k++) {
		suanlu__path_delay__init(&path[k]);
		path[k].site = names[k];
		path[k].delay_s = delay_s[k];
		paths[k] = &path[k];
	}
	report.demand = demands;
	report.n_demand = 1;
	report.path = paths;
	report.n_path = SITES;
	state_edge_report(&lab->state, edge, &report, lab->now_s);
}

static void both_turn(struct lab *lab, double (*delay_s)[SITES], const double *demand_per_s)
{
	for (unsigned n = 0; n < 2; n++) {
		struct state_service *s = &lab[n].state.service[0];

		lab[n].now_s += 0.05;
		edge_says(&lab[n], 0, demand_per_s[1 - n], delay_s[1 - n]);
		for (unsigned k = 0; k < SITES; k++) {
			s->member[k].own_per_s = demand_per_s[n] * share(&lab[n], k);
			report(&lab[n], k,
			       demand_per_s[0] * share(&lab[0], k) +
				       demand_per_s[1] * share(&lab[1], k));
		}
	}
	update(&lab[0]);
	update(&lab[1]);
}

/* Two edges that know the same come to the same solution, each its own row; no herding. */
static void test_two_edges(void **state)
{
	static double delay_s[2][SITES] = {{0.002, 0.008, 0.020}, {0.008, 0.002, 0.020}};
	static const double demand_per_s[2] = {300, 350};
	struct lab lab[2];

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		lab_describe(&lab[n]);
		strcpy(lab[n].config.node, n ? "edge2" : "edge1");
		strcpy(lab[n].edge[0].name, n ? "edge1" : "edge2");
		for (unsigned k = 0; k < SITES; k++)
			lab[n].site[k].delay_s = delay_s[n][k];
		lab[n].config.edges = 1;
		lab_open(&lab[n]);
		lab[n].state.service[0].demand_per_s = demand_per_s[n];
	}
	for (unsigned i = 0; i < 100; i++)
		both_turn(lab, delay_s, demand_per_s);
	assert_int_equal(lab[0].routes.own, 0);
	assert_int_equal(lab[1].routes.own, 1);
	for (unsigned k = 0; k < SITES; k++)
		for (unsigned row = 0; row < 2; row++)
			assert_true(fabs(lab[0].routes.service[0].x[row][k] -
					 lab[1].routes.service[0].x[row][k]) < 0.05);
	assert_true(share(&lab[0], A) > 0.7 && share(&lab[1], B) > 0.7);
	assert_true(lab[0].state.service[0].member[B].others_per_s > 200);
	assert_int_equal(lab[0].routes.service[0].draws, 6); /* 2 + 8 x 300 / 650 */
	/* An edge that is no more heard counts for 5 validities, then no longer. */
	assert_true(state_edge_live(&lab[0].state, 0, lab[0].now_s + 2.4));
	assert_false(state_edge_live(&lab[0].state, 0, lab[0].now_s + 2.6));
	lab[0].now_s += 2.6;
	for (unsigned k = 0; k < SITES; k++)
		report(&lab[0], k, 0);
	update(&lab[0]);
	assert_true(lab[0].state.service[0].member[B].others_per_s == 0);
	assert_int_equal(lab[0].routes.service[0].draws, SL_DRAWS_MAX);
	lab_close(&lab[0]);
	lab_close(&lab[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_capacity_said),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_uncounted),
		cmocka_unit_test(test_surge),
		cmocka_unit_test(test_never_and_silent),
		cmocka_unit_test(test_excluded),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_regret),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_two_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
