/* SPDX-License-Identifier: BSD-3-Clause */
#include "interior.h"
#include "interior_newton.h"

#define STEPS_MAX 200
#define TRIES 3
#define COMPLEMENTARITY 1e-6 /* mean of x r, of the least price: the used sites stand out */
#define RESIDUAL 1e-4
#define NEAR 0.5 /* of the mean path: what is nearer than that is as good */
#define NEAR_ROUNDS 4
#define BOUNDARY 0.99 /* of the way to the first zero */
#define NOISE 1e-10
#define CLOSE_STEPS_MAX 4
#define POLISH_STEPS 30
#define POLISH_STEPS_LAST 500 /* each set of used shares costs less than those before: it ends */

/* The least delay of any way, and the same without load. */
LANES_INLINE double least_price(const struct interior *in, unsigned vectors, double *idle_s)
{
	lanes least = lanes_all(INFINITY), idle = least;

	for (unsigned v = 0; v < vectors; v++) {
		lanes rest = in->queue[v].service_time_s + in->queue[v].backlog_s;
		least = lanes_least(least, in->nearest[v] + in->marginal[v]);
		idle = lanes_least(idle, in->nearest[v] + rest);
	}
	*idle_s = lanes_smallest(idle);
	return lanes_smallest(least);
}

/*
 * Shares as these, but of near sites rather than of far ones: rows and columns are scaled in turn
 * (Sinkhorn 1967), so that all sites stay about as loaded as they are. That is nearer to the
 * optimum, and no site comes near its cap.
 */
LANES_INLINE void prefer_near(struct interior *in, unsigned vectors)
{
	lanes scale[VECTORS_MAX], wanted[VECTORS_MAX], mean = zero();

	for (unsigned v = 0; v < vectors; v++)
		scale[v] = wanted[v] = in->load[v] - in->background[v];
	FOR_CELLS(in, e, v)
	mean += in->x[c] * in->delay[c];
	double usual_s = NEAR * lanes_sum(mean) / in->edges;
	FOR_CELLS(in, e, v)
	{
		lanes near = 1 / (usual_s + in->delay[c]);
		near *= near;
		in->weight[c] = lanes_if(in->x[c] > 0, near * near, zero());
	}
	for (unsigned round = 0; round < NEAR_ROUNDS; round++) {
		for (unsigned e = 0; e < in->edges; e++) {
			lanes all = zero();
			for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)
				all += in->weight[c] * scale[v];
			double of_sum = 1 / lanes_sum(all);
			for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)
				in->x[c] = in->weight[c] * scale[v] * of_sum;
		}
		add_loads(in, vectors);
		for (unsigned v = 0; v < vectors; v++) {
			lanes there = in->load[v] - in->background[v];
			scale[v] = lanes_if(there > 0, scale[v] * wanted[v] / there, zero());
		}
	}
}

/* By spare capacity, and a little of it in any case; prices so low that reduced costs are positive.
 */
LANES_INLINE void start(struct interior *in, unsigned vectors)
{
	lanes spare[VECTORS_MAX];

	for (unsigned v = 0; v < vectors; v++) {
		const struct queue_lanes *queue = &in->queue[v];
		lanes capacity = queue->servers / queue->service_time_s;
		spare[v] = lanes_most(queue->cap * capacity - in->background[v], 0.01 * capacity);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		lanes all = zero();
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++) {
			in->x[c] = lanes_if(in->delay[c] < FAR_S, spare[v], zero());
			all += in->x[c];
		}
		double sum = lanes_sum(all);
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)
			in->x[c] /= sum;
	}
	add_loads(in, vectors);
	prefer_near(in, vectors);
	for (unsigned v = 0; v < vectors; v++)
		in->known[v] = lanes_all(-1);
	evaluate(in, vectors);
	for (unsigned v = 0; v < vectors; v++)
		in->price[v] = in->marginal[v];
	for (unsigned e = 0; e < in->edges; e++) {
		lanes least = lanes_all(INFINITY);
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)
			least = lanes_least(least, in->delay[c] + in->price[v]);
		in->lambda[e] = 0.9 * lanes_smallest(least);
	}
}

/*
 * What the barrier's gradient asks of the shares, and how they yield: w = d x / r,
 * g = lambda - t - M + mu / x.
 */
LANES_INLINE void weigh(struct interior *in, unsigned vectors)
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
 * The step; returns the part of it that keeps shares positive, *of_prices is the one that keeps
 * reduced costs so. *slope: of cost - mu sum d log x along it.
 */
LANES_INLINE double direction_of(struct interior *in, unsigned vectors, double *of_prices,
				 double *slope)
{
	lanes fastest = lanes_all(1), quickest = fastest, sum = zero();

	newton(in, vectors);
	for (unsigned v = 0; v < vectors; v++) {
		in->dprice[v] = in->marginal[v] - in->price[v] + in->slope[v] * in->dload[v];
		sum += in->dload[v] * in->marginal[v];
	}
	FOR_CELLS(in, e, v)
	{
		lanes r = reduced(in, e, v, c), x = in->x[c], inverse = in->inverse[c];
		lanes dx = in->dx[c], off = in->dlambda[e] - in->dprice[v];

		fastest = lanes_most(fastest, -dx * r * (inverse * (1 / BOUNDARY)));
		quickest = lanes_most(quickest, off * x * (inverse * (1 / BOUNDARY)));
		sum += in->demand[e] * dx * (in->delay[c] - in->mu * r * inverse);
	}
	*slope = lanes_sum(sum);
	*of_prices = 1 / lanes_largest(quickest);
	return 1 / lanes_largest(fastest);
}

LANES_CLONES static double direction(struct interior *in, unsigned vectors, double *of_prices,
				     double *slope)
{
	return vectors == 2 ? direction_of(in, 2, of_prices, slope)
			    : direction_of(in, vectors, of_prices, slope);
}

/* Slope of cost - mu sum d log x after a step of this length along dx; marginals are of there. */
LANES_INLINE double descent_of(const struct interior *in, unsigned vectors, double length)
{
	lanes sum = zero();

	for (unsigned v = 0; v < vectors; v++)
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

LANES_CLONES static double descent(const struct interior *in, unsigned vectors, double length)
{
	return vectors == 2 ? descent_of(in, 2, length) : descent_of(in, vectors, length);
}

/*
 * Delay curves bend sharply near their cap: no step goes far up the other side. Leaves the
 * marginals of where the step ends. before: the slope at its start.
 */
LANES_INLINE double search(struct interior *in, unsigned vectors, double length, double before)
{
	double all = 0;

	for (unsigned e = 0; e < in->edges; e++)
		all += in->demand[e] * in->lambda[e];
	/* else a step so short that the curves are straight, or rounding */
	bool steep = !(before > -NOISE * all);
	for (unsigned halvings = 0;; halvings++) {
		evaluate_ahead(in, vectors, length);
		if (!steep || halvings == 30 || !(descent(in, vectors, length) > -0.3 * before))
			return length;
		length /= 2;
	}
}

LANES_INLINE void advance(struct interior *in, unsigned vectors, double length, double of_prices)
{
	for (unsigned e = 0; e < in->edges; e++) {
		lanes all = zero();
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++) {
			in->x[c] += length * in->dx[c];
			all += in->x[c];
		}
		double of_sum = 1 / lanes_sum(all);
		for (unsigned v = 0, c = e * vectors; v < vectors; v++, c++)
			in->x[c] *= of_sum;
		in->lambda[e] += of_prices * in->dlambda[e];
	}
	for (unsigned v = 0; v < vectors; v++)
		in->price[v] += of_prices * in->dprice[v];
	evaluate(in, vectors);
}

/* Mean of x r; *residual is how far the prices are from the sites' marginals, relative. */
LANES_INLINE double complementarity(const struct interior *in, unsigned vectors, double *residual)
{
	lanes sum = zero(), worst = zero();

	FOR_CELLS(in, e, v)
	sum += in->x[c] * reduced(in, e, v, c);
	for (unsigned v = 0; v < vectors; v++) {
		lanes off = in->price[v] - in->marginal[v];
		worst = lanes_most(worst,
				   lanes_most(off, -off) / (in->nearest[v] + in->marginal[v]));
	}
	*residual = lanes_largest(worst);
	return lanes_sum(sum) / in->ways;
}

#include "interior_polish.h"

/* Rates that differ by more than the digits of a double can end in nonsense: then x stays. */
LANES_INLINE void finish(const struct interior *in, unsigned vectors, solve_row *x)
{
	for (unsigned e = 0; e < in->edges; e++) {
		const double *row = (const double *)&in->x[e * vectors];
		double sum = 0;
		for (unsigned j = 0; j < in->sites; j++)
			sum += row[j];
		if (fabs(sum - 1) <= 1e-9)
			memcpy(x[in->edge[e]], row, in->sites * sizeof(double));
	}
}

/* Along the central path until the mean of x r is so small against the least price. */
LANES_INLINE void approach(struct interior *in, unsigned vectors, double relative, double *idle_s)
{
	for (unsigned step = 0, close = 0; step < STEPS_MAX && close < CLOSE_STEPS_MAX; step++) {
		double residual, slope, of_prices;

		weigh(in, vectors);
		double length = direction(in, vectors, &of_prices, &slope);
		length = search(in, vectors, length, slope);
		advance(in, vectors, length, of_prices);
		double mean = complementarity(in, vectors, &residual);
		double enough = relative * fmin(least_price(in, vectors, idle_s), *idle_s);
		double ahead = 1 - fmin(length, of_prices);
		double centring = fmin(fmax(ahead * ahead, 0.03), 0.5);
		in->mu = fmax(enough / 2, centring * mean);
		if (mean > enough)
			continue;
		if (residual <= RESIDUAL)
			break;
		close++; /* as good as rounding lets it be */
	}
}

/* What a later try goes on from. */
LANES_INLINE void keep(struct interior *to, const struct interior *from, unsigned vectors)
{
	to->mu = from->mu;
	memcpy(to->x, from->x, from->edges * vectors * sizeof(lanes));
	memcpy(to->lambda, from->lambda, from->edges * sizeof(double));
	memcpy(to->price, from->price, vectors * sizeof(lanes));
}

/*
 * The coarser the end of the path, the cheaper; but where it does not show yet which shares are
 * used, polishing takes many steps or ends in a circle: then farther on.
 */
LANES_INLINE void find(const struct solve_problem *problem, const double *demand_per_s,
		       solve_row *x, unsigned vectors)
{
	struct interior in, kept;
	double residual, idle_s = 0, relative = COMPLEMENTARITY;

	in.problem = problem;
	in.edges = 0;
	in.sites = problem->sites;
	take_edges(&in, vectors, demand_per_s);
	if (in.edges == 0)
		return;
	take_sites(&in, vectors);
	if (resume(&in, vectors, x) && polish(&in, vectors, RESUME_STEPS) && unique(&in, vectors)) {
		finish(&in, vectors, x);
		return;
	}
	start(&in, vectors);
	in.mu = complementarity(&in, vectors, &residual);
	for (unsigned try = 0; try < TRIES; try++) {
		approach(&in, vectors, relative, &idle_s);
		kept.edges = in.edges;

		keep(&kept, &in, vectors);
		settle(&in, vectors, idle_s);
		bool last = try == TRIES - 1;
		if (polish(&in, vectors, last ? POLISH_STEPS_LAST : POLISH_STEPS) || last)
			break;
		keep(&in, &kept, vectors);
		evaluate(&in, vectors);
		relative /= 100;
	}
	finish(&in, vectors, x);
}

/* Most services have 9 to 16 candidates: code where loops over two vectors are none. */
LANES_CLONES void interior_point(const struct solve_problem *problem, const double *demand_per_s,
				 solve_row *x)
{
	unsigned vectors = (problem->sites + LANES - 1) / LANES;

	if (vectors == 2)
		find(problem, demand_per_s, x, 2);
	else
		find(problem, demand_per_s, x, vectors);
}
