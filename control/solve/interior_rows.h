/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the interior point knows of the problem and where it stands. Part of interior.c: inlined
 * into its clones.
 */
#pragma once

#include "../model/queue_lanes.h"
#include "interior.h"
#include <math.h>
#include <string.h>

#define ROUNDING 4e-16
#define SAME 1e-10     /* loads that differ by no more have the same marginals */
#define FAR_S 1e12     /* stands for infinite: times a share of 0 it is 0 */
#define NOTHING 1e-300 /* least sum to divide by: a row of nothing stays so */

#define VECTORS_MAX (SL_CANDIDATES_MAX / LANES)
#define GROUPS_MAX (SOLVE_EDGES_MAX / LANES)
#define CELLS_MAX (GROUPS_MAX * SL_CANDIDATES_MAX)

union site_values { /* past the last site: of a place without one */
	double of[SL_CANDIDATES_MAX];
	lanes vector[VECTORS_MAX];
};

/*
 * Shares x, prices lambda of the edges' equations and P of the sites', reduced costs
 * r_ij = t_ij + P_j - lambda_i > 0; at the optimum P = M(L) and x_ij r_ij = 0; on the way
 * x_ij r_ij = mu. x stays feasible throughout, so a step descends on cost - mu sum d log x.
 * A cell is a site of eight edges at once, so that sums over a row need none across a vector. x is
 * 0 where there is no way or no edge. A way whose x is 0 is out.
 */
struct interior {
	const struct solve_problem *problem;
	unsigned edges, groups, sites, vectors;
	unsigned edge[SOLVE_EDGES_MAX]; /* those with an allowed site */
	double mu, ways;
	struct queue_lanes queue[VECTORS_MAX];
	union site_values background, nearest, load, price; /* nearest: least delay to it */
	union site_values known, marginal, slope;	    /* at known loads */
	union site_values dload, dprice;
	lanes demand[GROUPS_MAX], lambda[GROUPS_MAX], dlambda[GROUPS_MAX];
	lanes delay[CELLS_MAX], x[CELLS_MAX], dx[CELLS_MAX];
	lanes weight[CELLS_MAX], pull[CELLS_MAX], pace[CELLS_MAX]; /* newton() */
	lanes of_sum[GROUPS_MAX];				   /* 1 / sum of a row's weights */
	lanes ask[SL_CANDIDATES_MAX];				   /* sums of weight x pull */
	lanes matrix[SL_CANDIDATES_MAX][VECTORS_MAX];
};

#define FOR_CELLS(in, g, j)                         \
	for (unsigned g = 0; g < (in)->groups; g++) \
		for (unsigned j = 0, c = first_cell(in, g); j < (in)->sites; j++, c++)

#define FOR_VECTORS(in, v) for (unsigned v = 0; v < (in)->vectors; v++)

LANES_INLINE lanes zero(void)
{
	return (lanes){0};
}

LANES_INLINE unsigned first_cell(const struct interior *in, unsigned g)
{
	return g * in->vectors * LANES;
}

LANES_INLINE unsigned cells(const struct interior *in)
{
	return first_cell(in, in->groups);
}

LANES_INLINE lanes_mask in_use(const struct interior *in, unsigned c)
{
	return in->x[c] > 0;
}

/* Reduced cost; as a difference it has no more digits than what it is of, but it is not zero. */
LANES_INLINE lanes reduced(const struct interior *in, unsigned g, unsigned j, unsigned c)
{
	lanes cost = in->delay[c] + in->price.of[j];

	return lanes_most(cost - in->lambda[g], ROUNDING * cost);
}

LANES_INLINE lanes inverse_sum(lanes sum)
{
	return 1 / lanes_most(sum, lanes_all(NOTHING));
}

/* What all edges ask of each site. */
LANES_INLINE void clear(const struct interior *in, lanes *of_site)
{
	memset(of_site, 0, in->vectors * LANES * sizeof(*of_site));
}

LANES_INLINE void add_up(const struct interior *in, const lanes *of_site, union site_values *sum)
{
	FOR_VECTORS(in, v)
	sum->vector[v] = lanes_sums(&of_site[v * LANES]);
}

LANES_INLINE void add_loads(struct interior *in)
{
	lanes arrive[SL_CANDIDATES_MAX];

	clear(in, arrive);
	FOR_CELLS(in, g, j)
	arrive[j] += in->demand[g] * in->x[c];
	add_up(in, arrive, &in->load);
	FOR_VECTORS(in, v)
	in->load.vector[v] += in->background.vector[v];
}

/* Marginals where a step of this length leads. */
LANES_CLONES static void evaluate_ahead(struct interior *in, double length)
{
	struct queue_lanes_delay delay[2];
	lanes *known = in->known.vector;

	FOR_VECTORS(in, v)
	known[v] = in->load.vector[v] + length * in->dload.vector[v];
	for (unsigned v = 0; v < in->vectors; v += 2) {
		bool two = v + 1 < in->vectors;
		if (two)
			queue_lanes_delay_two(&in->queue[v], &known[v], delay);
		else
			delay[0] = queue_lanes_delay(&in->queue[v], known[v]);
		for (unsigned i = 0; i <= two; i++) {
			in->marginal.vector[v + i] = delay[i].marginal_s;
			in->slope.vector[v + i] = delay[i].slope;
		}
	}
}

/* Marginals of the present loads, unless they are known: they cost the most of a small problem. */
LANES_INLINE void evaluate(struct interior *in)
{
	lanes most = lanes_all(-1);

	FOR_VECTORS(in, v)
	{
		lanes load = in->load.vector[v], off = load - in->known.vector[v];
		most = lanes_most(most, lanes_most(off, -off) - SAME * load);
		in->dload.vector[v] = zero();
	}
	if (!(lanes_largest(most) <= 0))
		evaluate_ahead(in, 0);
}

/* Nothing is known of the marginals yet. */
LANES_INLINE void evaluate_afresh(struct interior *in)
{
	FOR_VECTORS(in, v)
	in->known.vector[v] = lanes_all(-1);
	add_loads(in);
	evaluate(in);
}

/* Places without a site get a queue that costs nothing to look at. */
LANES_INLINE void take_sites(struct interior *in)
{
	const struct queue none = {.servers = 1, .service_time_s = 1, .scv = 1, .cap = 0.9};

	for (unsigned j = 0; j < in->vectors * LANES; j++) {
		const struct solve_site *site = &in->problem->site[j];

		queue_lanes_take(&in->queue[j / LANES], j % LANES,
				 j < in->sites ? &site->queue : &none);
		in->background.of[j] = j < in->sites ? site->background_per_s : 0;
	}
}

/* One edge's ways, unless it has none. */
LANES_INLINE void take_edge(struct interior *in, unsigned i, double demand_per_s)
{
	const double *delay_s = in->problem->edge[i].delay_s;
	unsigned l = in->edges % LANES, g = in->edges / LANES, open = 0;
	lanes *delay = &in->delay[first_cell(in, g)];

	for (unsigned j = 0; j < in->sites; j++) {
		bool way = delay_s[j] < FAR_S;
		delay[j][l] = way ? delay_s[j] : FAR_S;
		open += way;
	}
	in->demand[g][l] = demand_per_s;
	if (open == 0)
		return;
	in->ways += open;
	in->edge[in->edges++] = i;
}

LANES_INLINE void take_edges(struct interior *in, const double *demand_per_s)
{
	in->edges = 0;
	in->ways = 0;
	for (unsigned i = 0; i < in->problem->edges; i++)
		take_edge(in, i, demand_per_s[i]);
	in->groups = (in->edges + LANES - 1) / LANES;
	for (unsigned e = in->edges; e < in->groups * LANES; e++) { /* places without an edge */
		for (unsigned j = 0; j < in->sites; j++)
			in->delay[first_cell(in, e / LANES) + j][e % LANES] = FAR_S;
		in->demand[e / LANES][e % LANES] = 1;
	}
	for (unsigned j = 0; j < in->vectors * LANES; j++) {
		lanes nearest = lanes_all(FAR_S);
		for (unsigned g = 0; g < in->groups && j < in->sites; g++)
			nearest = lanes_least(nearest, in->delay[first_cell(in, g) + j]);
		in->nearest.of[j] = lanes_smallest(nearest);
	}
}
