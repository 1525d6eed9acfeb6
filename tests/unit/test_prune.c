/* SPDX-License-Identifier: BSD-3-Clause */
/* What pruning costs, against the solver on all sites: problems at random, with a printed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/prune.h"
#include <math.h>
#include <time.h>

#define EDGES 4
#define TIMES 8 /* reports until shares are where they belong */

static double uniform(double least, double most)
{
	return least + (most - least) * (double)random() / RAND_MAX;
}

static void draw(struct solve_edge *edge, struct solve_site *site, unsigned sites, double load)
{
	double capacity = 0;

	for (unsigned j = 0; j < sites; j++) {
		site[j] = (struct solve_site){.queue = {.servers = floor(uniform(1, 32)),
							.service_time_s = uniform(0.005, 0.05),
							.scv = uniform(0.5, 2),
							.cap = QUEUE_CAP}};
		site[j].background_per_s = uniform(0, 0.4) * queue_capacity_per_s(&site[j].queue);
		capacity += queue_capacity_per_s(&site[j].queue) - site[j].background_per_s;
	}
	for (unsigned i = 0; i < EDGES; i++) {
		edge[i].demand_per_s = load * capacity / EDGES;
		for (unsigned j = 0; j < sites; j++)
			edge[i].delay_s[j] = random() % 20 == 0 ? INFINITY : uniform(0.001, 0.03);
	}
}

static void measure(const struct solve_edge *edge, const struct solve_site *site, unsigned sites,
		    solve_row *x, double *marginal_s)
{
	for (unsigned j = 0; j < sites; j++) {
		double load = site[j].background_per_s;

		for (unsigned i = 0; i < EDGES; i++)
			load += edge[i].demand_per_s * x[i][j];
		marginal_s[j] = queue_marginal_s(&site[j].queue, load);
	}
}

/* As routes.c does with each report; returns the mean time, and in *columns the work left. */
static double solve_pruned(const struct solve_edge *edge, const struct solve_site *site,
			   unsigned sites, solve_row *x, unsigned *columns)
{
	double marginal_s[SL_CANDIDATES_MAX];
	struct solve_edge row[EDGES];
	struct solve_site some[SL_CANDIDATES_MAX];
	unsigned kept[SL_CANDIDATES_MAX];
	struct solve_result result;
	solve_row part[EDGES];

	measure(edge, site, sites, x, marginal_s);
	memcpy(row, edge, sizeof(row));
	memcpy(some, site, sites * sizeof(*some));
	for (unsigned i = 0; i < EDGES; i++)
		prune_edge(&row[i], site, sites, marginal_s, EDGES * edge[0].demand_per_s);
	*columns = prune_columns(row, EDGES, some, sites, kept);
	for (unsigned i = 0; i < EDGES; i++)
		for (unsigned k = 0; k < *columns; k++)
			part[i][k] = x[i][kept[k]];
	assert_int_equal(solve(&(struct solve_problem){EDGES, *columns, row, some}, part, &result),
			 0);
	for (unsigned i = 0; i < EDGES; i++) {
		memset(x[i], 0, sizeof(x[i]));
		for (unsigned k = 0; k < *columns; k++)
			x[i][kept[k]] = part[i][k];
	}
	return result.mean_s;
}

/* From nothing to the optimum of all sites, within a percent, at light load and at heavy. */
static void loses_nothing(void **state)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (unsigned round = 0; round < 60; round++) {
		unsigned sites = 17 + (unsigned)random() % (SL_CANDIDATES_MAX - 16), columns = 0;
		double load = (double[]){0.02, 0.1, 0.4, 0.8}[round % 4], mean_s = 0;
		struct solve_edge edge[EDGES];
		struct solve_site site[SL_CANDIDATES_MAX];
		solve_row x[EDGES] = {}, all[EDGES] = {};
		struct solve_result whole;

		draw(edge, site, sites, load);
		assert_int_equal(
			solve(&(struct solve_problem){EDGES, sites, edge, site}, all, &whole), 0);
		for (unsigned i = 0; i < TIMES; i++)
			mean_s = solve_pruned(edge, site, sites, x, &columns);
		if (!(mean_s <= 1.01 * whole.mean_s))
			fail_msg("seed %u round %u: %u sites, load %.2f: %.6f s instead of %.6f",
				 seed, round, sites, load, mean_s, whole.mean_s);
		assert_true(columns <= sites);
	}
}

static void keeps_the_best(void **state)
{
	struct solve_edge edge = {.demand_per_s = 1};
	struct solve_site site[SL_CANDIDATES_MAX];
	double marginal_s[SL_CANDIDATES_MAX];
	unsigned kept[SL_CANDIDATES_MAX], left = 0;

	(void)state;
	for (unsigned j = 0; j < SL_CANDIDATES_MAX; j++) {
		site[j] = (struct solve_site){
			.queue = {
				.servers = 4, .service_time_s = 0.02, .scv = 1, .cap = QUEUE_CAP}};
		edge.delay_s[j] = 0.001 * (j * 29 % SL_CANDIDATES_MAX);
		marginal_s[j] = j % 2 ? NAN : 0.02;
	}
	edge.delay_s[29] = INFINITY;
	prune_edge(&edge, site, SL_CANDIDATES_MAX, marginal_s, edge.demand_per_s);
	for (unsigned j = 0; j < SL_CANDIDATES_MAX; j++)
		left += isfinite(edge.delay_s[j]);
	assert_int_equal(left, PRUNE_SITES);
	assert_true(isinf(edge.delay_s[29]));
	assert_int_equal(prune_columns(&edge, 1, site, SL_CANDIDATES_MAX, kept), PRUNE_SITES);
	for (unsigned k = 1; k < PRUNE_SITES; k++)
		assert_true(kept[k] > kept[k - 1]);

	/* all is kept if there is no more than that, or if it takes all */
	edge = (struct solve_edge){.demand_per_s = 1};
	prune_edge(&edge, site, PRUNE_SITES, marginal_s, edge.demand_per_s);
	for (unsigned j = 0; j < PRUNE_SITES; j++)
		assert_true(isfinite(edge.delay_s[j]));
	edge.demand_per_s = 1e6;
	prune_edge(&edge, site, SL_CANDIDATES_MAX, marginal_s, edge.demand_per_s);
	for (unsigned j = 0; j < SL_CANDIDATES_MAX; j++)
		assert_true(isfinite(edge.delay_s[j]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loses_nothing),
		cmocka_unit_test(keeps_the_best),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
