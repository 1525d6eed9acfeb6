/* SPDX-License-Identifier: BSD-3-Clause */
/* One step of Newton for all rows. Part of interior.c: inlined into its clones. */
#pragma once

#include "interior_rows.h"

#define FLAT 1e-200 /* a slope of nothing */

/*
 * Solves A y = b in place, A being symmetric with negative off-diagonal elements -matrix[j][i],
 * i > j, and row sums dominance[i] > 0. Elimination (Gauss and Jordan) on these two never
 * subtracts (Alfa, Xue and Ye 2002), so it is exact to rounding although the weights in A span
 * more than the digits of a double. Above the diagonal stands what rows that are through still ask.
 */
LANES_INLINE void eliminate(struct interior *in, union site_values *dominance, union site_values *b)
{
	lanes index[VECTORS_MAX], of_pivot[VECTORS_MAX];

	for (unsigned j = 0; j < in->vectors * LANES; j++)
		index[j / LANES][j % LANES] = j;
	for (unsigned k = 0; k < in->sites; k++) {
		const double *below = (const double *)in->matrix[k];
		lanes column[VECTORS_MAX], sum = zero();

		FOR_VECTORS(in, v)
		{
			column[v] = lanes_if(index[v] == k, zero(), in->matrix[k][v]);
			sum += lanes_if(index[v] > k, column[v], zero());
		}
		double lead = dominance->of[k], ask = b->of[k];
		double pivot = lead + lanes_sum(sum), inverse = 1 / pivot;
		FOR_VECTORS(in, v)
		{
			dominance->vector[v] += lead * inverse * column[v];
			b->vector[v] += ask * inverse * column[v];
			column[v] = lanes_if(index[v] == k, lanes_all(pivot), column[v]);
			of_pivot[v] = lanes_if(index[v] == k, lanes_all(inverse), of_pivot[v]);
		}
		for (unsigned j = k + 1; j < in->sites; j++) {
			double share = below[j] * inverse;
			FOR_VECTORS(in, v)
			in->matrix[j][v] = lanes_if(index[v] == k, zero(), in->matrix[j][v]) +
					   share * column[v];
		}
	}
	FOR_VECTORS(in, v)
	b->vector[v] *= of_pivot[v];
}

/* sum over edges of w_ij w_ik / W_i, for k >= j's four: two times four stay in registers. */
LANES_INLINE void couple(struct interior *in)
{
	for (unsigned j = 0; j < in->sites; j += 2) {
		for (unsigned k = j & ~3u; k < in->vectors * LANES; k += 4) {
			lanes sum[LANES] = {zero()};

			for (unsigned g = 0; g < in->groups; g++) {
				const lanes *weight = &in->weight[first_cell(in, g)];
				lanes one = weight[j] * in->of_sum[g];
				lanes other = weight[j + 1] * in->of_sum[g];

#pragma GCC unroll 4
				for (unsigned l = 0; l < LANES / 2; l++) {
					sum[l] += one * weight[k + l];
					sum[l + LANES / 2] += other * weight[k + l];
				}
			}
			lanes both = lanes_sums(sum);
			lanes_half *row = (lanes_half *)in->matrix[j] + k / 4;
			row[0] = __builtin_shufflevector(both, both, 0, 1, 2, 3);
			row[2 * VECTORS_MAX] = __builtin_shufflevector(both, both, 4, 5, 6, 7);
		}
	}
}

/*
 * Of eight rows' weights and pulls: sums; and the pulls' weighted mean is taken from them, twice,
 * so that it is exact for the heaviest share, whose pull is all but nothing beside it.
 */
LANES_INLINE void centre(struct interior *in, unsigned g)
{
	const lanes *weight = &in->weight[first_cell(in, g)];
	lanes *pull = &in->pull[first_cell(in, g)];
	lanes all = zero(), off = zero(), more = zero();

	for (unsigned j = 0; j < in->sites; j++) {
		all += weight[j];
		off += weight[j] * pull[j];
	}
	in->of_sum[g] = inverse_sum(all);
	lanes mean = off * in->of_sum[g];
	for (unsigned j = 0; j < in->sites; j++) {
		pull[j] -= mean;
		more += weight[j] * pull[j];
	}
	lanes rest = more * in->of_sum[g];
	for (unsigned j = 0; j < in->sites; j++) {
		pull[j] -= rest;
		in->ask[j] += weight[j] * pull[j];
	}
	in->dlambda[g] = -mean - rest; /* of what is known yet */
}

/* What a step does: the fastest fall of a share and of a reduced cost, in parts of itself, and the
 * slope along it of what is minimised. */
struct step {
	double fastest, quickest, slope;
};

/*
 * Newton's equations. With weights w, pulls g (what a share is asked to do at fixed prices) and
 * H = M',
 *	d_i dx_ij = w_ij (g_ij + dlambda_i - y_j),  y_j = H_j dL_j,  dL_j = sum_i d_i dx_ij
 * and sum_j dx_ij = 0, dlambda eliminated, leave a system in y:
 *	(1 / H_j + sum_i w_ij) y_j - sum_ik w_ij w_ik / W_i y_k = sum_i w_ij (g_ij - mean_i g)
 * where mean_i is weighted by w, W_i its sum. Rows are centred; pace: dx / x for 1 in the brackets.
 */
LANES_CLONES static struct step newton(struct interior *in)
{
	union site_values y, dominance;
	lanes arrive[SL_CANDIDATES_MAX];
	lanes fastest = zero(), quickest = zero(), slope = zero();

	add_up(in, in->ask, &y);
	FOR_VECTORS(in, v)
	dominance.vector[v] = 1 / lanes_most(in->slope.vector[v], lanes_all(FLAT));
	couple(in);
	eliminate(in, &dominance, &y);
	FOR_VECTORS(in, v)
	in->dprice.vector[v] = in->marginal.vector[v] - in->price.vector[v] + y.vector[v];
	clear(in, in->ask);
	clear(in, arrive);
	for (unsigned g = 0; g < in->groups; g++) {
		const lanes *weight = &in->weight[first_cell(in, g)];
		lanes off = zero(), inverse = 1 / in->demand[g];

		for (unsigned j = 0; j < in->sites; j++)
			off += weight[j] * y.of[j];
		lanes mean = off * in->of_sum[g], dlambda = in->dlambda[g] += mean;
		for (unsigned j = 0, c = first_cell(in, g); j < in->sites; j++, c++) {
			lanes push = in->pull[c] + (mean - y.of[j]), moved = weight[j] * push;

			arrive[j] += moved;
			in->dx[c] = moved * inverse;
			slope -= moved * in->pull[c];
			fastest = lanes_most(-push * in->pace[c], fastest);
			quickest = lanes_most((dlambda - in->dprice.of[j]) * in->pace[c], quickest);
		}
	}
	add_up(in, arrive, &in->dload);
	return (struct step){lanes_largest(fastest), lanes_largest(quickest), lanes_sum(slope)};
}
