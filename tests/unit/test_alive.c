/* SPDX-License-Identifier: BSD-3-Clause */
/* Which way of a candidate serves, table by table, and against the rules read naively. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/alive.h"

#define CANDIDATES 3

static struct routes routes;

/* Candidate i reaches its site by targets 4i+1, 4i+2 first, 4i+3, 4i+4 second. */
static struct service make(const uint32_t weight[CANDIDATES], const uint32_t standby[CANDIDATES],
			   bool seconds)
{
	struct service service = {.choose.candidates = CANDIDATES};

	for (unsigned i = 0; i < CANDIDATES; i++) {
		struct candidate *c = &service.candidate[i];

		c->weight = weight[i];
		c->standby = standby[i];
		for (unsigned w = 0; w < (seconds ? 2 : 1); w++)
			for (unsigned f = 0; f < 2; f++)
				c->way[w][f] = (uint16_t)(4 * i + 2 * w + f + 1);
	}
	return service;
}

static void kill_targets(const char *dead)
{
	for (unsigned i = 0; i < ROUTES_TARGETS_MAX; i++)
		routes.target[i].path = TARGET_ALIVE;
	for (char *end; *dead; dead = end) {
		long target = strtol(dead, &end, 10); /* negative: held */

		routes.target[labs(target)].path = target < 0 ? TARGET_HELD : TARGET_DEAD;
	}
}

static void test_rules(void **state)
{
	static const struct {
		const char *what, *dead;
		uint32_t weight[CANDIDATES], standby[CANDIDATES];
		bool seconds;
		int serves[CANDIDATES];
		uint32_t share[CANDIDATES];
	} row[] = {
		{"all alive", "", {7, 0, 3}, {1, 1, 1}, true, {0, 0, 0}, {7, 0, 3}},
		{"the second way takes over",
		 "1",
		 {7, 0, 3},
		 {1, 1, 1},
		 true,
		 {1, 0, 0},
		 {7, 0, 3}},
		{"one family is enough", "2", {7, 0, 3}, {1, 1, 1}, true, {1, 0, 0}, {7, 0, 3}},
		{"both ways dead", "1 4", {7, 0, 3}, {1, 1, 1}, true, {-1, 0, 0}, {0, 0, 3}},
		{"no second way", "1", {7, 0, 3}, {1, 1, 1}, false, {-1, 0, 0}, {0, 0, 3}},
		{"standby", "1", {7, 0, 0}, {1, 4, 2}, false, {-1, 0, 0}, {0, 4, 2}},
		{"drained ones do not stand by",
		 "1",
		 {7, 0, 0},
		 {1, 0, 2},
		 false,
		 {-1, 0, 0},
		 {0, 0, 2}},
		{"a dead one on standby",
		 "1 5",
		 {7, 0, 0},
		 {1, 4, 2},
		 false,
		 {-1, -1, 0},
		 {0, 0, 2}},
		{"nobody left", "1 5 9", {7, 0, 3}, {1, 4, 2}, false, {0, 0, 0}, {7, 0, 3}},
		{"only drained ones left", "1", {7, 0, 0}, {1, 0, 0}, false, {0, 0, 0}, {7, 0, 0}},
		{"held: pins, no new flows",
		 "-1",
		 {7, 0, 3},
		 {1, 4, 2},
		 false,
		 {0, 0, 0},
		 {0, 0, 3}},
		{"held is worse than alive",
		 "-1",
		 {7, 0, 3},
		 {1, 4, 2},
		 true,
		 {1, 0, 0},
		 {7, 0, 3}},
		{"and better than dead", "1 -3", {7, 0, 3}, {1, 4, 2}, true, {1, 0, 0}, {0, 0, 3}},
		{"all come back, none is used yet",
		 "-1 5 -9",
		 {7, 0, 3},
		 {1, 4, 2},
		 false,
		 {0, 0, 0},
		 {7, 0, 3}},
		{"the first of them is used",
		 "-1 -9",
		 {7, 5, 3},
		 {0, 0, 0},
		 false,
		 {0, 0, 0},
		 {0, 5, 0}},
		{"control excluded all", "", {0, 0, 0}, {0, 0, 0}, false, {0, 0, 0}, {0, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct service service = make(row[i].weight, row[i].standby, row[i].seconds);

		print_message("%s\n", row[i].what);
		kill_targets(row[i].dead);
		alive_decide(&routes, &service);
		for (unsigned k = 0; k < CANDIDATES; k++) {
			assert_int_equal(service.candidate[k].serves, row[i].serves[k]);
			assert_int_equal(service.candidate[k].share, row[i].share[k]);
		}
		assert_false(alive_differs(&routes, &service));
	}
}

static void test_differs(void **state)
{
	static const uint32_t weight[] = {7, 0, 3}, standby[] = {1, 1, 1};
	struct service service = make(weight, standby, true);

	(void)state;
	kill_targets("");
	alive_decide(&routes, &service);
	kill_targets("3"); /* a second way that does not serve */
	assert_false(alive_differs(&routes, &service));
	kill_targets("1");
	assert_true(alive_differs(&routes, &service));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules),
					   cmocka_unit_test(test_differs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
