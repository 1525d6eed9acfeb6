/* SPDX-License-Identifier: BSD-3-Clause */
#include "interior.h"
#include "../model/queue_lanes.h"
#include <math.h>
#include <string.h>

#define STEPS_MAX 200
#define TRIES 3
#define COMPLEMENTARITY 1e-6 /* mean of x r, of the least price: the used sites stand out */
#define RESIDUAL 1e-4
#define BOUNDARY 0.99 /* of the way to the first zero */
#define NOISE 1e-10
#define CLOSE_STEPS_MAX 4
#define POLISH_STEPS 30
#define POLISH_STEPS_LAST 500 /* each set of used shares costs less than those before: it ends */
#define POLISHED 1e-8
#define RESUME_STEPS 12
#define TIED 1e-5 /* of the price: an unused way that costs so little more may be as good */
#define STEEP 1e-3
#define PROXIMAL 1e-9
#define ROUNDING 4e-16
#define SAME 1e-12  /* loads that differ by no more have the same marginals */
#define FLAT 1e-200 /* a slope of nothing */
#define SHARE_MIN 1e-12
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
	unsigned edges, sites, vectors;
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
		for (unsigned v = 0, c = e * (in)->vectors; v < (in)->vectors; v++, c++)

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

LANES_INLINE void add_loads(struct interior *in)
{
	for (unsigned v = 0; v < in->vectors; v++)
		in->load[v] = in->background[v];
	FOR_CELLS(in, e, v)
	in->load[v] += in->demand[e] * in->x[c];
}

/* Marginals where a step of this length leads. */
LANES_CLONES static void evaluate_ahead(struct interior *in, double length)
{
	struct queue_lanes_delay delay[2];

	for (unsigned v = 0; v < in->vectors; v++)
		in->known[v] = in->load[v] + length * in->dload[v];
	for (unsigned v = 0; v < in->vectors; v += 2) {
		bool two = v + 1 < in->vectors;
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

/* Marginals of the present shares, unless they are known: they cost the most of a small problem. */
LANES_INLINE void evaluate(struct interior *in)
{
	lanes most = lanes_all(-1);

	add_loads(in);
	for (unsigned v = 0; v < in->vectors; v++) {
		lanes off = in->load[v] - in->known[v];
		most = lanes_most(most, lanes_most(off, -off) - SAME * in->load[v]);
		in->dload[v] = zero();
	}
	if (!(lanes_largest(most) <= 0))
		evaluate_ahead(in, 0);
}

/* Places without a site get a queue that costs nothing to look at. */
LANES_INLINE void take_sites(struct interior *in)
{
	const struct queue none = {.servers = 1, .service_time_s = 1, .scv = 1, .cap = 0.9};

	for (unsigned j = 0; j < in->vectors * LANES; j++) {
		const struct solve_site *site = &in->problem->site[j];

		queue_lanes_take(&in->queue[j / LANES], j % LANES,
				 j < in->sites ? &site->queue : &none);
		in->background[j / LANES][j % LANES] = j < in->sites ? site->background_per_s : 0;
	}
}

LANES_INLINE void take_edges(struct interior *in, const double *demand_per_s)
{
	double *delay = (double *)in->delay;

	in->ways = 0;
	for (unsigned i = 0; i < in->problem->edges; i++) {
		const double *delay_s = in->problem->edge[i].delay_s;
		unsigned width = in->vectors * LANES, open = 0;
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
	for (unsigned v = 0; v < in->vectors; v++)
		in->nearest[v] = lanes_all(FAR_S);
	FOR_CELLS(in, e, v)
	in->nearest[v] = lanes_least(in->nearest[v], in->delay[c]);
}

/* The least delay of any way, and the same without load. */
LANES_INLINE double least_price(const struct interior *in, double *idle_s)
{
	lanes least = lanes_all(INFINITY), idle = least;

	for (unsigned v = 0; v < in->vectors; v++) {
		lanes rest = in->queue[v].service_time_s + in->queue[v].backlog_s;
		least = lanes_least(least, in->nearest[v] + in->marginal[v]);
		idle = lanes_least(idle, in->nearest[v] + rest);
	}
	*idle_s = lanes_smallest(idle);
	return lanes_smallest(least);
}

/* By spare capacity, and a little of it in any case; prices so low that reduced costs are positive.
 */
LANES_INLINE void start(struct interior *in)
{
	lanes spare[VECTORS_MAX];

	for (unsigned v = 0; v < in->vectors; v++) {
		const struct queue_lanes *queue = &in->queue[v];
		lanes capacity = queue->servers / queue->service_time_s;
		spare[v] = lanes_most(queue->cap * capacity - in->background[v], 0.01 * capacity);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		lanes all = zero();
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++) {
			in->x[c] = lanes_if(in->delay[c] < FAR_S, spare[v], zero());
			all += in->x[c];
		}
		double sum = lanes_sum(all);
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++)
			in->x[c] /= sum;
	}
	for (unsigned v = 0; v < in->vectors; v++)
		in->known[v] = lanes_all(-1);
	evaluate(in);
	for (unsigned v = 0; v < in->vectors; v++)
		in->price[v] = in->marginal[v];
	for (unsigned e = 0; e < in->edges; e++) {
		lanes least = lanes_all(INFINITY);
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++)
			least = lanes_least(least, in->delay[c] + in->price[v]);
		in->lambda[e] = 0.9 * lanes_smallest(least);
	}
}

/*
 * Solves A y = b in place, A being symmetric with negative off-diagonal elements -matrix[i][k] and
 * row sums dominance[i] > 0. Elimination on these two never subtracts (Alfa, Xue and Ye 2002), so
 * it is exact to rounding although the weights in A span more than the digits of a double.
 */
LANES_INLINE void eliminate(struct interior *in, double *dominance, double *b)
{
	lanes index[VECTORS_MAX];
	double of_pivot[SL_CANDIDATES_MAX];
	unsigned n = in->sites;

	for (unsigned j = 0; j < in->vectors * LANES; j++)
		index[j / LANES][j % LANES] = j;
	for (unsigned k = 0; k < n; k++) {
		lanes *row = in->matrix[k], sum = zero();
		for (unsigned v = k / LANES; v < in->vectors; v++) {
			row[v] = lanes_if(index[v] > k, row[v], zero());
			sum += row[v];
		}
		of_pivot[k] = 1 / (dominance[k] + lanes_sum(sum));
		for (unsigned i = k + 1; i < n; i++) {
			double share = row[i / LANES][i % LANES] * of_pivot[k];
			dominance[i] += share * dominance[k];
			b[i] += share * b[k];
			for (unsigned v = i / LANES; v < in->vectors; v++)
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
LANES_INLINE void couple(struct interior *in, const double *of_sum)
{
	for (unsigned v = 0; v < in->vectors; v++) {
		for (unsigned u = v; u < in->vectors; u++) {
			lanes row[LANES] = {zero()};

			for (unsigned e = 0; e < in->edges; e++) {
				const lanes *weight = &in->weight[e * in->vectors];
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
LANES_CLONES static void newton(struct interior *in)
{
	_Alignas(64) double y[SL_CANDIDATES_MAX] = {0};
	double dominance[SL_CANDIDATES_MAX], of_sum[SOLVE_EDGES_MAX], from[SOLVE_EDGES_MAX];
	lanes *ask = (lanes *)y;

	for (unsigned j = 0; j < in->sites; j++) {
		double slope = in->slope[j / LANES][j % LANES];
		dominance[j] = 1 / (slope > FLAT ? slope : FLAT);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		const lanes *weight = &in->weight[e * in->vectors];
		lanes *pull = &in->pull[e * in->vectors];
		lanes all = zero(), off = zero();

		from[e] = pull_from_heaviest(weight, pull, in->vectors);
		for (unsigned v = 0; v < in->vectors; v++) {
			all += weight[v];
			off += weight[v] * pull[v];
		}
		of_sum[e] = 1 / lanes_sum(all);
		double mean = lanes_sum(off) * of_sum[e];
		in->dlambda[e] = -mean; /* of what is known yet */
		for (unsigned v = 0; v < in->vectors; v++)
			ask[v] += weight[v] * (pull[v] - mean);
	}
	couple(in, of_sum);
	eliminate(in, dominance, y);
	for (unsigned v = 0; v < in->vectors; v++)
		in->dload[v] = zero();
	for (unsigned e = 0; e < in->edges; e++) {
		const lanes *weight = &in->weight[e * in->vectors];
		const lanes *pull = &in->pull[e * in->vectors];
		double inverse = 1 / in->demand[e];
		lanes off = zero();

		for (unsigned v = 0; v < in->vectors; v++)
			off += weight[v] * ask[v];
		in->dlambda[e] += lanes_sum(off) * of_sum[e];
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++) {
			lanes moved = weight[v] * (pull[v] + in->dlambda[e] - ask[v]);
			in->dload[v] += moved;
			in->dx[c] = moved * inverse;
		}
		in->dlambda[e] -= from[e];
	}
}

/*
 * What the barrier's gradient asks of the shares, and how they yield: w = d x / r,
 * g = lambda - t - M + mu / x.
 */
LANES_INLINE void weigh(struct interior *in)
{
	FOR_CELLS(in, e, v)
	{
		lanes x = in->x[c], r = reduced(in, e, v, c);
		lanes inverse = 1 / lanes_if(x > zero(), x * r, lanes_all(INFINITY));

		in->inverse[c] = inverse;
		in->weight[c] = in->demand[e] * x * x * inverse;
		in->pull[c] = in->lambda[e] - in->delay[c] - in->marginal[v] + in->mu * r * inverse;
	}
}

/*
 * The step; returns the part of it that keeps what is positive positive. *slope: of cost
 * - mu sum d log x along it.
 */
LANES_CLONES static double direction(struct interior *in, double *slope)
{
	lanes fastest = lanes_all(1), sum = zero();

	newton(in);
	for (unsigned v = 0; v < in->vectors; v++) {
		in->dprice[v] = in->marginal[v] - in->price[v] + in->slope[v] * in->dload[v];
		sum += in->dload[v] * in->marginal[v];
	}
	FOR_CELLS(in, e, v)
	{
		lanes r = reduced(in, e, v, c), x = in->x[c], inverse = in->inverse[c];
		lanes dx = in->dx[c], off = in->dlambda[e] - in->dprice[v];

		fastest = lanes_most(fastest,
				     lanes_most(-dx * r, off * x) * (inverse * (1 / BOUNDARY)));
		sum += in->demand[e] * dx * (in->delay[c] - in->mu * r * inverse);
	}
	*slope = lanes_sum(sum);
	return 1 / lanes_largest(fastest);
}

/* Slope of cost - mu sum d log x after a step of this length along dx; marginals are of there. */
LANES_CLONES static double descent(const struct interior *in, double length)
{
	lanes sum = zero();

	for (unsigned v = 0; v < in->vectors; v++)
		sum += in->dload[v] * in->marginal[v];
	FOR_CELLS(in, e, v)
	{
		lanes cost = in->delay[c];
		if (in->mu > 0)
			cost -= in->mu / (in->x[c] + length * in->dx[c]);
		sum += lanes_if(in_use(in, c), in->demand[e] * in->dx[c] * cost, zero());
	}
	return lanes_sum(sum);
}

/*
 * Delay curves bend sharply near their cap: no step goes far up the other side. Leaves the
 * marginals of where the step ends. before: the slope at its start.
 */
LANES_INLINE double search(struct interior *in, double length, double before)
{
	double all = 0;

	for (unsigned e = 0; e < in->edges; e++)
		all += in->demand[e] * in->lambda[e];
	/* else a step so short that the curves are straight, or rounding */
	bool steep = !(before > -NOISE * all);
	for (unsigned halvings = 0;; halvings++) {
		evaluate_ahead(in, length);
		if (!steep || halvings == 30 || !(descent(in, length) > -0.3 * before))
			return length;
		length /= 2;
	}
}

LANES_INLINE void advance(struct interior *in, double length)
{
	for (unsigned e = 0; e < in->edges; e++) {
		lanes all = zero();
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++) {
			in->x[c] += length * in->dx[c];
			all += in->x[c];
		}
		double of_sum = 1 / lanes_sum(all);
		for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++)
			in->x[c] *= of_sum;
		in->lambda[e] += length * in->dlambda[e];
	}
	for (unsigned v = 0; v < in->vectors; v++)
		in->price[v] += length * in->dprice[v];
	evaluate(in);
}

/* Mean of x r; *residual is how far the prices are from the sites' marginals, relative. */
LANES_INLINE double complementarity(const struct interior *in, double *residual)
{
	lanes sum = zero(), worst = zero();

	FOR_CELLS(in, e, v)
	sum += in->x[c] * reduced(in, e, v, c);
	for (unsigned v = 0; v < in->vectors; v++) {
		lanes off = in->price[v] - in->marginal[v];
		worst = lanes_most(worst,
				   lanes_most(off, -off) / (in->nearest[v] + in->marginal[v]));
	}
	*residual = lanes_largest(worst);
	return lanes_sum(sum) / in->ways;
}

/* As mu goes to zero either a share or its reduced cost does: the shares that do are cut off. */
LANES_INLINE void settle(struct interior *in, double idle_s)
{
	FOR_CELLS(in, e, v)
	{
		lanes r = reduced(in, e, v, c);
		in->x[c] = lanes_if(in->x[c] * idle_s > r, in->x[c], zero());
		in->dx[c] = zero();
	}
	advance(in, 0); /* rows sum to 1 again */
}

/* Price and weights of one row; whether all that it uses costs the same. */
LANES_INLINE bool polish_row(struct interior *in, unsigned e)
{
	lanes dearest = zero(), cheapest = lanes_all(INFINITY), sum = zero();

	for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++) {
		lanes cost = in->delay[c] + in->marginal[v];
		dearest = lanes_most(dearest, lanes_if(in_use(in, c), cost, zero()));
		cheapest =
			lanes_least(cheapest, lanes_if(in_use(in, c), cost, lanes_all(INFINITY)));
		sum += in->x[c] * lanes_if(in_use(in, c), cost, zero());
	}
	double price_s = in->lambda[e] = lanes_sum(sum);
	for (unsigned v = 0, c = e * in->vectors; v < in->vectors; v++, c++) {
		lanes weight = lanes_all(in->demand[e] / (PROXIMAL * price_s));
		in->weight[c] = lanes_if(in_use(in, c), weight, zero());
		in->pull[c] = price_s - in->delay[c] - in->marginal[v];
	}
	return lanes_largest(dearest) <= lanes_smallest(cheapest) * (1 + POLISHED);
}

/* Lets in the cheapest site that a row does not use, if it is cheaper than all it does. */
LANES_INLINE bool polish_enter(struct interior *in, unsigned e)
{
	const double *delay = (const double *)&in->delay[e * in->vectors];
	const double *marginal = (const double *)in->marginal;
	double *x = (double *)&in->x[e * in->vectors];
	unsigned cheapest = 0;

	for (unsigned j = 1; j < in->sites; j++)
		if (delay[j] + marginal[j] < delay[cheapest] + marginal[cheapest])
			cheapest = j;
	double cost_s = delay[cheapest] + marginal[cheapest];
	if (x[cheapest] > 0 || cost_s >= in->lambda[e] * (1 - POLISHED))
		return false;
	x[cheapest] = SHARE_MIN;
	((double *)&in->weight[e * in->vectors])[cheapest] =
		in->demand[e] / (PROXIMAL * in->lambda[e]);
	return true;
}

/* The whole of a step that takes no share below zero. */
LANES_INLINE double polish_length(const struct interior *in)
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
LANES_INLINE bool polish(struct interior *in, unsigned steps)
{
	in->mu = 0;
	for (unsigned v = 0; v < in->vectors; v++)
		in->dprice[v] = zero();
	for (unsigned step = 0; step < steps; step++) {
		bool done = true, entered = false;
		for (unsigned e = 0; e < in->edges; e++)
			done = polish_row(in, e) && done;
		for (unsigned e = 0; done && e < in->edges; e++)
			entered = polish_enter(in, e) || entered;
		if (done && !entered)
			return true;
		newton(in);
		advance(in, search(in, polish_length(in), descent(in, 0)));
		FOR_CELLS(in, e, v)
		in->x[c] = lanes_if(in->x[c] < SHARE_MIN / 2, zero(), in->x[c]);
	}
	return false;
}

/* Whether used ways make a circle; if not, sites that hang together are of one group. */
LANES_INLINE bool circle(const struct interior *in, unsigned *group)
{
	for (unsigned j = 0; j < in->sites; j++)
		group[j] = j;
	for (unsigned e = 0; e < in->edges; e++) {
		const double *x = (const double *)&in->x[e * in->vectors];
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
LANES_INLINE bool resume(struct interior *in, const solve_row *x)
{
	unsigned group[SL_CANDIDATES_MAX];

	memset(in->x, 0, in->edges * in->vectors * sizeof(lanes));
	for (unsigned e = 0; e < in->edges; e++)
		memcpy(&in->x[e * in->vectors], x[in->edge[e]], in->sites * sizeof(double));
	if (circle(in, group))
		return false;
	for (unsigned v = 0; v < in->vectors; v++)
		in->known[v] = lanes_all(-1);
	evaluate(in);
	return true;
}

/* Whether a way that is not used costs as good as nothing more. */
LANES_INLINE bool tied(const struct interior *in)
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
LANES_INLINE bool unique(const struct interior *in)
{
	unsigned group[SL_CANDIDATES_MAX], flat[SL_CANDIDATES_MAX] = {0};

	if (circle(in, group) || tied(in))
		return false;
	for (unsigned j = 0; j < in->sites; j++) {
		unsigned v = j / LANES, l = j % LANES;
		if (!(in->slope[v][l] * in->load[v][l] > STEEP * in->marginal[v][l]) &&
		    flat[group[j]]++ > 0)
			return false;
	}
	return true;
}

/* Rates that differ by more than the digits of a double can end in nonsense: then x stays. */
LANES_INLINE void finish(const struct interior *in, solve_row *x)
{
	for (unsigned e = 0; e < in->edges; e++) {
		const double *row = (const double *)&in->x[e * in->vectors];
		double sum = 0;
		for (unsigned j = 0; j < in->sites; j++)
			sum += row[j];
		if (fabs(sum - 1) <= 1e-9)
			memcpy(x[in->edge[e]], row, in->sites * sizeof(double));
	}
}

/* Along the central path until the mean of x r is so small against the least price. */
LANES_INLINE void approach(struct interior *in, double relative, double *idle_s)
{
	for (unsigned step = 0, close = 0; step < STEPS_MAX && close < CLOSE_STEPS_MAX; step++) {
		double residual, slope;

		weigh(in);
		double length = direction(in, &slope);
		length = search(in, length, slope);
		advance(in, length);
		double mean = complementarity(in, &residual);
		double enough = relative * fmin(least_price(in, idle_s), *idle_s);
		double centring = length > 0.9 ? 0.03 : length > 0.5 ? 0.2 : 0.5;
		in->mu = fmax(enough / 2, centring * mean);
		if (mean > enough)
			continue;
		if (residual <= RESIDUAL)
			break;
		close++; /* as good as rounding lets it be */
	}
}

/* What a later try goes on from. */
LANES_INLINE void keep(struct interior *to, const struct interior *from)
{
	to->mu = from->mu;
	memcpy(to->x, from->x, from->edges * from->vectors * sizeof(lanes));
	memcpy(to->lambda, from->lambda, from->edges * sizeof(double));
	memcpy(to->price, from->price, from->vectors * sizeof(lanes));
}

/*
 * The coarser the end of the path, the cheaper; but where it does not show yet which shares are
 * used, polishing takes many steps or ends in a circle: then farther on.
 */
LANES_CLONES void interior_point(const struct solve_problem *problem, const double *demand_per_s,
				 solve_row *x)
{
	struct interior in, kept;
	double residual, idle_s = 0, relative = COMPLEMENTARITY;

	in.problem = problem;
	in.edges = 0;
	in.sites = problem->sites;
	in.vectors = (problem->sites + LANES - 1) / LANES;
	take_edges(&in, demand_per_s);
	if (in.edges == 0)
		return;
	take_sites(&in);
	if (resume(&in, x) && polish(&in, RESUME_STEPS) && unique(&in)) {
		finish(&in, x);
		return;
	}
	start(&in);
	in.mu = complementarity(&in, &residual);
	for (unsigned try = 0; try < TRIES; try++) {
		approach(&in, relative, &idle_s);
		kept.edges = in.edges;
		kept.vectors = in.vectors;
		keep(&kept, &in);
		settle(&in, idle_s);
		bool last = try == TRIES - 1;
		if (polish(&in, last ? POLISH_STEPS_LAST : POLISH_STEPS) || last)
			break;
		keep(&in, &kept);
		evaluate(&in);
		relative /= 100;
	}
	finish(&in, x);
}
