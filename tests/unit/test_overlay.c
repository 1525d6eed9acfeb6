/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths against all paths tried one by one, on random overlays with a printed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control/overlay/overlay.h"

#define NODES_MAX 24
#define LINKS_MAX 160

static double cost[NODES_MAX][NODES_MAX];

/* The naive way: every pair of transit nodes, or one, or none. */
static double naive(unsigned nodes, const bool *transit, unsigned from, unsigned to)
{
	double best = cost[from][to];

	for (unsigned a = 0; a < nodes; a++) {
		if (!transit[a] || a == from || a == to)
			continue;
		best = fmin(best, cost[from][a] + cost[a][to]);
		for (unsigned b = 0; b < nodes; b++)
			if (transit[b] && b != from && b != to && b != a)
				best = fmin(best, cost[from][a] + cost[a][b] + cost[b][to]);
	}
	return best;
}

static double along(const struct overlay_path *path, unsigned from, unsigned to,
		    const bool *transit)
{
	double sum = 0;
	unsigned at = from;

	assert_true(path->transits <= SL_TRANSITS_MAX);
	for (unsigned i = 0; i < path->transits; i++) {
		assert_true(transit[path->transit[i]]);
		sum += cost[at][path->transit[i]];
		at = path->transit[i];
	}
	return sum + cost[at][to];
}

static void one_overlay(void)
{
	unsigned nodes = 2 + (unsigned)rand() % (NODES_MAX - 1),
		 links = (unsigned)rand() % LINKS_MAX;
	unsigned from = (unsigned)rand() % nodes;
	struct overlay_link link[LINKS_MAX];
	struct overlay_path path[NODES_MAX];
	bool transit[NODES_MAX];
	struct overlay overlay = {nodes, links, link, transit};

	for (unsigned i = 0; i < NODES_MAX * NODES_MAX; i++)
		cost[i / NODES_MAX][i % NODES_MAX] = INFINITY;
	for (unsigned i = 0; i < nodes; i++)
		transit[i] = rand() % 3 > 0;
	for (unsigned i = 0; i < links; i++) {
		double *known;

		/* few different delays, so that there are equal paths; some links are none */
		link[i] = (struct overlay_link){(unsigned)rand() % nodes, (unsigned)rand() % nodes,
						rand() % 20 ? (rand() % 10) / 1000.0 : NAN};
		known = &cost[link[i].from][link[i].to];
		*known = fmin(*known, isnan(link[i].delay_s) ? INFINITY : link[i].delay_s);
	}
	assert_int_equal(overlay_paths(&overlay, from, path), 0);
	for (unsigned to = 0; to < nodes; to++) {
		double right = to == from ? 0 : naive(nodes, transit, from, to);

		if (isinf(right)) {
			assert_true(isinf(path[to].delay_s));
			continue;
		}
		assert_true(fabs(path[to].delay_s - right) < 1e-12);
		if (to == from)
			continue;
		assert_true(fabs(along(&path[to], from, to, transit) - right) < 1e-12);
		if (cost[from][to] <= right)
			assert_int_equal(path[to].transits, 0);
	}
}

static void test_oracle(void **state)
{
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)atoi(text) : 8762;

	(void)state;
	print_message("SEED=%u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 20000; i++)
		one_overlay();
}

/* A -> C is slower than A -> B -> C. */
static void test_triangle(void **state)
{
	static const struct overlay_link link[] = {{0, 2, 0.020}, {0, 1, 0.002}, {1, 2, 0.002}};
	bool transit[] = {false, true, false};
	struct overlay overlay = {3, 3, link, transit};
	struct overlay_path path[3];

	(void)state;
	assert_int_equal(overlay_paths(&overlay, 0, path), 0);
	assert_int_equal(path[2].transits, 1);
	assert_int_equal(path[2].transit[0], 1);
	transit[1] = false;
	assert_int_equal(overlay_paths(&overlay, 0, path), 0);
	assert_int_equal(path[2].transits, 0);
	overlay.nodes = 2;
	assert_int_equal(overlay_paths(&overlay, 0, path), -EINVAL);
}

static void test_choose(void **state)
{
	struct overlay_wish wish = {0};
	double delay_s[] = {0.020, 0.019, INFINITY};

	(void)state;
	assert_int_equal(overlay_choose(&wish, -1, delay_s, 3, 1), 1);
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 1), 0); /* not worth it */
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 9), 0);
	delay_s[1] = 0.004;
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 10), 0); /* not for long enough */
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 10.9), 0);
	delay_s[1] = 0.0195; /* a moment only: it begins anew */
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 10.95), 0);
	delay_s[1] = 0.004;
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 11.1), 0);
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 12.2), 1);
	delay_s[1] = INFINITY; /* it died */
	assert_int_equal(overlay_choose(&wish, 1, delay_s, 3, 12.3), 0);
	delay_s[0] = INFINITY;
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 12.4), -1);
	delay_s[0] = 0.0004; /* 10 % and more, but only 0.3 ms */
	delay_s[1] = 0.0001;
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 20), 0);
	assert_int_equal(overlay_choose(&wish, 0, delay_s, 3, 30), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_oracle),
					   cmocka_unit_test(test_triangle),
					   cmocka_unit_test(test_choose)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
