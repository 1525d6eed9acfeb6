/* SPDX-License-Identifier: BSD-3-Clause */
#include "interior.h"
#include <math.h>
#include <string.h>

#define STEPS_MAX 80
#define CENTRING 0.1	     /* of the mean complementarity: where the next step aims */
#define BOUNDARY 0.99	     /* of the way to the first zero */
#define COMPLEMENTARITY 1e-9 /* mean of x r, of the least price: near enough */
#define RESIDUAL 1e-6
#define NOISE 1e-10
#define CLOSE_STEPS_MAX 4
#define POLISH_STEPS 100
#define POLISHED 1e-8
#define PROXIMAL 1e-9
#define FLAT 1e-200 /* a slope of nothing */
#define SHARE_MIN 1e-12

/*
 * Shares x, prices lambda of the edges' equations, reduced costs r; at the optimum
 *	t_ij + M_j(L_j) = lambda_i + r_ij,  x_ij r_ij = 0;  on the way x_ij r_ij = mu.
 * x stays feasible throughout, so a step descends on cost - mu sum d log x.
 */
struct interior {
	const struct solve_problem *problem;
	const double *demand;
	unsigned edges, sites;
	unsigned edge[SOLVE_EDGES_MAX]; /* those with an allowed site */
	double x[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX], dx[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX];
	double r[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX], dr[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX];
	double lambda[SOLVE_EDGES_MAX], dlambda[SOLVE_EDGES_MAX];
	double load[SL_CANDIDATES_MAX], dload[SL_CANDIDATES_MAX];
	double marginal[SL_CANDIDATES_MAX], slope[SL_CANDIDATES_MAX];
	double matrix[SOLVE_EDGES_MAX][SOLVE_EDGES_MAX];
	double mu;
};

static double delay_s(const struct interior *in, unsigned e, unsigned j)
{
	return in->problem->edge[in->edge[e]].delay_s[j];
}

static bool allowed(const struct interior *in, unsigned e, unsigned j)
{
	return isfinite(delay_s(in, e, j));
}

static double demand(const struct interior *in, unsigned e)
{
	return in->demand[in->edge[e]];
}

static void evaluate(struct interior *in)
{
	for (unsigned j = 0; j < in->sites; j++) {
		const struct solve_site *site = &in->problem->site[j];
		in->load[j] = site->background_per_s;
		for (unsigned e = 0; e < in->edges; e++)
			in->load[j] += demand(in, e) * in->x[e][j];
		in->marginal[j] = queue_marginal_slope(&site->queue, in->load[j], &in->slope[j]);
	}
}

/* What a site has to spare, and a little of it in any case. */
static double spare(const struct interior *in, unsigned j)
{
	const struct solve_site *site = &in->problem->site[j];
	double capacity = queue_capacity_per_s(&site->queue);

	return fmax(site->queue.cap * capacity - site->background_per_s, 0.01 * capacity);
}

/* By spare capacity, and prices low enough that every reduced cost is positive. */
static void start(struct interior *in)
{
	for (unsigned e = 0; e < in->edges; e++) {
		double all = 0;
		for (unsigned j = 0; j < in->sites; j++)
			all += allowed(in, e, j) ? spare(in, j) : 0;
		for (unsigned j = 0; j < in->sites; j++)
			in->x[e][j] = allowed(in, e, j) ? spare(in, j) / all : 0;
	}
	evaluate(in);
	for (unsigned e = 0; e < in->edges; e++) {
		double least_s = INFINITY;
		for (unsigned j = 0; j < in->sites; j++)
			least_s = fmin(least_s, delay_s(in, e, j) + in->marginal[j]);
		in->lambda[e] = 0.9 * least_s;
		for (unsigned j = 0; j < in->sites; j++)
			if (allowed(in, e, j))
				in->r[e][j] = delay_s(in, e, j) + in->marginal[j] - in->lambda[e];
	}
}

/*
 * Solves A y = b in place, A being symmetric with negative off-diagonal elements -matrix[i][k] and
 * row sums dominance[i] > 0. Elimination on these two never subtracts (Alfa, Xue and Ye 2002), so
 * it is exact to rounding although the weights in A span more than the digits of a double.
 */
static void eliminate(struct interior *in, unsigned n, double *dominance, double *b)
{
	double pivot[SOLVE_EDGES_MAX];

	for (unsigned k = 0; k < n; k++) {
		const double *row = in->matrix[k];
		pivot[k] = dominance[k];
		for (unsigned i = k + 1; i < n; i++)
			pivot[k] += row[i];
		for (unsigned i = k + 1; i < n; i++) {
			double share = row[i] / pivot[k];
			dominance[i] += share * dominance[k];
			b[i] += share * b[k];
			for (unsigned l = k + 1; l < n; l++)
				in->matrix[i][l] += l == i ? 0 : share * row[l];
		}
	}
	for (unsigned k = n; k-- > 0;) {
		for (unsigned i = k + 1; i < n; i++)
			b[k] += in->matrix[k][i] * b[i];
		b[k] /= pivot[k];
	}
}

/* What the barrier's gradient asks of a share, at fixed lambda and load. */
static double pull(const struct interior *in, unsigned e, unsigned j)
{
	return in->lambda[e] - delay_s(in, e, j) - in->marginal[j] + in->mu / in->x[e][j];
}

/*
 * Newton's equations. With w = d x / r, H = M', W_j = sum_i w_ij,
 *	d dx_ij = w_ij (pull_ij + dlambda_i - H_j dL_j)
 *	dL_j = sum_i w_ij (pull_ij + dlambda_i) / (1 + H_j W_j)
 * and sum_j dx_ij = 0 leave a system in dlambda, of edges; or, dlambda eliminated, one in
 * y = H dL, of sites. Both are of the kind that eliminate() solves; the smaller one is taken.
 */
struct newton {
	double w[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX], pull[SOLVE_EDGES_MAX][SL_CANDIDATES_MAX];
	double all[SL_CANDIDATES_MAX], pulled[SL_CANDIDATES_MAX];
};

static void weigh(const struct interior *in, struct newton *newton)
{
	for (unsigned j = 0; j < in->sites; j++)
		newton->all[j] = newton->pulled[j] = 0;
	for (unsigned e = 0; e < in->edges; e++) {
		for (unsigned j = 0; j < in->sites; j++) {
			double w =
				allowed(in, e, j) ? demand(in, e) * in->x[e][j] / in->r[e][j] : 0;
			newton->w[e][j] = w;
			newton->pull[e][j] = w > 0 ? pull(in, e, j) : 0;
			newton->all[j] += w;
			newton->pulled[j] += w * newton->pull[e][j];
		}
	}
}

static void prices_by_edges(struct interior *in, const struct newton *newton)
{
	double dominance[SOLVE_EDGES_MAX] = {0};

	for (unsigned e = 0; e < in->edges; e++) {
		memset(in->matrix[e], 0, in->edges * sizeof(double));
		in->dlambda[e] = 0;
	}
	for (unsigned j = 0; j < in->sites; j++) {
		double h = in->slope[j], whole = 1 + h * newton->all[j];
		for (unsigned e = 0; e < in->edges; e++) {
			double w = newton->w[e][j];
			if (!(w > 0))
				continue;
			dominance[e] += w / whole;
			in->dlambda[e] -= w * (newton->pull[e][j] - h * newton->pulled[j] / whole);
			for (unsigned i = 0; i < in->edges; i++)
				in->matrix[e][i] += i == e ? 0 : w * newton->w[i][j] * h / whole;
		}
	}
	eliminate(in, in->edges, dominance, in->dlambda);
}

/* (1 / H_j + sum_i w_ij) y_j - sum_ik w_ij w_ik / W_i y_k = sum_ik w_ij w_ik / W_i (pull_ij -
 * pull_ik) */
static void prices_by_sites(struct interior *in, const struct newton *newton)
{
	double dominance[SOLVE_EDGES_MAX], y[SL_CANDIDATES_MAX] = {0};

	for (unsigned j = 0; j < in->sites; j++) {
		memset(in->matrix[j], 0, in->sites * sizeof(double));
		dominance[j] = 1 / fmax(in->slope[j], FLAT);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		const double *w = newton->w[e], *pulls = newton->pull[e];
		double all = 0;
		for (unsigned j = 0; j < in->sites; j++)
			all += w[j];
		for (unsigned j = 0; j < in->sites; j++) {
			double part = w[j] / all, sum = 0;
			if (!(w[j] > 0))
				continue;
			for (unsigned k = 0; k < in->sites; k++) {
				double both = part * w[k];
				in->matrix[j][k] += both;
				sum += both * (pulls[j] - pulls[k]);
			}
			y[j] += sum;
		}
	}
	eliminate(in, in->sites, dominance, y);
	for (unsigned e = 0; e < in->edges; e++) {
		double sum = 0, all = 0;
		for (unsigned j = 0; j < in->sites; j++) {
			sum += newton->w[e][j] * (newton->pull[e][j] - y[j]);
			all += newton->w[e][j];
		}
		in->dlambda[e] = -sum / all;
	}
}

static void direction(struct interior *in)
{
	struct newton newton;

	weigh(in, &newton);
	if (in->sites < in->edges)
		prices_by_sites(in, &newton);
	else
		prices_by_edges(in, &newton);
	for (unsigned j = 0; j < in->sites; j++) {
		double load = newton.pulled[j];
		for (unsigned e = 0; e < in->edges; e++)
			load += newton.w[e][j] * in->dlambda[e];
		in->dload[j] = load / (1 + in->slope[j] * newton.all[j]);
	}
	for (unsigned e = 0; e < in->edges; e++) {
		for (unsigned j = 0; j < in->sites; j++) {
			if (!(newton.w[e][j] > 0))
				continue;
			double x = in->x[e][j], r = in->r[e][j];
			in->dx[e][j] =
				x / r *
				(newton.pull[e][j] + in->dlambda[e] - in->slope[j] * in->dload[j]);
			in->dr[e][j] = (in->mu - r * in->dx[e][j]) / x - r;
		}
	}
}

/* Slope of cost - mu sum d log x after a step of this length along dx. */
static double descent(const struct interior *in, double length)
{
	double sum = 0;

	for (unsigned j = 0; j < in->sites; j++) {
		double load = fmax(0, in->load[j] + length * in->dload[j]);
		sum += in->dload[j] * queue_marginal_s(&in->problem->site[j].queue, load);
		for (unsigned e = 0; e < in->edges; e++) {
			if (!(in->x[e][j] > 0))
				continue;
			double x = in->x[e][j] + length * in->dx[e][j];
			sum += demand(in, e) * in->dx[e][j] *
			       (delay_s(in, e, j) - (in->mu > 0 ? in->mu / x : 0));
		}
	}
	return sum;
}

/* Share of the step that keeps what is positive positive. */
static double to_boundary(const struct interior *in, double (*value)[SL_CANDIDATES_MAX],
			  double (*step)[SL_CANDIDATES_MAX])
{
	double length = 1;

	for (unsigned e = 0; e < in->edges; e++)
		for (unsigned j = 0; j < in->sites; j++)
			if (step[e][j] < 0)
				length = fmin(length, -BOUNDARY * value[e][j] / step[e][j]);
	return length;
}

/* Delay curves bend sharply near their cap: no step goes far up the other side. */
static double search(const struct interior *in, double length)
{
	double before = descent(in, 0), all = 0;

	for (unsigned e = 0; e < in->edges; e++)
		all += demand(in, e) * in->lambda[e];
	if (before > -NOISE * all) /* a step so short that the curves are straight, or rounding */
		return length;
	for (unsigned halvings = 0; halvings < 30; halvings++) {
		if (!(descent(in, length) > -0.3 * before))
			break;
		length /= 2;
	}
	return length;
}

static void advance(struct interior *in, double length)
{
	for (unsigned e = 0; e < in->edges; e++) {
		double sum = 0;
		for (unsigned j = 0; j < in->sites; j++) {
			in->x[e][j] += length * in->dx[e][j];
			in->r[e][j] += length * in->dr[e][j];
			sum += in->x[e][j];
		}
		for (unsigned j = 0; j < in->sites; j++)
			in->x[e][j] /= sum;
		in->lambda[e] += length * in->dlambda[e];
	}
	evaluate(in);
}

/* Mean of x r; *residual is how far the prices are from explaining a cost in use, relative. */
static double complementarity(const struct interior *in, double *residual)
{
	double sum = 0, count = 0;

	*residual = 0;
	for (unsigned e = 0; e < in->edges; e++) {
		for (unsigned j = 0; j < in->sites; j++) {
			if (!allowed(in, e, j))
				continue;
			double cost_s = delay_s(in, e, j) + in->marginal[j];
			double off_s = cost_s - in->lambda[e] - in->r[e][j];
			*residual = fmax(*residual, fabs(off_s) / cost_s);
			sum += in->x[e][j] * in->r[e][j];
			count++;
		}
	}
	return sum / count;
}

/* The least delay of any way, and the same without load. */
static double least_price(const struct interior *in, double *idle_s)
{
	double least_s = INFINITY;

	*idle_s = INFINITY;
	for (unsigned e = 0; e < in->edges; e++) {
		for (unsigned j = 0; j < in->sites; j++) {
			const struct queue *queue = &in->problem->site[j].queue;
			least_s = fmin(least_s, delay_s(in, e, j) + in->marginal[j]);
			*idle_s = fmin(*idle_s, delay_s(in, e, j) + queue->service_time_s +
							queue->backlog_s);
		}
	}
	return least_s;
}

/* As mu goes to zero either a share or its reduced cost does: the other one is cut off here. */
static void settle(struct interior *in, double idle_s)
{
	for (unsigned e = 0; e < in->edges; e++) {
		for (unsigned j = 0; j < in->sites; j++) {
			if (in->x[e][j] * idle_s > in->r[e][j])
				continue;
			in->x[e][j] = 0;
			in->r[e][j] = INFINITY;
		}
	}
	advance(in, 0); /* rows sum to 1 again */
}

/* Price and weights of one row; whether all that it uses costs the same. */
static bool polish_row(struct interior *in, unsigned e)
{
	double dearest_s = 0, cheapest_s = INFINITY, price_s = 0;

	for (unsigned j = 0; j < in->sites; j++) {
		double cost_s = delay_s(in, e, j) + in->marginal[j];
		if (!(in->x[e][j] > 0))
			continue;
		cheapest_s = fmin(cheapest_s, cost_s);
		dearest_s = fmax(dearest_s, cost_s);
		price_s += in->x[e][j] * cost_s;
	}
	for (unsigned j = 0; j < in->sites; j++) {
		bool used = in->x[e][j] > 0;
		in->r[e][j] = used ? PROXIMAL * price_s * in->x[e][j] : INFINITY;
		in->dx[e][j] = 0;
	}
	in->lambda[e] = price_s;
	return dearest_s <= cheapest_s * (1 + POLISHED);
}

/* Lets in the cheapest site that a row does not use, if it is cheaper than all it does. */
static bool polish_enter(struct interior *in, unsigned e)
{
	unsigned cheapest = 0;

	for (unsigned j = 1; j < in->sites; j++)
		if (delay_s(in, e, j) + in->marginal[j] <
		    delay_s(in, e, cheapest) + in->marginal[cheapest])
			cheapest = j;
	double cost_s = delay_s(in, e, cheapest) + in->marginal[cheapest];
	if (in->x[e][cheapest] > 0 || cost_s >= in->lambda[e] * (1 - POLISHED))
		return false;
	in->x[e][cheapest] = SHARE_MIN;
	in->r[e][cheapest] = PROXIMAL * in->lambda[e] * SHARE_MIN;
	return true;
}

/* The whole of a step that takes no share below zero. */
static double polish_length(const struct interior *in)
{
	double length = 1;

	for (unsigned e = 0; e < in->edges; e++)
		for (unsigned j = 0; j < in->sites; j++)
			if (in->dx[e][j] < 0)
				length = fmin(length, -in->x[e][j] / in->dx[e][j]);
	return length;
}

/*
 * What was cut off moves steep marginals, so Newton once more, without barrier and on the used
 * shares: r = PROXIMAL x price makes w the same finite weight for each of them. A share that comes
 * to zero leaves; when all used ones cost the same, one that is cheaper enters.
 */
static void polish(struct interior *in)
{
	in->mu = 0;
	for (unsigned step = 0; step < POLISH_STEPS; step++) {
		bool done = true;
		for (unsigned e = 0; e < in->edges; e++)
			done = polish_row(in, e) && done;
		bool entered = false;
		for (unsigned e = 0; done && e < in->edges; e++)
			entered = polish_enter(in, e) || entered;
		if (done && !entered)
			break;
		direction(in);
		advance(in, search(in, polish_length(in)));
		for (unsigned e = 0; e < in->edges; e++)
			for (unsigned j = 0; j < in->sites; j++)
				if (in->x[e][j] < SHARE_MIN / 2)
					in->x[e][j] = 0;
	}
}

/* Rates that differ by more than the digits of a double can end in nonsense: then x stays. */
static void finish(const struct interior *in, solve_row *x)
{
	for (unsigned e = 0; e < in->edges; e++) {
		double sum = 0;
		for (unsigned j = 0; j < in->sites; j++)
			sum += in->x[e][j];
		if (fabs(sum - 1) <= 1e-9)
			memcpy(x[in->edge[e]], in->x[e], in->sites * sizeof(double));
	}
}

void interior_point(const struct solve_problem *problem, const double *demand_per_s, solve_row *x)
{
	struct interior in = {.problem = problem, .demand = demand_per_s, .sites = problem->sites};
	double residual, idle_s = 0;

	for (unsigned i = 0; i < problem->edges; i++) {
		bool any = false;
		for (unsigned j = 0; j < problem->sites; j++)
			any = any || isfinite(problem->edge[i].delay_s[j]);
		if (any)
			in.edge[in.edges++] = i;
	}
	if (in.edges == 0)
		return;
	start(&in);
	in.mu = complementarity(&in, &residual);
	for (unsigned step = 0, close = 0; step < STEPS_MAX && close < CLOSE_STEPS_MAX; step++) {
		direction(&in);
		double length = fmin(to_boundary(&in, in.x, in.dx), to_boundary(&in, in.r, in.dr));
		length = search(&in, length);
		advance(&in, length);
		double mean = complementarity(&in, &residual);
		double enough = COMPLEMENTARITY * least_price(&in, &idle_s);
		in.mu = fmax(enough / 2, fmin(in.mu, (length > 0.5 ? CENTRING : 0.7) * mean));
		if (mean > enough)
			continue;
		if (residual <= RESIDUAL)
			break;
		close++; /* as good as rounding lets it be */
	}
	settle(&in, idle_s);
	polish(&in);
	finish(&in, x);
}
