/* SPDX-License-Identifier: BSD-3-Clause */
/* One step of Newton for all rows. Part of interior.c: inlined into its clones. */
#pragma once

#include "interior_rows.h"

#define FLAT 1e-200 /* a slope of nothing */

/*
 * Solves A y = b in place, A being symmetric with negative off-diagonal elements -matrix[i][k] and
 * row sums dominance[i] > 0. Elimination on these two never subtracts (Alfa, Xue and Ye 2002), so
 * it is exact to rounding although the weights in A span more than the digits of a double.
 */
LANES_INLINE void eliminate(struct interior *in, unsigned vectors, double *dominance, double *b)
{
	lanes index[VECTORS_MAX];
	double of_pivot[SL_CANDIDATES_MAX];
	unsigned n = in->sites;

	for (unsigned j = 0; j < vectors * LANES; j++)
		index[j / LANES][j % LANES] = j;
	for (unsigned k = 0; k < n; k++) {
		lanes *row = in->matrix[k], sum = zero();
		for (unsigned v = k / LANES; v < vectors; v++) {
			row[v] = lanes_if(index[v] > k, row[v], zero());
			sum += row[v];
		}
		of_pivot[k] = 1 / (dominance[k] + lanes_sum(sum));
		for (unsigned i = k + 1; i < n; i++) {
			double share = row[i / LANES][i % LANES] * of_pivot[k];
			dominance[i] += share * dominance[k];
			b[i] += share * b[k];
			for (unsigned v = i / LANES; v < vectors; v++)
				in->matrix[i][v] += share * row[v];
		}
	}
	for (unsigned k = n; k-- > 0;) { /* by columns: no sum to wait for */
		b[k] *= of_pivot[k];
		for (unsigned i = 0; i < k; i++)
			b[i] += in->matrix[i][k / LANES][k % LANES] * b[k];
	}
}

/* sum over edges of w_ij w_ik / W_i, for j >= k's group: eight rows at a time stay in registers. */
LANES_INLINE void couple(struct interior *in, unsigned vectors, const double *of_sum)
{
	for (unsigned v = 0; v < vectors; v++) {
		for (unsigned u = v; u < vectors; u++) {
			lanes row[LANES] = {zero()};

			for (unsigned e = 0; e < in->edges; e++) {
				const lanes *weight = &in->weight[e * vectors];
				const double *one = (const double *)&weight[v];
				lanes part = weight[u] * of_sum[e];

#pragma GCC unroll 8
				for (unsigned l = 0; l < LANES; l++)
					row[l] += one[l] * part;
			}
#pragma GCC unroll 8
			for (unsigned l = 0; l < LANES; l++)
				in->matrix[v * LANES + l][u] = row[l];
		}
	}
}

/* Pulls of a row are taken from that of its heaviest share, so that nothing cancels; returns it. */
LANES_INLINE double pull_from_heaviest(const lanes *weight, lanes *pull, unsigned vectors)
{
	lanes most = zero(), heaviest = zero();

	for (unsigned v = 0; v < vectors; v++) {
		heaviest = lanes_if(weight[v] > most, pull[v], heaviest);
		most = lanes_most(weight[v], most);
	}
	lanes top = lanes_all(lanes_largest(most));
	double from = lanes_largest(lanes_if(most < top, lanes_all(-INFINITY), heaviest));
	for (unsigned v = 0; v < vectors; v++)
		pull[v] = lanes_if(weight[v] > zero(), pull[v] - from, zero());
	return from;
}

/*
 * Newton's equations. With weights w, pulls g (what a share is asked to do at fixed prices) and
 * H = M',
 *	d_i dx_ij = w_ij (g_ij + dlambda_i - y_j),  y_j = H_j dL_j,  dL_j = sum_i d_i dx_ij
 * and sum_j dx_ij = 0, dlambda eliminated, leave a system in y:
 *	(1 / H_j + sum_i w_ij) y_j - sum_ik w_ij w_ik / W_i y_k = sum_i w_ij (g_ij - mean_i g)
 * where mean_i is weighted by w, W_i its sum.
 */
LANES_INLINE void newton_of(struct interior *in, unsigned vectors)
{
	_Alignas(64) double y[SL_CANDIDATES_MAX] = {0};
	double dominance[SL_CANDIDATES_MAX], of_sum[SOLVE_EDGES_MAX], from[SOLVE_EDGES_MAX];
	lanes *ask = (lanes *)y;

	for (unsigned j = 0; j < in->sites; j++) {
		double slope = in->slope[j / LANES][j % LANES];
		dominance[j] = 1 / (slope > FLAT ? slope : FLAT);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		const lanes *weight = &in->weight[e * vectors];
		lanes *pull = &in->pull[e * vectors];
		lanes all = zero(), off = zero();

		from[e] = pull_from_heaviest(weight, pull, vectors);
		for (unsigned v = 0; v < vectors; v++) {
			all += weight[v];
			off += weight[v] * pull[v];
		}
		of_sum[e] = 1 / lanes_sum(all);
		double mean = lanes_sum(off) * of_sum[e];
		in->dlambda[e] = -mean; /* of what is known yet */
		for (unsigned v = 0; v < vectors; v++)
			ask[v] += weight[v] * (pull[v] - mean);
	}
	couple(in, vectors, of_sum);
	eliminate(in, vectors, dominance, y);
	for (unsigned v = 0; v < vectors; v++)
		in->dload[v] = zero();
	for (unsigned e = 0; e < in->edges; e++) {
		const lanes *weight = &in->weight[e * vectors];
		const lanes *pull = &in->pull[e * vectors];
		double inverse = 1 / in->demand[e];
		lanes off = zero();

		for (unsigned v = 0; v < vectors; v++)
			off += weight[v] * ask[v];
		in->dlambda[e] += lanes_sum(off) * of_sum[e];
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++) {
			lanes moved = weight[v] * (pull[v] + in->dlambda[e] - ask[v]);
			in->dload[v] += moved;
			in->dx[c] = moved * inverse;
		}
		in->dlambda[e] -= from[e];
	}
}

LANES_CLONES static void newton(struct interior *in, unsigned vectors)
{
	if (vectors == 2)
		newton_of(in, 2);
	else
		newton_of(in, vectors);
}
