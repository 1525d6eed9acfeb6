/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From near the optimum to it: the ways in use are known, or nearly, and each row is made to cost
 * the same on all of them; and whether there is no other. Part of interior.c, whose steps it takes.
 */
#pragma once

#include "interior_newton.h"

#define POLISHED 1e-8
#define RESUME_STEPS 12
#define TIED 1e-5 /* of the price: an unused way that costs so little more may be as good */
#define STEEP 1e-3
#define PROXIMAL 1e-9
#define SHARE_MIN 1e-12

/* As mu goes to zero either a share or its reduced cost does: the shares that do are cut off. */
LANES_INLINE void settle(struct interior *in, double idle_s)
{
	FOR_CELLS(in, g, j)
	in->x[c] = lanes_if(in->x[c] * idle_s > reduced(in, g, j, c), in->x[c], zero());
	rest(in);
}

/* Prices of eight rows and their weights; whether all that a row uses costs the same. */
LANES_INLINE bool polish_rows(struct interior *in, unsigned g)
{
	lanes dearest = zero(), cheapest = lanes_all(INFINITY), price = zero();
	unsigned first = first_cell(in, g);

	for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
		lanes cost = in->delay[c] + in->marginal.of[j], used = in->x[c];
		dearest = lanes_most(dearest, lanes_if(used > 0, cost, zero()));
		cheapest = lanes_least(cheapest, lanes_if(used > 0, cost, lanes_all(INFINITY)));
		price += used * cost;
	}
	in->lambda[g] = price;
	lanes yields = 1 / (PROXIMAL * price);
	for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
		in->weight[c] = lanes_if(in_use(in, c), in->demand[g] * yields, zero());
		in->pace[c] = lanes_if(in_use(in, c), yields / in->x[c], zero());
		in->pull[c] = price - in->delay[c] - in->marginal.of[j];
	}
	return lanes_largest(dearest - cheapest * (1 + POLISHED)) <= 0;
}

/* Lets in the cheapest site that a row does not use, if it is cheaper than all it does. */
LANES_INLINE bool polish_enter(struct interior *in, unsigned g)
{
	lanes cheapest = lanes_all(INFINITY), which = zero();
	lanes yields = 1 / (PROXIMAL * in->lambda[g]);
	unsigned first = first_cell(in, g);

	for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
		lanes cost = in->delay[c] + in->marginal.of[j];
		cost = lanes_if(in_use(in, c), lanes_all(INFINITY), cost);
		which = lanes_if(cost < cheapest, lanes_all(j), which);
		cheapest = lanes_least(cost, cheapest);
	}
	which = lanes_if(cheapest < in->lambda[g] * (1 - POLISHED), which, lanes_all(-1));
	if (lanes_largest(which) < 0)
		return false;
	for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
		in->x[c] = lanes_if(which == j, lanes_all(SHARE_MIN), in->x[c]);
		in->weight[c] = lanes_if(which == j, in->demand[g] * yields, in->weight[c]);
		in->pace[c] = lanes_if(which == j, yields / SHARE_MIN, in->pace[c]);
	}
	return true;
}

/*
 * What was cut off moves steep marginals, so Newton once more, without barrier and on the used
 * shares, all of one finite weight. A share that comes to zero leaves; when all used ones cost the
 * same, one that is cheaper enters.
 */
LANES_INLINE bool polish(struct interior *in, unsigned steps)
{
	in->mu = 0;
	for (unsigned taken = 0; taken < steps; taken++) {
		bool done = true, entered = false;
		for (unsigned g = 0; g < in->groups; g++)
			done = polish_rows(in, g) && done;
		for (unsigned g = 0; done && g < in->groups; g++)
			entered = polish_enter(in, g) || entered;
		if (done && !entered)
			return true;
		for (unsigned g = 0; g < in->groups; g++)
			centre(in, g);
		struct step step = newton(in);
		double length = search(in, fmin(1, 1 / step.fastest), step.slope);
		advance(in, length, length);
		FOR_CELLS(in, g, j)
		in->x[c] = lanes_if(in->x[c] < SHARE_MIN / 2, zero(), in->x[c]);
	}
	return false;
}

LANES_INLINE double *share(struct interior *in, unsigned e, unsigned j)
{
	return (double *)&in->x[first_cell(in, e / LANES) + j] + e % LANES;
}

/* Whether used ways make a circle; if not, sites that hang together are of one group. */
LANES_INLINE bool circle(struct interior *in, unsigned *group)
{
	for (unsigned j = 0; j < in->sites; j++)
		group[j] = j;
	for (unsigned e = 0; e < in->edges; e++) {
		unsigned own = SL_CANDIDATES_MAX;

		for (unsigned j = 0; j < in->sites; j++) {
			unsigned other = group[j];

			if (!(*share(in, e, j) > 0))
				continue;
			if (other == own) /* by other edges already */
				return true;
			if (own == SL_CANDIDATES_MAX)
				own = other;
			for (unsigned k = 0; other != own && k < in->sites; k++)
				group[k] = group[k] == other ? own : group[k];
		}
	}
	return false;
}

/* Takes the rows that are given; whether they may have been a solution, and the only one. */
LANES_INLINE bool resume(struct interior *in, solve_row *x)
{
	unsigned group[SL_CANDIDATES_MAX];

	memset(in->x, 0, cells(in) * sizeof(lanes));
	for (unsigned e = 0; e < in->edges; e++)
		for (unsigned j = 0; j < in->sites; j++)
			*share(in, e, j) = x[in->edge[e]][j];
	if (circle(in, group))
		return false;
	evaluate_afresh(in);
	in->price = in->marginal;
	return true;
}

/* Whether a way that is not used costs as good as nothing more. */
LANES_INLINE bool tied(const struct interior *in)
{
	lanes nearest = lanes_all(INFINITY);

	FOR_CELLS(in, g, j)
	{
		lanes more = in->delay[c] + in->marginal.of[j] - (1 + TIED) * in->lambda[g];
		nearest = lanes_least(nearest, lanes_if(in_use(in, c), lanes_all(INFINITY), more));
	}
	return lanes_smallest(nearest) < 0;
}

/*
 * Whether there is no other solution, wherever one starts: used ways make no circle, unused ones
 * are dearer, and of the sites that hang together all but one have a load that their price tells.
 */
LANES_INLINE bool unique(struct interior *in)
{
	unsigned group[SL_CANDIDATES_MAX], flat[SL_CANDIDATES_MAX] = {0};

	if (circle(in, group) || tied(in))
		return false;
	for (unsigned j = 0; j < in->sites; j++) {
		if (!(in->slope.of[j] * in->load.of[j] > STEEP * in->marginal.of[j]) &&
		    flat[group[j]]++ > 0)
			return false;
	}
	return true;
}
