/* SPDX-License-Identifier: BSD-3-Clause */
#include "interior.h"
#include "interior_newton.h"

#define STEPS_MAX 60
#define TRIES 3
#define COMPLEMENTARITY 1e-6 /* mean of x r, of the least price: the used sites stand out */
#define RESIDUAL 1e-4
#define NEAR 0.5 /* of the mean path: what is nearer than that is as good */
#define NEAR_ROUNDS 4
#define AHEAD 0.3     /* of the mean x r at the start: the path is entered farther on */
#define BOUNDARY 0.99 /* of the way to the first zero */
#define NOISE 1e-10
#define CLOSE_STEPS_MAX 4
#define POLISH_STEPS 30
#define POLISH_STEPS_LAST 100 /* nobody can tell from chance what still changes */

/* The least delay of any way; *idle_s: the same without load. */
LANES_INLINE double least_price(const struct interior *in, double *idle_s)
{
	lanes least = lanes_all(INFINITY), idle = least;

	FOR_VECTORS(in, v)
	{
		lanes rest = in->queue[v].service_time_s + in->queue[v].backlog_s;
		least = lanes_least(least, in->nearest.vector[v] + in->marginal.vector[v]);
		idle = lanes_least(idle, in->nearest.vector[v] + rest);
	}
	*idle_s = lanes_smallest(idle);
	return lanes_smallest(least);
}

/* Shares in proportion to these weights of sites and ways. */
LANES_INLINE void share_by(struct interior *in, const union site_values *scale)
{
	for (unsigned g = 0; g < in->groups; g++) {
		unsigned first = first_cell(in, g);
		lanes all = zero();

		for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
			in->x[c] = in->weight[c] * scale->of[j];
			all += in->x[c];
		}
		lanes of_sum = inverse_sum(all);
		for (unsigned j = 0, c = first; j < in->sites; j++, c++)
			in->x[c] *= of_sum;
	}
	add_loads(in);
}

/*
 * Shares as these, but of near sites rather than of far ones: rows and columns are scaled in turn
 * (Sinkhorn 1967), so that all sites stay about as loaded as they are. That is nearer to the
 * optimum, and no site comes near its cap.
 */
LANES_INLINE void prefer_near(struct interior *in)
{
	union site_values scale, wanted;
	lanes mean = zero();

	FOR_VECTORS(in, v)
	scale.vector[v] = wanted.vector[v] = in->load.vector[v] - in->background.vector[v];
	FOR_CELLS(in, g, j)
	mean += in->x[c] * in->delay[c];
	double usual_s = NEAR * lanes_sum(mean) / in->edges;
	FOR_CELLS(in, g, j)
	{
		lanes near = 1 / (usual_s + in->delay[c]);
		near *= near;
		in->weight[c] = lanes_if(in_use(in, c), near * near, zero());
	}
	for (unsigned round = 0; round < NEAR_ROUNDS; round++) {
		share_by(in, &scale);
		FOR_VECTORS(in, v)
		{
			lanes there = in->load.vector[v] - in->background.vector[v];
			lanes part = scale.vector[v] * wanted.vector[v] / there;
			scale.vector[v] = lanes_if(there > 0, part, zero());
		}
	}
}

/* By spare capacity, and a little of it in any case; prices so low that reduced costs are positive.
 */
LANES_INLINE void start(struct interior *in)
{
	union site_values spare;

	FOR_VECTORS(in, v)
	{
		const struct queue_lanes *queue = &in->queue[v];
		lanes capacity = queue->servers / queue->service_time_s;
		spare.vector[v] = lanes_most(queue->cap * capacity - in->background.vector[v],
					     0.01 * capacity);
	}
	FOR_CELLS(in, g, j)
	in->weight[c] = lanes_if(in->delay[c] < FAR_S, lanes_all(1), zero());
	share_by(in, &spare);
	prefer_near(in);
	evaluate_afresh(in);
	in->price = in->marginal;
	for (unsigned g = 0; g < in->groups; g++) {
		lanes least = lanes_all(INFINITY);
		for (unsigned j = 0, c = first_cell(in, g); j < in->sites; j++, c++)
			least = lanes_least(least, in->delay[c] + in->price.of[j]);
		in->lambda[g] = 0.9 * least;
	}
}

/*
 * What the barrier's gradient asks of the shares, and how they yield: w = d x / r,
 * g = lambda - t - M + mu / x.
 */
LANES_INLINE void weigh(struct interior *in)
{
	for (unsigned g = 0; g < in->groups; g++) {
		for (unsigned j = 0, c = first_cell(in, g); j < in->sites; j++, c++) {
			lanes x = in->x[c], r = reduced(in, g, j, c);
			lanes inverse = 1 / lanes_if(x > zero(), x * r, lanes_all(INFINITY));

			in->pace[c] = x * inverse;
			in->weight[c] = in->demand[g] * x * in->pace[c];
			in->pull[c] = in->lambda[g] - in->delay[c] - in->marginal.of[j] +
				      in->mu * r * inverse;
		}
		centre(in, g);
	}
}

/*
 * Delay curves bend sharply near their cap: no step goes far up the other side. Of what is
 * minimised all but the curves is taken as straight as Newton does, so the step's full length would
 * end on the flat. Leaves the marginals of where the step ends. slope: at its start.
 */
LANES_INLINE double search(struct interior *in, double length, double slope)
{
	union site_values at = in->marginal, bend = in->slope;
	lanes all = zero();

	FOR_VECTORS(in, v)
	all += in->load.vector[v] * (in->nearest.vector[v] + at.vector[v]);
	/* else a step so short that the curves are straight, or rounding */
	bool steep = !(slope > -NOISE * lanes_sum(all));
	for (unsigned halvings = 0;; halvings++) {
		lanes more = zero();

		evaluate_ahead(in, length);
		FOR_VECTORS(in, v)
		{
			lanes dload = in->dload.vector[v];
			lanes dmarginal = in->marginal.vector[v] - at.vector[v];
			more += dload * (dmarginal - length * bend.vector[v] * dload);
		}
		double ahead = (1 - length) * slope + lanes_sum(more);
		if (!steep || halvings == 30 || !(ahead > -0.3 * slope))
			return length;
		length /= 2;
	}
}

/* Returns the mean of x r. */
LANES_INLINE double advance(struct interior *in, double length, double of_prices)
{
	lanes arrive[SL_CANDIDATES_MAX], product = zero();

	FOR_VECTORS(in, v)
	in->price.vector[v] += of_prices * in->dprice.vector[v];
	clear(in, arrive);
	for (unsigned g = 0; g < in->groups; g++) {
		unsigned first = first_cell(in, g);
		lanes all = zero();

		for (unsigned j = 0, c = first; j < in->sites; j++, c++)
			all += in->x[c] += length * in->dx[c];
		lanes of_sum = inverse_sum(all);
		in->lambda[g] += of_prices * in->dlambda[g];
		for (unsigned j = 0, c = first; j < in->sites; j++, c++) {
			lanes x = in->x[c] *= of_sum;
			arrive[j] += in->demand[g] * x;
			product += x * reduced(in, g, j, c);
		}
	}
	add_up(in, arrive, &in->load);
	FOR_VECTORS(in, v)
	in->load.vector[v] += in->background.vector[v];
	evaluate(in);
	return lanes_sum(product) / in->ways;
}

/* The same where it stands; rows sum to 1 again. */
LANES_INLINE double rest(struct interior *in)
{
	FOR_VECTORS(in, v)
	in->dprice.vector[v] = zero();
	memset(in->dlambda, 0, in->groups * sizeof(lanes));
	memset(in->dx, 0, cells(in) * sizeof(lanes));
	return advance(in, 0, 0);
}

/* How far the prices are from the sites' marginals, relative. */
LANES_INLINE double residual(const struct interior *in)
{
	lanes worst = zero();

	FOR_VECTORS(in, v)
	{
		lanes marginal = in->marginal.vector[v], off = in->price.vector[v] - marginal;
		worst = lanes_most(worst,
				   lanes_most(off, -off) / (in->nearest.vector[v] + marginal));
	}
	return lanes_largest(worst);
}

#include "interior_polish.h"

/* Rates that differ by more than the digits of a double can end in nonsense, as shares of sites
 * that are not allowed: then x stays. */
LANES_INLINE void finish(const struct interior *in, solve_row *x)
{
	for (unsigned g = 0; g < in->groups; g++) {
		unsigned first = first_cell(in, g);
		const lanes *cell = &in->x[first];
		lanes sum = zero();

		for (unsigned j = 0, c = first; j < in->sites; j++, c++)
			sum += lanes_if(in->delay[c] < FAR_S, in->x[c], zero());
		for (unsigned l = 0; l < LANES && g * LANES + l < in->edges; l++) {
			double *row = x[in->edge[g * LANES + l]];
			for (unsigned j = 0; fabs(sum[l] - 1) <= 1e-9 && j < in->sites; j++)
				row[j] = cell[j][l] / sum[l];
		}
	}
}

/* Along the central path until the mean of x r is so small against the least price. */
LANES_INLINE void approach(struct interior *in, double relative, double *idle_s)
{
	for (unsigned taken = 0, close = 0; taken < STEPS_MAX && close < CLOSE_STEPS_MAX; taken++) {
		weigh(in);
		struct step step = newton(in);
		double of_prices = fmin(1, BOUNDARY / step.quickest);
		double length = search(in, fmin(1, BOUNDARY / step.fastest), step.slope);
		double mean = advance(in, length, of_prices);
		double least = least_price(in, idle_s);
		double enough = relative * fmin(least, *idle_s);
		double ahead = 1 - fmin(length, of_prices);
		double centring = fmin(fmax(ahead * ahead, 0.03), 0.5);
		in->mu = fmax(enough / 2, centring * mean);
		if (mean > enough)
			continue;
		if (residual(in) <= RESIDUAL)
			break;
		close++; /* as good as rounding lets it be */
	}
}

/* What a later try goes on from. */
struct way_mark {
	double mu;
	union site_values price;
	lanes lambda[GROUPS_MAX], x[CELLS_MAX];
};

LANES_INLINE void keep(struct way_mark *mark, const struct interior *in)
{
	mark->mu = in->mu;
	mark->price = in->price;
	memcpy(mark->lambda, in->lambda, sizeof(in->lambda));
	memcpy(mark->x, in->x, cells(in) * sizeof(lanes));
}

LANES_INLINE void go_back(struct interior *in, const struct way_mark *mark)
{
	in->mu = mark->mu;
	in->price = mark->price;
	memcpy(in->lambda, mark->lambda, sizeof(in->lambda));
	memcpy(in->x, mark->x, cells(in) * sizeof(lanes));
	evaluate_afresh(in);
}

/*
 * The coarser the end of the path, the cheaper; but where it does not show yet which shares are
 * used, polishing takes many steps or ends in a circle: then farther on. One edge is not worth
 * that: water-filling is exact for it.
 */
LANES_CLONES void interior_point(const struct solve_problem *problem, const double *demand_per_s,
				 solve_row *x)
{
	struct interior in;
	struct way_mark mark;
	double idle_s = 0, relative = COMPLEMENTARITY;
	unsigned tries;

	in.problem = problem;
	in.sites = problem->sites;
	in.vectors = (in.sites + LANES - 1) / LANES;
	take_edges(&in, demand_per_s);
	if (in.edges == 0)
		return;
	take_sites(&in);
	clear(&in, in.ask);
	memset(in.weight, 0, cells(&in) * sizeof(lanes)); /* past the last site, too */
	if (resume(&in, x) && polish(&in, RESUME_STEPS) && unique(&in)) {
		finish(&in, x);
		return;
	}
	start(&in);
	in.mu = AHEAD * rest(&in);
	tries = in.edges > 1 ? TRIES : 1;
	for (unsigned try = 0; try < tries; try++) {
		unsigned steps = try < TRIES - 1 ? POLISH_STEPS : POLISH_STEPS_LAST;

		approach(&in, relative, &idle_s);
		keep(&mark, &in);
		settle(&in, idle_s);
		if (polish(&in, steps) || try == tries - 1)
			break;
		go_back(&in, &mark);
		relative /= 100;
	}
	finish(&in, x);
}
