/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sends how much where: for one service, over edges i and sites j,
 *
 *	minimise  sum_ij d_i x_ij t_ij  +  sum_j L_j W_j(L_j),   L_j = b_j + sum_i d_i x_ij
 *	with      sum_j x_ij = 1,  x_ij >= 0,  x_ij = 0 where not allowed
 *
 * d demand (flows/s), t path delay, b background, W response time (model/queue.h). Convex; at
 * the optimum all sites an edge uses have the same path delay + marginal delay, and no
 * unused one has less (Gallager 1977). An interior point (interior.h) solves it; where doubles are
 * too coarse for that, exact water-filling of one edge after the other. Every edge solves this with
 * the same inputs in the same order (edges sorted by name) and uses its own row; where several
 * solutions are equally good the result is the middle of them, alike for edges alike, and does not
 * depend on where it started. Pure, no allocation.
 */
#pragma once

#include "../model/queue.h"
#include <stdbool.h>
#include <suanlu/route.h>

#define SOLVE_EDGES_MAX 64

struct solve_site {
	struct queue queue;
	double background_per_s;
};

struct solve_edge {
	double demand_per_s; /* >= 0; taken as at least a millionth of the allowed capacity, so that
				an idle edge has sensible weights too */
	double delay_s[SL_CANDIDATES_MAX]; /* by site; infinite: not allowed for this edge */
};

struct solve_problem {
	unsigned edges, sites;
	const struct solve_edge *edge;
	const struct solve_site *site;
};

/* x[i][j]; in: where to start (rows are made feasible; zeros: no idea), only a matter of speed;
 * out: the shares. */
typedef double solve_row[SL_CANDIDATES_MAX];

struct solve_result {
	unsigned rounds; /* of water-filling */
	double gap_s;	 /* largest difference between an edge's dearest used and cheapest allowed
			    marginal */
	double mean_s;	 /* predicted mean of delay + response over all demand */
};

/*
 * Rows of edges without any allowed site are all zero; every other row sums to 1 exactly
 * enough for weights (1e-9), with exact zeros where not allowed.
 * Returns 0, or -EINVAL if an input is not finite (delay may be infinite) or out of range; x is
 * then untouched.
 */
int solve(const struct solve_problem *problem, solve_row *x, struct solve_result *result);

/* What is taken as each edge's demand: at least a millionth of the capacity that is open to it. */
void solve_demands(const struct solve_problem *problem, const double *capacity_per_s,
		   double *demand, double *open_per_s);
