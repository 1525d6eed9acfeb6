/* SPDX-License-Identifier: BSD-3-Clause */
/* Two configurations with the same names in other places: what is known follows the names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "control/carry.h"

/* before: sites a b c, services infer (a b c) and dns (c), edges x y
 * after:  sites d c a, services new (d), infer (c a d), edges y z */
static struct config_site sites[][3] = {
	{{.name = "a", .servers = 8}, {.name = "b", .servers = 8}, {.name = "c", .servers = 8}},
	{{.name = "d", .servers = 8}, {.name = "c", .servers = 4}, {.name = "a", .servers = 16}},
};
static unsigned all[] = {0, 1, 2}, infer_after[] = {1, 2, 0};
static struct config_service services[][2] = {
	{{.name = "infer", .site = all, .sites = 3, .max_delay_s = INFINITY},
	 {.name = "dns", .site = &all[2], .sites = 1, .max_delay_s = INFINITY}},
	{{.name = "new", .site = all, .sites = 1, .max_delay_s = INFINITY},
	 {.name = "infer", .site = infer_after, .sites = 3, .max_delay_s = INFINITY}},
};
static struct config_edge edges[][2] = {{{.name = "x"}, {.name = "y"}},
					{{.name = "y"}, {.name = "z"}}};
static struct config config[2];
static struct state state[2];
static struct routes routes[2];
static struct demand demand[2];

enum { BEFORE, AFTER };

static int set_up(void **unused)
{
	(void)unused;
	for (unsigned n = 0; n < 2; n++) {
		config[n] = (struct config){.node = "m",
					    .run_dir = "/nonexistent",
					    .site = sites[n],
					    .sites = 3,
					    .service = services[n],
					    .services = 2,
					    .edge = edges[n],
					    .edges = 2};
		if (state_open(&state[n], &config[n]) < 0 || routes_open(&routes[n], &state[n]) < 0)
			return -1;
		demand[n] = (struct demand){.config = &config[n], .state = &state[n]};
		if (counters_open(&demand[n].counters, &config[n]) < 0)
			return -1;
		demand[n].service = test_calloc(2, sizeof(struct rate));
		demand[n].member = test_calloc(4, sizeof(struct rate));
		demand[n].total = test_calloc(4, sizeof(uint64_t));
		demand[n].closed = test_calloc(4, sizeof(uint64_t));
		demand[n].counted = test_calloc(4, sizeof(bool));
	}
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	for (unsigned n = 0; n < 2; n++) {
		test_free(demand[n].service);
		test_free(demand[n].member);
		test_free(demand[n].total);
		test_free(demand[n].closed);
		test_free(demand[n].counted);
		counters_close(&demand[n].counters);
		routes_close(&routes[n]);
		state_close(&state[n]);
	}
	return 0;
}

static void test_state(void **unused)
{
	struct state_service *infer = &state[BEFORE].service[0];
	struct state_service *after = &state[AFTER].service[1];

	(void)unused;
	state[BEFORE].site[0].drained = true;
	state[BEFORE].site[0].last_report_s = 77;
	strcpy(state[BEFORE].site[2].label[0], "ai");
	state[BEFORE].site[2].labels = 1;
	infer->demand_per_s = 250;
	infer->flows = 1234;
	for (unsigned k = 0; k < 3; k++) {
		infer->member[k].own_per_s = k + 1;
		infer->member[k].estimate.last_report_s = 77;
		infer->member[k].estimate.service_time_s = 0.01 * (k + 1);
		infer->member[k].estimate.servers = 8;
	}
	state[BEFORE].edge[1].demand_per_s[0] = 40;
	state[BEFORE].edge[1].delay_s[2] = 0.5;
	state[BEFORE].edge[1].delay_at_s[2] = 70;
	state[BEFORE].edge[1].last_report_s = 71;
	carry_state(&state[AFTER], &state[BEFORE]);

	assert_true(state[AFTER].site[2].drained);
	assert_true(state[AFTER].site[2].last_report_s == 77);
	assert_string_equal(state[AFTER].site[1].label[0], "ai");
	assert_false(state[AFTER].site[0].drained);
	assert_true(state[AFTER].site[0].last_report_s < 0);
	assert_true(after->demand_per_s == 250 && after->flows == 1234);
	assert_true(after->member[0].own_per_s == 3); /* c */
	assert_true(after->member[0].estimate.service_time_s == 0.03);
	assert_int_equal(after->member[0].estimate.servers, 4); /* its bound fell */
	assert_int_equal(after->member[0].estimate.servers_max, 4);
	assert_true(after->member[1].own_per_s == 1);		/* a */
	assert_int_equal(after->member[1].estimate.servers, 8); /* as it reported */
	assert_int_equal(after->member[1].estimate.servers_max, 16);
	assert_true(after->member[2].estimate.last_report_s < 0); /* d */
	assert_true(state[AFTER].edge[0].demand_per_s[1] == 40);  /* y */
	assert_true(state[AFTER].edge[0].delay_s[1] == 0.5);
	assert_true(state[AFTER].edge[0].delay_at_s[1] == 70);
	assert_true(state[AFTER].edge[0].delay_at_s[0] < 0);
	assert_true(state[AFTER].edge[1].last_report_s < 0); /* z */
	assert_true(state[AFTER].service[0].dirty && state[AFTER].service[1].dirty);
}

/* The same configuration again: nothing has to be solved. */
static void test_unchanged(void **unused)
{
	struct state again;

	(void)unused;
	assert_int_equal(state_open(&again, &config[BEFORE]), 0);
	carry_state(&again, &state[BEFORE]);
	assert_false(again.service[0].dirty || again.service[1].dirty);
	state_close(&again);
}

static void test_routes(void **unused)
{
	struct route *infer = &routes[BEFORE].service[0], *after = &routes[AFTER].service[1];

	(void)unused;
	infer->basis = ROUTES_LOAD;
	infer->moved_s = 70;
	for (unsigned k = 0; k < 3; k++) {
		infer->share[k] = 0.1 * (k + 1);
		infer->weight[k] = 100 * (k + 1);
		for (unsigned row = 0; row < 3; row++)
			infer->x[row][k] = row * 10 + k;
	}
	routes[BEFORE].settled = true;
	routes[BEFORE].solved = 9;
	carry_routes(&routes[AFTER], &routes[BEFORE]);

	assert_true(routes[AFTER].settled && routes[AFTER].solved == 9);
	assert_int_equal(after->basis, ROUTES_LOAD);
	assert_true(after->moved_s == 70);
	assert_int_equal(after->weight[0], 300);
	assert_int_equal(after->weight[1], 100);
	assert_int_equal(after->weight[2], 0);
	assert_true(after->share[2] == 0);
	/* rows by name: before m x y, after m y z */
	assert_true(after->x[0][0] == 2 && after->x[0][1] == 0);
	assert_true(after->x[1][0] == 22 && after->x[1][1] == 20);
	assert_true(after->x[2][0] == 0 && after->x[2][1] == 0);
	assert_true(routes[AFTER].service[0].moved_s == 0); /* new: it starts where it should be */
}

static void test_demand(void **unused)
{
	(void)unused;
	demand[BEFORE].sampled_s = 70;
	demand[BEFORE].counting_s = 60;
	demand[BEFORE].service[0].slow_per_s = 5;
	for (unsigned k = 0; k < 4; k++) {
		demand[BEFORE].member[k].fast_per_s = k + 1;
		demand[BEFORE].total[k] = 100 + k;
		demand[BEFORE].closed[k] = 50 + k;
		demand[BEFORE].counted[k] = true;
	}
	demand[BEFORE].counters.workers = 3;
	carry_demand(&demand[AFTER], &demand[BEFORE]);

	assert_true(demand[AFTER].sampled_s == 70 && demand[AFTER].counting_s == 60);
	assert_true(demand[AFTER].service[1].slow_per_s == 5);
	/* infer's members come after the one of "new" */
	assert_true(demand[AFTER].member[1].fast_per_s == 3);
	assert_int_equal(demand[AFTER].total[1], 102);
	assert_int_equal(demand[AFTER].closed[1], 52);
	assert_true(demand[AFTER].counted[1]);
	assert_int_equal(demand[AFTER].total[2], 100);
	assert_false(demand[AFTER].counted[0]);
	assert_false(demand[AFTER].counted[3]);
	assert_int_equal(demand[AFTER].counters.workers, 3);
	assert_int_equal(demand[AFTER].counters.unassigned, 4);
	assert_int_equal(demand[AFTER].counters.slot[1], -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unchanged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_routes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_demand, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
