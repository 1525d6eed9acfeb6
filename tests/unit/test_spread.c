/* SPDX-License-Identifier: BSD-3-Clause */
/* Shares around the optimum: what stays as it was, the form they have, and when they are wide. */
#include "control/solve/spread.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LOAD_OFF 0.0031 /* of a capacity */

static unsigned short seed[3];
static struct solve_edge edge[SOLVE_EDGES_MAX];
static struct solve_site site[SL_CANDIDATES_MAX];
static struct solve_problem problem = {.edge = edge, .site = site};
static solve_row optimum[SOLVE_EDGES_MAX], x[SOLVE_EDGES_MAX];

static double uniform(double low, double high)
{
	return low + (high - low) * erand48(seed);
}

/* service_s: of all sites, about. */
static void invent(unsigned edges, unsigned sites, double service_s, double utilisation)
{
	double capacity = 0;

	problem.edges = edges;
	problem.sites = sites;
	for (unsigned j = 0; j < sites; j++) {
		site[j] = (struct solve_site){.queue = {floor(uniform(1, 64)),
							service_s * uniform(0.5, 2), 1, QUEUE_CAP,
							0}};
		capacity += queue_capacity_per_s(&site[j].queue);
	}
	for (unsigned i = 0; i < edges; i++) {
		edge[i].demand_per_s = utilisation * capacity / edges;
		for (unsigned j = 0; j < sites; j++)
			edge[i].delay_s[j] = uniform(0, 1) < 0.1 ? INFINITY : uniform(0.001, 0.03);
		edge[i].delay_s[i % sites] = 0.005;
	}
}

/* The same of equal sites, ten for every edge. */
static void invent_alike(unsigned edges, double service_s, double utilisation)
{
	invent(edges, 10, service_s, utilisation);
	for (unsigned j = 0; j < 10; j++)
		site[j].queue = (struct queue){16, service_s, 1, QUEUE_CAP, 0};
	for (unsigned i = 0; i < edges; i++) {
		edge[i].demand_per_s = utilisation * 160 / service_s / edges;
		for (unsigned j = 0; j < 10; j++)
			edge[i].delay_s[j] = uniform(0.001, 0.03);
	}
}

static void solve_and_spread(void)
{
	struct solve_result result;

	memset(optimum, 0, sizeof(optimum));
	assert_int_equal(solve(&problem, optimum, &result), 0);
	memcpy(x, optimum, sizeof(x));
	spread(&problem, x);
}

static double load(solve_row *shares, unsigned j)
{
	double sum = 0;

	for (unsigned i = 0; i < problem.edges; i++)
		sum += edge[i].demand_per_s * shares[i][j];
	return sum;
}

/* Mean number of sites that an edge has to choose between. */
static double width(solve_row *shares)
{
	double sum = 0;

	for (unsigned i = 0; i < problem.edges; i++) {
		double entropy = 0;
		for (unsigned j = 0; j < problem.sites; j++)
			entropy -= shares[i][j] > 0 ? shares[i][j] * log(shares[i][j]) : 0;
		sum += exp(entropy);
	}
	return sum / problem.edges;
}

static void check_shares(void)
{
	for (unsigned i = 0; i < problem.edges; i++) {
		double sum = 0;
		for (unsigned j = 0; j < problem.sites; j++) {
			assert_true(x[i][j] >= 0);
			if (!isfinite(edge[i].delay_s[j]))
				assert_true(x[i][j] == 0);
			sum += x[i][j];
		}
		assert_float_equal(sum, 1, 1e-9);
	}
	for (unsigned j = 0; j < problem.sites; j++)
		assert_float_equal(load(x, j), load(optimum, j),
				   LOAD_OFF * queue_capacity_per_s(&site[j].queue));
}

static void test_loads_stay(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		unsigned edges = 2 + (unsigned)uniform(0, 63), sites = 2 + (unsigned)uniform(0, 63);
		invent(edges, sites, exp(uniform(log(1e-3), log(10))), uniform(0.05, 1.3));
		solve_and_spread();
		check_shares();
	}
}

/*
 * Of any two edges and two sites: x_ij x_kl / (x_il x_kj) = exp(-(t_ij + t_kl - t_il - t_kj) / tau)
 * with one tau for all.
 */
static void test_one_temperature(void **state)
{
	double tau_s = 0;
	unsigned seen = 0;

	(void)state;
	invent_alike(8, 1, 0.8);
	solve_and_spread();
	for (unsigned i = 1; i < 8; i++) {
		for (unsigned j = 1; j < 10; j++) {
			double path_s = edge[0].delay_s[0] + edge[i].delay_s[j] -
					edge[0].delay_s[j] - edge[i].delay_s[0];
			if (fabs(path_s) < 0.002)
				continue;
			double here_s = -path_s / log(x[0][0] * x[i][j] / (x[0][j] * x[i][0]));
			tau_s = seen++ ? tau_s : here_s;
			assert_float_equal(here_s / tau_s, 1, 0.02);
		}
	}
	assert_true(seen > 5);
	assert_true(tau_s > 0.002 && tau_s < 0.5);
}

/* Long work: paths hardly matter, so all edges use all sites. Short work: they are all. */
static void test_width(void **state)
{
	(void)state;
	invent_alike(16, 10, 0.8);
	solve_and_spread();
	assert_true(width(x) > 1.5 * width(optimum));
	assert_true(width(x) > 8);
	invent_alike(16, 1e-3, 0.8);
	solve_and_spread();
	assert_true(width(x) < 1.1 * width(optimum));
	/* no waits, nothing to hedge against */
	invent_alike(16, 0.1, 0.05);
	solve_and_spread();
	assert_true(width(x) < 1.1 * width(optimum));
}

static void test_idle_edge(void **state)
{
	(void)state;
	invent_alike(4, 5, 0.8);
	edge[2].demand_per_s = 0;
	solve_and_spread();
	assert_memory_equal(x[2], optimum[2], 10 * sizeof(double));
	assert_memory_not_equal(x[1], optimum[1], 10 * sizeof(double));
}

static void test_nothing_allowed(void **state)
{
	(void)state;
	invent(3, 4, 1, 0.5);
	for (unsigned j = 0; j < 4; j++)
		edge[1].delay_s[j] = INFINITY;
	solve_and_spread();
	for (unsigned j = 0; j < 4; j++)
		assert_true(x[1][j] == 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 4; j++)
			edge[i].delay_s[j] = INFINITY;
	solve_and_spread();
	assert_true(x[0][0] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_stay),	cmocka_unit_test(test_one_temperature),
		cmocka_unit_test(test_width),		cmocka_unit_test(test_idle_edge),
		cmocka_unit_test(test_nothing_allowed),
	};
	const char *given = getenv("SEED");
	unsigned number = given ? (unsigned)atol(given) : (unsigned)time(NULL);

	printf("SEED=%u\n", number);
	seed[0] = (unsigned short)number;
	seed[1] = (unsigned short)(number >> 16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
