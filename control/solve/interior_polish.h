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
LANES_INLINE void settle(struct interior *in, unsigned vectors, double idle_s)
{
	FOR_CELLS(in, e, v)
	{
		lanes r = reduced(in, e, v, c);
		in->x[c] = lanes_if(in->x[c] * idle_s > r, in->x[c], zero());
		in->dx[c] = zero();
	}
	advance(in, vectors, 0, 0); /* rows sum to 1 again */
}

/* Price and weights of one row; whether all that it uses costs the same. */
LANES_INLINE bool polish_row(struct interior *in, unsigned vectors, unsigned e)
{
	lanes dearest = zero(), cheapest = lanes_all(INFINITY), sum = zero();

	for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++) {
		lanes cost = in->delay[c] + in->marginal[v];
		dearest = lanes_most(dearest, lanes_if(in_use(in, c), cost, zero()));
		cheapest =
			lanes_least(cheapest, lanes_if(in_use(in, c), cost, lanes_all(INFINITY)));
		sum += in->x[c] * lanes_if(in_use(in, c), cost, zero());
	}
	double price_s = in->lambda[e] = lanes_sum(sum);
	for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++) {
		lanes weight = lanes_all(in->demand[e] / (PROXIMAL * price_s));
		in->weight[c] = lanes_if(in_use(in, c), weight, zero());
		in->pull[c] = price_s - in->delay[c] - in->marginal[v];
	}
	return lanes_largest(dearest) <= lanes_smallest(cheapest) * (1 + POLISHED);
}

/* Lets in the cheapest site that a row does not use, if it is cheaper than all it does. */
LANES_INLINE bool polish_enter(struct interior *in, unsigned vectors, unsigned e)
{
	const double *delay = (const double *)&in->delay[e * vectors];
	const double *marginal = (const double *)in->marginal;
	double *x = (double *)&in->x[e * vectors];
	unsigned cheapest = 0;

	for (unsigned j = 1; j < in->sites; j++)
		if (delay[j] + marginal[j] < delay[cheapest] + marginal[cheapest])
			cheapest = j;
	double cost_s = delay[cheapest] + marginal[cheapest];
	if (x[cheapest] > 0 || cost_s >= in->lambda[e] * (1 - POLISHED))
		return false;
	x[cheapest] = SHARE_MIN;
	((double *)&in->weight[e * vectors])[cheapest] = in->demand[e] / (PROXIMAL * in->lambda[e]);
	return true;
}

/* The whole of a step that takes no share below zero. */
LANES_INLINE double polish_length(const struct interior *in, unsigned vectors)
{
	lanes fastest = lanes_all(1);

	FOR_CELLS(in, e, v)
	fastest = lanes_most(fastest, lanes_if(in_use(in, c), -in->dx[c] / in->x[c], zero()));
	return 1 / lanes_largest(fastest);
}

/*
 * What was cut off moves steep marginals, so Newton once more, without barrier and on the used
 * shares, all of one finite weight. A share that comes to zero leaves; when all used ones cost the
 * same, one that is cheaper enters.
 */
LANES_INLINE bool polish(struct interior *in, unsigned vectors, unsigned steps)
{
	in->mu = 0;
	for (unsigned v = 0; v < vectors; v++)
		in->dprice[v] = zero();
	for (unsigned step = 0; step < steps; step++) {
		bool done = true, entered = false;
		for (unsigned e = 0; e < in->edges; e++)
			done = polish_row(in, vectors, e) && done;
		for (unsigned e = 0; done && e < in->edges; e++)
			entered = polish_enter(in, vectors, e) || entered;
		if (done && !entered)
			return true;
		newton(in, vectors);
		double length =
			search(in, vectors, polish_length(in, vectors), descent(in, vectors, 0));
		advance(in, vectors, length, length);
		FOR_CELLS(in, e, v)
		in->x[c] = lanes_if(in->x[c] < SHARE_MIN / 2, zero(), in->x[c]);
	}
	return false;
}

/* Whether used ways make a circle; if not, sites that hang together are of one group. */
LANES_INLINE bool circle(const struct interior *in, unsigned vectors, unsigned *group)
{
	for (unsigned j = 0; j < in->sites; j++)
		group[j] = j;
	for (unsigned e = 0; e < in->edges; e++) {
		const double *x = (const double *)&in->x[e * vectors];
		unsigned own = SL_CANDIDATES_MAX;

		for (unsigned j = 0; j < in->sites; j++) {
			unsigned other = group[j];

			if (!(x[j] > 0))
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
LANES_INLINE bool resume(struct interior *in, unsigned vectors, const solve_row *x)
{
	unsigned group[SL_CANDIDATES_MAX];

	memset(in->x, 0, in->edges * vectors * sizeof(lanes));
	for (unsigned e = 0; e < in->edges; e++)
		memcpy(&in->x[e * vectors], x[in->edge[e]], in->sites * sizeof(double));
	if (circle(in, vectors, group))
		return false;
	for (unsigned v = 0; v < vectors; v++)
		in->known[v] = lanes_all(-1);
	evaluate(in, vectors);
	return true;
}

/* Whether a way that is not used costs as good as nothing more. */
LANES_INLINE bool tied(const struct interior *in, unsigned vectors)
{
	lanes nearest = lanes_all(INFINITY);

	FOR_CELLS(in, e, v)
	{
		lanes more = in->delay[c] + in->marginal[v] - (1 + TIED) * in->lambda[e];
		nearest = lanes_least(nearest, lanes_if(in_use(in, c), lanes_all(INFINITY), more));
	}
	return lanes_smallest(nearest) < 0;
}

/*
 * Whether there is no other solution, wherever one starts: used ways make no circle, unused ones
 * are dearer, and of the sites that hang together all but one have a load that their price tells.
 */
LANES_INLINE bool unique(const struct interior *in, unsigned vectors)
{
	unsigned group[SL_CANDIDATES_MAX], flat[SL_CANDIDATES_MAX] = {0};

	if (circle(in, vectors, group) || tied(in, vectors))
		return false;
	for (unsigned j = 0; j < in->sites; j++) {
		unsigned v = j / LANES, l = j % LANES;
		if (!(in->slope[v][l] * in->load[v][l] > STEEP * in->marginal[v][l]) &&
		    flat[group[j]]++ > 0)
			return false;
	}
	return true;
}
