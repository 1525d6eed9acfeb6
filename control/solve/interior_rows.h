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
#define SAME 1e-12 /* loads that differ by no more have the same marginals */
#define FAR_S 1e12 /* stands for infinite: times a share of 0 it is 0 */

#define VECTORS_MAX (SL_CANDIDATES_MAX / LANES)
#define CELLS_MAX (SOLVE_EDGES_MAX * VECTORS_MAX)

/*
 * Shares x, prices lambda of the edges' equations and P of the sites', reduced costs
 * r_ij = t_ij + P_j - lambda_i > 0; at the optimum P = M(L) and x_ij r_ij = 0; on the way
 * x_ij r_ij = mu. x stays feasible throughout, so a step descends on cost - mu sum d log x.
 * Rows of sites are vectors; x is 0 where there is no way or no site. A way whose x is 0 is out.
 */
struct interior {
	const struct solve_problem *problem;
	unsigned edges, sites;
	unsigned edge[SOLVE_EDGES_MAX]; /* those with an allowed site */
	double demand[SOLVE_EDGES_MAX], lambda[SOLVE_EDGES_MAX], dlambda[SOLVE_EDGES_MAX];
	double mu;
	struct queue_lanes queue[VECTORS_MAX];
	lanes background[VECTORS_MAX], nearest[VECTORS_MAX]; /* nearest: least delay to it */
	double ways;
	lanes load[VECTORS_MAX], price[VECTORS_MAX];
	lanes known[VECTORS_MAX], marginal[VECTORS_MAX], slope[VECTORS_MAX]; /* at known loads */
	lanes dload[VECTORS_MAX], dprice[VECTORS_MAX];
	lanes delay[CELLS_MAX], x[CELLS_MAX], dx[CELLS_MAX];
	lanes inverse[CELLS_MAX];		  /* 1 / (x r) */
	lanes weight[CELLS_MAX], pull[CELLS_MAX]; /* newton() */
	lanes matrix[SL_CANDIDATES_MAX][VECTORS_MAX];
};

#define FOR_CELLS(in, e, v)                        \
	for (unsigned e = 0; e < (in)->edges; e++) \
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)

LANES_INLINE lanes zero(void)
{
	return (lanes){0};
}

LANES_INLINE lanes_mask in_use(const struct interior *in, unsigned c)
{
	return in->x[c] > 0;
}

/* Reduced cost; as a difference it has no more digits than what it is of, but it is not zero. */
LANES_INLINE lanes reduced(const struct interior *in, unsigned e, unsigned v, unsigned c)
{
	lanes cost = in->delay[c] + in->price[v];

	return lanes_most(cost - in->lambda[e], ROUNDING * cost);
}

LANES_INLINE void add_loads(struct interior *in, unsigned vectors)
{
	for (unsigned v = 0; v < vectors; v++)
		in->load[v] = in->background[v];
	FOR_CELLS(in, e, v)
	in->load[v] += in->demand[e] * in->x[c];
}

/* Marginals where a step of this length leads. */
LANES_INLINE void evaluate_ahead_of(struct interior *in, unsigned vectors, double length)
{
	struct queue_lanes_delay delay[2];

	for (unsigned v = 0; v < vectors; v++)
		in->known[v] = in->load[v] + length * in->dload[v];
	for (unsigned v = 0; v < vectors; v += 2) {
		bool two = v + 1 < vectors;
		if (two)
			queue_lanes_delay_two(&in->queue[v], &in->known[v], delay);
		else
			delay[0] = queue_lanes_delay(&in->queue[v], in->known[v]);
		for (unsigned i = 0; i <= two; i++) {
			in->marginal[v + i] = delay[i].marginal_s;
			in->slope[v + i] = delay[i].slope;
		}
	}
}

LANES_CLONES static void evaluate_ahead(struct interior *in, unsigned vectors, double length)
{
	if (vectors == 2)
		evaluate_ahead_of(in, 2, length);
	else
		evaluate_ahead_of(in, vectors, length);
}

/* Marginals of the present shares, unless they are known: they cost the most of a small problem. */
LANES_INLINE void evaluate(struct interior *in, unsigned vectors)
{
	lanes most = lanes_all(-1);

	add_loads(in, vectors);
	for (unsigned v = 0; v < vectors; v++) {
		lanes off = in->load[v] - in->known[v];
		most = lanes_most(most, lanes_most(off, -off) - SAME * in->load[v]);
		in->dload[v] = zero();
	}
	if (!(lanes_largest(most) <= 0))
		evaluate_ahead(in, vectors, 0);
}

/* Places without a site get a queue that costs nothing to look at. */
LANES_INLINE void take_sites(struct interior *in, unsigned vectors)
{
	const struct queue none = {.servers = 1, .service_time_s = 1, .scv = 1, .cap = 0.9};

	for (unsigned j = 0; j < vectors * LANES; j++) {
		const struct solve_site *site = &in->problem->site[j];

		queue_lanes_take(&in->queue[j / LANES], j % LANES,
				 j < in->sites ? &site->queue : &none);
		in->background[j / LANES][j % LANES] = j < in->sites ? site->background_per_s : 0;
	}
}

LANES_INLINE void take_edges(struct interior *in, unsigned vectors, const double *demand_per_s)
{
	double *delay = (double *)in->delay;

	in->ways = 0;
	for (unsigned i = 0; i < in->problem->edges; i++) {
		const double *delay_s = in->problem->edge[i].delay_s;
		unsigned width = vectors * LANES, open = 0;
		double *row = delay + in->edges * width;

		for (unsigned j = 0; j < width; j++) {
			bool way = j < in->sites && delay_s[j] < FAR_S;
			row[j] = way ? delay_s[j] : FAR_S;
			open += way;
		}
		if (open == 0)
			continue;
		in->ways += open;
		in->demand[in->edges] = demand_per_s[i];
		in->edge[in->edges++] = i;
	}
	for (unsigned v = 0; v < vectors; v++)
		in->nearest[v] = lanes_all(FAR_S);
	FOR_CELLS(in, e, v)
	in->nearest[v] = lanes_least(in->nearest[v], in->delay[c]);
}
