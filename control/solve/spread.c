/* SPDX-License-Identifier: BSD-3-Clause */
#include "spread.h"
#include "../model/lanes.h"
#include <math.h>
#include <string.h>

#define PART 0.3
#define TAU_LEAST_S 1e-9
#define ROUNDS_MAX 15 /* where paths matter this is too few: then the spread is made smaller */
#define OFF 0.003     /* of a site's capacity: good enough */
#define FAR -700.0    /* exp() of less is nothing */

#define GROUPS (SL_CANDIDATES_MAX / LANES)
_Static_assert(SL_CANDIDATES_MAX % LANES == 0, "whole groups");

typedef union {
	double of[SL_CANDIDATES_MAX];
	lanes group[GROUPS];
} site_values; /* zero past the last site */

struct transport {
	unsigned edges, sites, groups;
	double demand[SOLVE_EDGES_MAX], row[SOLVE_EDGES_MAX];
	site_values load, capacity, column, arrives;
	site_values kernel[SOLVE_EDGES_MAX];
};

/* What chance may cost: a site gets the root of its servers too many, if anything waits at all. */
static double wait_s(const struct queue *queue, double marginal_s)
{
	return fmin(queue->service_time_s / sqrt(queue->servers),
		    marginal_s - queue->service_time_s);
}

/* 0 >= x >= FAR; within 1e-5 of it, which nobody can tell from chance. */
LANES_INLINE lanes lanes_exp(lanes x)
{
	const double shifter = 0x1.8p52; /* adding it rounds to a whole number */
	lanes y = x * M_LOG2E, whole = (y + shifter) - shifter, part = y - whole;
	lanes_bits two_to_whole = ((lanes_bits)(y + shifter) << 52) + (lanes_bits)lanes_all(1);

	return (lanes)two_to_whole *
	       (1 + part * (0.693147 + part * (0.240227 + part * (0.055504 + part * 0.009618))));
}

/* exp(-r / tau) of one edge; all zero if it has no site. */
LANES_INLINE void describe_row(struct transport *t, unsigned i, const double *delay_s,
			       const double *marginal_s, double tau_s)
{
	site_values *kernel = &t->kernel[i];
	double least_s = INFINITY;

	for (unsigned j = 0; j < t->sites; j++)
		least_s =
			delay_s[j] + marginal_s[j] < least_s ? delay_s[j] + marginal_s[j] : least_s;
	for (unsigned j = 0; j < t->groups * LANES; j++)
		kernel->of[j] = j < t->sites && delay_s[j] < INFINITY
					? least_s - delay_s[j] - marginal_s[j]
					: -INFINITY;
	for (unsigned g = 0; g < t->groups; g++) {
		lanes x = kernel->group[g] / tau_s;
		kernel->group[g] = lanes_if(x > FAR, lanes_exp(x), lanes_all(0));
	}
}

/* Returns tau. */
static double describe(struct transport *t, const struct solve_problem *problem, solve_row *x,
		       double *marginal_s)
{
	const struct queue *queue[SL_CANDIDATES_MAX];
	struct queue_delay delay[SL_CANDIDATES_MAX];
	double sum_s = 0, all_per_s = 0, arrivals_per_s[SL_CANDIDATES_MAX];
	double open_per_s[SOLVE_EDGES_MAX];

	t->edges = problem->edges;
	t->sites = problem->sites;
	t->groups = (t->sites + LANES - 1) / LANES;
	memset(&t->load, 0, sizeof(t->load));
	memset(&t->capacity, 0, sizeof(t->capacity));
	for (unsigned j = 0; j < t->sites; j++)
		t->capacity.of[j] = queue_capacity_per_s(&problem->site[j].queue);
	solve_demands(problem, t->capacity.of, t->demand, open_per_s);
	for (unsigned i = 0; i < t->edges; i++)
		for (unsigned j = 0; j < t->sites; j++)
			t->load.of[j] += t->demand[i] * x[i][j];
	for (unsigned j = 0; j < t->sites; j++) {
		queue[j] = &problem->site[j].queue;
		arrivals_per_s[j] = problem->site[j].background_per_s + t->load.of[j];
	}
	queue_delays(t->sites, queue, arrivals_per_s, delay);
	for (unsigned j = 0; j < t->sites; j++) {
		marginal_s[j] = delay[j].marginal_s;
		sum_s += t->load.of[j] * wait_s(queue[j], marginal_s[j]);
		all_per_s += t->load.of[j];
	}
	return fmax(PART * sum_s / all_per_s, TAU_LEAST_S);
}

/* Rows sum to 1 for the present columns; what then goes to each site. */
LANES_INLINE void scale_rows(struct transport *t, unsigned groups)
{
	lanes arrives[GROUPS];

	for (unsigned g = 0; g < groups; g++)
		arrives[g] = (lanes){0};
	for (unsigned i = 0; i < t->edges; i++) {
		lanes sum = {0};
		for (unsigned g = 0; g < groups; g++)
			sum += t->kernel[i].group[g] * t->column.group[g];
		double all = lanes_sum(sum);
		t->row[i] = all > 0 ? 1 / all : 0;
		for (unsigned g = 0; g < groups; g++)
			arrives[g] += t->demand[i] * t->row[i] * t->kernel[i].group[g];
	}
	for (unsigned g = 0; g < groups; g++)
		t->arrives.group[g] = arrives[g] * t->column.group[g];
}

/*
 * Sinkhorn (1967): rows and columns in turn, overrelaxed (Thibault et al. 2021). Returns how far a
 * site's load is off, in parts of its capacity.
 */
LANES_INLINE double balance(struct transport *t, unsigned groups)
{
	t->column = t->load;
	for (unsigned round = 0;; round++) {
		lanes most = {0};

		scale_rows(t, groups);
		for (unsigned g = 0; g < groups; g++) {
			lanes off = t->arrives.group[g] - t->load.group[g];
			most = lanes_most(lanes_most(off, -off) / t->capacity.group[g], most);
		}
		double off = lanes_largest(most);
		if (off < OFF || round == ROUNDS_MAX)
			return off;
		for (unsigned g = 0; g < groups; g++) {
			lanes arrives = t->arrives.group[g];
			lanes part = lanes_if(arrives > 0, t->load.group[g] / arrives, (lanes){0});
			for (unsigned l = 0; l < LANES; l++) /* 1.5 */
				t->column.group[g][l] *= part[l] * sqrt(part[l]);
		}
	}
}

LANES_CLONES static double find(struct transport *t, const struct solve_problem *problem,
				const double *marginal_s, double tau_s)
{
	for (unsigned i = 0; i < t->edges; i++)
		describe_row(t, i, problem->edge[i].delay_s, marginal_s, tau_s);
	/* most have two: code where loops over groups are none */
	return t->groups == 2 ? balance(t, 2) : balance(t, t->groups);
}

void spread(const struct solve_problem *problem, solve_row *x)
{
	struct transport t;
	double marginal_s[SL_CANDIDATES_MAX];

	if (problem->edges < 2 || problem->sites < 2)
		return;
	double tau_s = describe(&t, problem, x, marginal_s);
	double part = fmin(1, OFF / find(&t, problem, marginal_s, tau_s));
	for (unsigned i = 0; i < t.edges; i++) {
		/* an idle edge has nothing to spread; its next flow goes where it is best */
		if (t.row[i] == 0 || problem->edge[i].demand_per_s < t.demand[i])
			continue;
		for (unsigned j = 0; j < t.sites; j++)
			x[i][j] += part * (t.row[i] * t.kernel[i].of[j] * t.column.of[j] - x[i][j]);
	}
}
