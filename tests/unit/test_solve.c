/* SPDX-License-Identifier: BSD-3-Clause */
/* The solver against its optimality conditions, a naive oracle, and what must hold by sense. */
#include "control/solve/solve.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static unsigned short seed[3];

struct world {
	struct solve_edge edge[SOLVE_EDGES_MAX];
	struct solve_site site[SL_CANDIDATES_MAX];
	struct solve_problem problem;
	solve_row x[SOLVE_EDGES_MAX];
	struct solve_result result;
};

static struct world world; /* large: not for the stack */

static double uniform(double low, double high)
{
	return low + (high - low) * erand48(seed);
}

static void world_init(unsigned edges, unsigned sites)
{
	memset(&world, 0, sizeof(world));
	world.problem = (struct solve_problem){edges, sites, world.edge, world.site};
	for (unsigned j = 0; j < sites; j++)
		world.site[j].queue = (struct queue){1, 0.01, 1, QUEUE_CAP, 0};
}

/* load: of what capacity is free of background. */
static void world_random(unsigned edges, unsigned sites, double load)
{
	double free_per_s = 0;

	world_init(edges, sites);
	for (unsigned j = 0; j < sites; j++) {
		struct queue *queue = &world.site[j].queue;
		queue->servers = floor(exp(uniform(0, log(200))));
		queue->service_time_s = exp(uniform(log(1e-3), log(0.3)));
		queue->scv = uniform(0.5, 3);
		queue->backlog_s = uniform(0, 1) < 0.2 ? uniform(0, 0.1) : 0;
		world.site[j].background_per_s =
			uniform(0, 1) < 0.5 ? 0 : uniform(0, 0.7) * queue_capacity_per_s(queue);
		free_per_s += queue_capacity_per_s(queue) - world.site[j].background_per_s;
	}
	for (unsigned i = 0; i < edges; i++) {
		world.edge[i].demand_per_s = free_per_s * load / edges * uniform(0.3, 1.7);
		for (unsigned j = 0; j < sites; j++)
			world.edge[i].delay_s[j] =
				uniform(0, 1) < 0.1 ? INFINITY : uniform(0.0005, 0.05);
		world.edge[i].delay_s[i % sites] = 0.005; /* at least one */
	}
}

static void solve_world(void)
{
	assert_int_equal(solve(&world.problem, world.x, &world.result), 0);
}

static double load_of(unsigned j)
{
	double load = world.site[j].background_per_s;

	for (unsigned i = 0; i < world.problem.edges; i++)
		load += world.edge[i].demand_per_s * world.x[i][j];
	return load;
}

static double cost_of(void)
{
	double cost = 0;

	for (unsigned j = 0; j < world.problem.sites; j++) {
		double load = load_of(j);
		cost += load * queue_response_s(&world.site[j].queue, load);
		for (unsigned i = 0; i < world.problem.edges; i++)
			if (world.x[i][j] > 0)
				cost += world.edge[i].demand_per_s * world.x[i][j] *
					world.edge[i].delay_s[j];
	}
	return cost;
}

/* Rows sum to 1, nothing where not allowed, equal marginals on what is used. */
static void assert_optimal(double tolerance)
{
	double marginal_s[SL_CANDIDATES_MAX];

	for (unsigned j = 0; j < world.problem.sites; j++)
		marginal_s[j] = queue_marginal_s(&world.site[j].queue, load_of(j));
	for (unsigned i = 0; i < world.problem.edges; i++) {
		double sum = 0, dearest_s = 0, cheapest_s = INFINITY;
		for (unsigned j = 0; j < world.problem.sites; j++) {
			double all_s = world.edge[i].delay_s[j] + marginal_s[j];
			assert_true(world.x[i][j] >= 0);
			if (isinf(world.edge[i].delay_s[j]))
				assert_true(world.x[i][j] == 0);
			sum += world.x[i][j];
			cheapest_s = fmin(cheapest_s, all_s);
			if (world.x[i][j] > 0)
				dearest_s = fmax(dearest_s, all_s);
		}
		assert_true(fabs(sum - 1) < 1e-9);
		if (dearest_s > cheapest_s * (1 + tolerance)) {
			print_error("edge %u of %ux%u: used %.12g, cheapest %.12g, rounds %u\n", i,
				    world.problem.edges, world.problem.sites, dearest_s, cheapest_s,
				    world.result.rounds);
			fail();
		}
	}
}

static void test_optimality(void **state)
{
	static const double loads[] = {0.01, 0.3, 0.7, 0.9, 1.0, 1.5, 20};

	(void)state;
	for (unsigned round = 0; round < 700; round++) {
		unsigned edges = 1 + round % 8, sites = 1 + (unsigned)uniform(0, 16);
		world_random(edges, sites, loads[round % 7]);
		solve_world();
		assert_optimal(2e-6);
		/* again from there, with a little change */
		world.edge[0].demand_per_s *= 1.05;
		solve_world();
		assert_optimal(2e-6);
	}
}

/*
 * The oracle: projected gradient with shrinking steps over the simplex of each edge, from many
 * starts' best. It is slow and never better than the optimum, and it knows nothing of
 * marginals of queues: its gradient is numeric.
 */
static void project(double *row, const double *delay_s, unsigned sites)
{
	double low = -10, high = 10;

	for (unsigned round = 0; round < 70; round++) {
		double shift = (low + high) / 2, sum = 0;
		for (unsigned j = 0; j < sites; j++)
			sum += isfinite(delay_s[j]) ? fmax(0, row[j] - shift) : 0;
		if (sum > 1)
			low = shift;
		else
			high = shift;
	}
	for (unsigned j = 0; j < sites; j++)
		row[j] = isfinite(delay_s[j]) ? fmax(0, row[j] - high) : 0;
}

static double oracle(unsigned steps)
{
	double best = INFINITY, length = 0.3;
	solve_row kept[4];

	for (unsigned i = 0; i < world.problem.edges; i++) {
		memset(world.x[i], 0, sizeof(world.x[i]));
		project(world.x[i], world.edge[i].delay_s, world.problem.sites);
	}
	for (unsigned step = 0; step < steps; step++) {
		double cost = cost_of(), gradient[4][SL_CANDIDATES_MAX], norm = 0;
		if (cost < best) {
			best = cost;
			memcpy(kept, world.x, sizeof(kept));
			length = fmin(1, length * 1.3);
		} else {
			memcpy(world.x, kept, sizeof(kept));
			length *= 0.5;
		}
		cost = cost_of();
		for (unsigned i = 0; i < world.problem.edges; i++) {
			for (unsigned j = 0; j < world.problem.sites; j++) {
				double x = world.x[i][j];
				gradient[i][j] = 0;
				if (isinf(world.edge[i].delay_s[j]))
					continue;
				world.x[i][j] = x + 1e-7;
				gradient[i][j] = (cost_of() - cost) / 1e-7;
				world.x[i][j] = x;
				norm = fmax(norm, fabs(gradient[i][j]));
			}
		}
		for (unsigned i = 0; i < world.problem.edges; i++) {
			for (unsigned j = 0; j < world.problem.sites; j++)
				world.x[i][j] -= length * gradient[i][j] / norm;
			project(world.x[i], world.edge[i].delay_s, world.problem.sites);
		}
	}
	return best;
}

static void test_against_oracle(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		world_random(1 + round % 4, 2 + round % 5, uniform(0.1, 1.2));
		double best = oracle(400);
		memset(world.x, 0, sizeof(world.x));
		solve_world();
		double found = cost_of();
		if (found > best * (1 + 1e-6))
			fail_msg("round %u: oracle %.12g, solver %.12g", round, best, found);
	}
}

/*
 * RFC 10054, an example of its problem statement: compute delays 4, 10 and 5 ms, network delays
 * 9, 4 and 5 ms. The third site is the best of the sum though of neither part.
 */
static void test_rfc_10054_example(void **state)
{
	static const double compute_s[] = {0.004, 0.010, 0.005};
	static const double network_s[] = {0.009, 0.004, 0.005};

	(void)state;
	world_init(1, 3);
	for (unsigned j = 0; j < 3; j++) {
		world.site[j].queue.servers = 100;
		world.site[j].queue.service_time_s = compute_s[j];
		world.edge[0].delay_s[j] = network_s[j];
	}
	world.edge[0].demand_per_s = 10;
	solve_world();
	assert_true(world.x[0][0] == 0 && world.x[0][1] == 0 && world.x[0][2] == 1);
	/* 9.4 ms at the client, budget 20 ms: by compute or network alone over it, jointly within.
	 */
	assert_true(fabs(0.0094 + compute_s[0] + network_s[0] - 0.0224) < 1e-9);
	assert_true(fabs(0.0094 + compute_s[1] + network_s[1] - 0.0234) < 1e-9);
	assert_true(fabs(0.0094 + world.result.mean_s - 0.0194) < 1e-9);
}

static void test_identical_sites(void **state)
{
	(void)state;
	for (unsigned edges = 1; edges <= 4; edges++) {
		for (unsigned round = 0; round < 5; round++) {
			world_init(edges, 5);
			for (unsigned j = 0; j < 5; j++)
				world.site[j].queue = (struct queue){8, 0.02, 1.5, QUEUE_CAP, 0};
			for (unsigned i = 0; i < edges; i++) {
				world.edge[i].demand_per_s =
					(double[]){0, 1, 600, 2100, 90000}[round];
				for (unsigned j = 0; j < 5; j++) {
					world.edge[i].delay_s[j] = 0.004;
					world.x[i][j] = j == i; /* the start must not show */
				}
			}
			solve_world();
			for (unsigned i = 0; i < edges; i++)
				for (unsigned j = 0; j < 5; j++)
					if (fabs(world.x[i][j] - 0.2) > 1e-6)
						fail_msg("%u edges, demand %g: x[%u][%u] = %.9g",
							 edges, world.edge[i].demand_per_s, i, j,
							 world.x[i][j]);
		}
	}
}

/* More than everybody can do: the same relative excess everywhere. */
static void test_overload_by_capacity(void **state)
{
	(void)state;
	world_init(1, 3);
	world.site[0].queue = (struct queue){2, 0.010, 1, QUEUE_CAP, 0};
	world.site[1].queue = (struct queue){8, 0.020, 1, QUEUE_CAP, 0};
	world.site[2].queue = (struct queue){40, 0.050, 2, QUEUE_CAP, 0};
	for (unsigned j = 0; j < 3; j++)
		world.edge[0].delay_s[j] = 0.01 * j;
	world.edge[0].demand_per_s = 2 * (200 + 400 + 800);
	solve_world();
	assert_optimal(1e-6);
	assert_true(fabs(world.x[0][0] - 200. / 1400) < 1e-3);
	assert_true(fabs(world.x[0][1] - 400. / 1400) < 1e-3);
	assert_true(fabs(world.x[0][2] - 800. / 1400) < 1e-3);
}

/*
 * With many edges, each near to other sites: what is too much still goes by capacity, but for the
 * marginals at the cap: up to s scv / (1 - cap)^2 = 360 s of QUEUE_OVERLOAD_S.
 */
static void test_overload_of_edges(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		unsigned edges = 2 + (unsigned)uniform(0, 15), sites = 2 + (unsigned)uniform(0, 14);
		double capacity = 0, load = 0;

		world_random(edges, sites, 5); /* each edge at least 0.3 of that */
		for (unsigned i = 0; i < edges; i++)
			for (unsigned j = 0; j < sites; j++)
				world.edge[i].delay_s[j] = uniform(0.0005, 0.05);
		solve_world();
		for (unsigned j = 0; j < sites; j++) {
			capacity += queue_capacity_per_s(&world.site[j].queue);
			load += load_of(j);
		}
		for (unsigned j = 0; j < sites; j++) {
			double times = load_of(j) / queue_capacity_per_s(&world.site[j].queue);
			if (!(fabs(times / (load / capacity) - 1) < 0.05))
				fail_msg("site %u of %u, %u edges: %.3f x its capacity, all %.3f",
					 j, sites, edges, times, load / capacity);
		}
	}
}

static void test_rows_without_choice(void **state)
{
	(void)state;
	world_init(3, 2);
	world.edge[0].delay_s[0] = world.edge[0].delay_s[1] = INFINITY; /* nowhere to go */
	world.edge[1].delay_s[0] = INFINITY;				/* one site */
	world.edge[1].delay_s[1] = 0.01;
	world.edge[2].delay_s[0] = 0.01; /* no demand, still sensible weights */
	world.edge[2].delay_s[1] = 0.02;
	world.edge[0].demand_per_s = world.edge[1].demand_per_s = 40;
	world.x[0][1] = 1;
	solve_world();
	assert_true(world.x[0][0] == 0 && world.x[0][1] == 0);
	assert_true(world.x[1][0] == 0 && world.x[1][1] == 1);
	assert_true(world.x[2][0] == 1 && world.x[2][1] == 0);

	world_init(0, 0);
	solve_world();
	world_init(2, 0);
	solve_world();
}

static void test_flat_queues(void **state)
{
	(void)state;
	world_init(1, 2); /* no variation at all: marginals are flat, then overload */
	world.site[0].queue = (struct queue){3, 0.01, 0, 0.9, 0};
	world.site[1].queue = (struct queue){1, 0.01, 0, 0.9, 0};
	world.edge[0].demand_per_s = 200;
	solve_world();
	assert_true(fabs(world.x[0][0] + world.x[0][1] - 1) < 1e-9);
	assert_true(load_of(0) <= 0.9 * 300 * (1 + 1e-6) && load_of(1) <= 0.9 * 100 * (1 + 1e-6));

	world_init(1, 3); /* thousands of idle servers */
	for (unsigned j = 0; j < 3; j++)
		world.site[j].queue.servers = 5000;
	world.edge[0].delay_s[2] = 0.001;
	world.edge[0].demand_per_s = 100000;
	solve_world();
	assert_optimal(1e-6);
	assert_true(fabs(world.x[0][0] - 0.5) < 1e-3 && world.x[0][2] == 0);
}

static void test_extreme_rates(void **state)
{
	static const double demands[] = {0, 1e-300, 1e-9, 1e9, 1e15};

	(void)state;
	for (size_t k = 0; k < sizeof(demands) / sizeof(demands[0]); k++) {
		for (unsigned edges = 1; edges <= 3; edges++) {
			world_random(edges, 6, 0.5);
			world.edge[0].demand_per_s = demands[k];
			solve_world();
			for (unsigned i = 0; i < edges; i++) {
				double sum = 0;
				for (unsigned j = 0; j < 6; j++)
					sum += world.x[i][j];
				assert_true(fabs(sum - 1) < 1e-9);
			}
			assert_true(isfinite(world.result.mean_s));
		}
	}
}

/*
 * What is lost at most against the optimum, as a part of it: convex, so by the bound of Frank and
 * Wolfe (1956).
 */
static double part_lost(void)
{
	double capacity[SL_CANDIDATES_MAX], load[SL_CANDIDATES_MAX], demand[SOLVE_EDGES_MAX];
	double open[SOLVE_EDGES_MAX], lost = 0, cost = 0;
	const struct solve_problem *p = &world.problem;

	for (unsigned j = 0; j < p->sites; j++)
		capacity[j] = queue_capacity_per_s(&world.site[j].queue);
	solve_demands(p, capacity, demand, open);
	for (unsigned j = 0; j < p->sites; j++) {
		load[j] = world.site[j].background_per_s;
		for (unsigned i = 0; i < p->edges; i++)
			load[j] += demand[i] * world.x[i][j];
		cost += load[j] * queue_response_s(&world.site[j].queue, load[j]);
	}
	for (unsigned i = 0; i < p->edges; i++) {
		double cheapest_s = INFINITY, mean_s = 0;

		for (unsigned j = 0; j < p->sites; j++) {
			double all_s = world.edge[i].delay_s[j] +
				       queue_marginal_s(&world.site[j].queue, load[j]);

			cheapest_s = fmin(cheapest_s, all_s);
			mean_s += world.x[i][j] > 0 ? world.x[i][j] * all_s : 0;
			cost += world.x[i][j] > 0
					? demand[i] * world.x[i][j] * world.edge[i].delay_s[j]
					: 0;
		}
		lost += demand[i] * (mean_s - cheapest_s);
	}
	return lost / cost;
}

/* One says that it works a thousand times as fast or as slow as the others, or more. */
static void test_odd_site(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		unsigned edges = 1 + round % 8, sites = 2 + round % 15;

		world_random(edges, sites, uniform(0.1, 1.2));
		world.site[0].queue =
			(struct queue){.servers = floor(exp(uniform(0, log(5000)))),
				       .service_time_s = exp(uniform(log(1e-5), log(10))),
				       .scv = exp(uniform(log(1e-3), log(100))),
				       .cap = QUEUE_CAP,
				       .backlog_s = uniform(0, 10)};
		solve_world();
		if (!(part_lost() <= 1e-3))
			fail_msg("round %u: %ux%u: %g lost", round, edges, sites, part_lost());
	}
}

/* Of all edges together; more than rounding lets it be by no more than the solver's tolerance. */
static double flows_to(unsigned j)
{
	return load_of(j) - world.site[j].background_per_s;
}

/*
 * A site that is busier by others gets no more of our flows, an edge sends no more over a way that
 * is longer, and no site's marginal delay falls when an edge has more to send.
 */
static void test_monotone(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		unsigned sites = 2 + round % 6, j = round % sites, edges = 1 + round % 5;
		unsigned i = round % edges;

		world_random(edges, sites, uniform(0.05, 1.2));
		if (isinf(world.edge[i].delay_s[j]))
			continue;
		solve_world();
		double share = world.x[i][j], flows = flows_to(j), before = load_of(j);
		double capacity = queue_capacity_per_s(&world.site[j].queue);
		switch (round / 6 % 3) {
		case 0:
			world.site[j].background_per_s += uniform(0, 0.5) * capacity;
			solve_world();
			assert_true(flows_to(j) <= flows + 1e-6 * capacity);
			break;
		case 1:
			world.edge[i].delay_s[j] += uniform(0, 0.02);
			solve_world();
			assert_true(world.x[i][j] <= share + 1e-6);
			break;
		default:
			world.edge[i].demand_per_s *= uniform(1, 2);
			solve_world();
			assert_true(load_of(j) >= before - 1e-6 * capacity);
		}
	}
}

/* Sites in another order, and edges in another order: the same shares. */
static void test_permutation(void **state)
{
	static struct world other;
	unsigned sites = 7, edges = 4;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		world_random(edges, sites, uniform(0.1, 1.3));
		solve_world();
		other = world;
		world_init(edges, sites);
		for (unsigned i = 0; i < edges; i++) {
			world.edge[i].demand_per_s = other.edge[edges - 1 - i].demand_per_s;
			for (unsigned j = 0; j < sites; j++)
				world.edge[i].delay_s[j] =
					other.edge[edges - 1 - i].delay_s[(j + 3) % sites];
		}
		for (unsigned j = 0; j < sites; j++)
			world.site[j] = other.site[(j + 3) % sites];
		solve_world();
		for (unsigned i = 0; i < edges; i++)
			for (unsigned j = 0; j < sites; j++) {
				double was = other.x[edges - 1 - i][(j + 3) % sites];
				if (fabs(world.x[i][j] - was) > 1e-4)
					fail_msg("round %u: %.9g, was %.9g", round, world.x[i][j],
						 was);
			}
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		double *place;
		double value;
	} cases[] = {
		{"demand NaN", &world.edge[1].demand_per_s, NAN},
		{"demand infinite", &world.edge[1].demand_per_s, INFINITY},
		{"demand negative", &world.edge[1].demand_per_s, -1},
		{"delay NaN", &world.edge[1].delay_s[2], NAN},
		{"delay negative", &world.edge[1].delay_s[2], -0.001},
		{"delay minus infinite", &world.edge[1].delay_s[2], -INFINITY},
		{"background NaN", &world.site[2].background_per_s, NAN},
		{"background infinite", &world.site[2].background_per_s, INFINITY},
		{"background negative", &world.site[2].background_per_s, -1},
		{"servers none", &world.site[2].queue.servers, 0},
		{"servers NaN", &world.site[2].queue.servers, NAN},
		{"servers infinite", &world.site[2].queue.servers, INFINITY},
		{"service time 0", &world.site[2].queue.service_time_s, 0},
		{"service time NaN", &world.site[2].queue.service_time_s, NAN},
		{"service time infinite", &world.site[2].queue.service_time_s, INFINITY},
		{"variation negative", &world.site[2].queue.scv, -0.1},
		{"variation NaN", &world.site[2].queue.scv, NAN},
		{"cap 0", &world.site[2].queue.cap, 0},
		{"cap 1", &world.site[2].queue.cap, 1},
		{"cap NaN", &world.site[2].queue.cap, NAN},
		{"backlog negative", &world.site[2].queue.backlog_s, -1},
		{"backlog NaN", &world.site[2].queue.backlog_s, NAN},
		{"backlog infinite", &world.site[2].queue.backlog_s, INFINITY},
	};
	static solve_row before[SOLVE_EDGES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_random(3, 4, 0.5);
		for (unsigned e = 0; e < 3; e++)
			for (unsigned j = 0; j < 4; j++)
				world.x[e][j] = uniform(0, 1);
		memcpy(before, world.x, sizeof(before));
		*cases[i].place = cases[i].value;
		if (solve(&world.problem, world.x, &world.result) != -EINVAL)
			fail_msg("%s: not refused", cases[i].what);
		assert_memory_equal(before, world.x, sizeof(before));
	}
	world_init(SOLVE_EDGES_MAX + 1, 1);
	assert_int_equal(solve(&world.problem, world.x, &world.result), -EINVAL);
	world_init(1, 1);
	world.problem.sites = SL_CANDIDATES_MAX + 1;
	assert_int_equal(solve(&world.problem, world.x, &world.result), -EINVAL);
}

/* Whatever the rows hold before, the result is the same. */
static void test_start_does_not_matter(void **state)
{
	static solve_row cold[SOLVE_EDGES_MAX];

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		unsigned edges = 1 + round % 4;
		world_random(edges, 6, uniform(0.1, 1.2));
		solve_world();
		memcpy(cold, world.x, sizeof(cold));
		for (unsigned i = 0; i < edges; i++)
			for (unsigned j = 0; j < 6; j++)
				world.x[i][j] =
					(double[]){NAN, -1, 0, 0.5, INFINITY, 1e300}[(i + j) % 6];
		solve_world();
		for (unsigned i = 0; i < edges; i++)
			for (unsigned j = 0; j < 6; j++)
				assert_true(fabs(world.x[i][j] - cold[i][j]) < 1e-6);
	}
}

/* From the solution before a small change, or a large one: the same as from nothing. */
static void test_resumed(void **state)
{
	static solve_row resumed[SOLVE_EDGES_MAX];

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		unsigned edges = 2 + round % 12, sites = 2 + (unsigned)uniform(0, 15);
		double change = round % 2 ? 0.01 : 0.5;

		world_random(edges, sites, uniform(0.1, 1.2));
		if (round % 3 == 0) /* another edge at the same place */
			world.edge[1] = world.edge[0];
		solve_world();
		for (unsigned i = 0; i < edges; i++)
			world.edge[i].demand_per_s *= 1 + change * uniform(-1, 1);
		world.site[round % sites].queue.backlog_s += change * uniform(0, 0.01);
		if (round % 5 == 0) /* a way less */
			world.edge[1].delay_s[round % sites] = round % sites < 2 ? 0.1 : INFINITY;
		solve_world();
		assert_optimal(2e-6);
		memcpy(resumed, world.x, sizeof(resumed));
		memset(world.x, 0, sizeof(world.x));
		solve_world();
		for (unsigned i = 0; i < edges; i++)
			for (unsigned j = 0; j < sites; j++)
				if (fabs(world.x[i][j] - resumed[i][j]) > 1e-5)
					fail_msg("round %u, x[%u][%u]: %.9g, from nothing %.9g",
						 round, i, j, resumed[i][j], world.x[i][j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_optimality),
		cmocka_unit_test(test_against_oracle),
		cmocka_unit_test(test_rfc_10054_example),
		cmocka_unit_test(test_identical_sites),
		cmocka_unit_test(test_overload_by_capacity),
		cmocka_unit_test(test_overload_of_edges),
		cmocka_unit_test(test_rows_without_choice),
		cmocka_unit_test(test_flat_queues),
		cmocka_unit_test(test_extreme_rates),
		cmocka_unit_test(test_odd_site),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_permutation),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_start_does_not_matter),
		cmocka_unit_test(test_resumed),
	};
	const char *given = getenv("SEED");
	unsigned long start = given ? strtoul(given, NULL, 0) : (unsigned long)time(NULL);

	printf("SEED=%lu\n", start);
	seed[0] = start & 0xffff;
	seed[1] = start >> 16 & 0xffff;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
