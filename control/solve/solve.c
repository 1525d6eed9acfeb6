/* SPDX-License-Identifier: BSD-3-Clause */
#include "solve.h"
#include "../model/lanes.h"
#include "interior.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define ROUNDS_MAX 50
#define FILL_ROUNDS_MAX 100
#define GAP 1e-6	/* of the marginal: good enough */
#define IDLE_SHARE 1e-6 /* of the allowed capacity: least demand of an edge */
#define SHARE_MIN 1e-12 /* a smaller share is none */

/* One edge against the load that all others make. */
struct fill {
	unsigned sites;
	double demand;
	unsigned site[SL_CANDIDATES_MAX]; /* allowed ones */
	const struct queue *queue[SL_CANDIDATES_MAX];
	double delay_s[SL_CANDIDATES_MAX];
	double others[SL_CANDIDATES_MAX]; /* flows/s that are there already */
	double guess[SL_CANDIDATES_MAX];  /* of the whole rate at the site */
};

static bool queue_valid(const struct queue *queue)
{
	return isfinite(queue->servers) && queue->servers >= 1 && isfinite(queue->service_time_s) &&
	       queue->service_time_s > 0 && isfinite(queue->scv) && queue->scv >= 0 &&
	       queue->cap > 0 && queue->cap < 1 && isfinite(queue->backlog_s) &&
	       queue->backlog_s >= 0;
}

static bool problem_valid(const struct solve_problem *problem)
{
	if (problem->edges > SOLVE_EDGES_MAX || problem->sites > SL_CANDIDATES_MAX)
		return false;
	for (unsigned j = 0; j < problem->sites; j++) {
		double background = problem->site[j].background_per_s;
		if (!queue_valid(&problem->site[j].queue) || !isfinite(background) ||
		    background < 0)
			return false;
	}
	for (unsigned i = 0; i < problem->edges; i++) {
		const struct solve_edge *edge = &problem->edge[i];
		if (!isfinite(edge->demand_per_s) || edge->demand_per_s < 0)
			return false;
		for (unsigned j = 0; j < problem->sites; j++)
			if (!(edge->delay_s[j] >= 0)) /* NaN too */
				return false;
	}
	return true;
}

LANES_CLONES void solve_demands(const struct solve_problem *problem, const double *capacity_per_s,
				double *demand, double *open_per_s)
{
	lanes capacity[SL_CANDIDATES_MAX / LANES] = {0}, delay;
	unsigned groups = (problem->sites + LANES - 1) / LANES;

	memcpy(capacity, capacity_per_s, problem->sites * sizeof(double));
	for (unsigned i = 0; i < problem->edges; i++) {
		const struct solve_edge *edge = &problem->edge[i];
		lanes open = {0};

		for (unsigned g = 0; g < groups; g++) {
			memcpy(&delay, &edge->delay_s[g * LANES], sizeof(delay));
			open += lanes_if(delay < INFINITY, capacity[g], lanes_all(0));
		}
		open_per_s[i] = lanes_sum(open);
		demand[i] = fmax(edge->demand_per_s, IDLE_SHARE * open_per_s[i]);
	}
}

/* A row that sums to 1: what there is of it, else shares by capacity, of which so much is open. */
static void row_start(const struct solve_problem *problem, unsigned i, const double *capacity_per_s,
		      double open_per_s, double *row)
{
	const double *delay_s = problem->edge[i].delay_s;
	double sum = 0;

	for (unsigned j = 0; j < problem->sites; j++) {
		row[j] = delay_s[j] < INFINITY && row[j] > 0 && row[j] <= 2 ? row[j] : 0;
		sum += row[j];
	}
	const double *from = sum > 0 ? row : capacity_per_s;
	double of_all = 1 / (sum > 0 ? sum : open_per_s);
	for (unsigned j = 0; j < problem->sites; j++)
		row[j] = delay_s[j] < INFINITY ? from[j] * of_all : 0;
}

static void loads(const struct solve_problem *problem, const double *demand, solve_row *x,
		  double *load)
{
	for (unsigned j = 0; j < problem->sites; j++)
		load[j] = problem->site[j].background_per_s;
	for (unsigned i = 0; i < problem->edges; i++)
		for (unsigned j = 0; j < problem->sites; j++)
			load[j] += demand[i] * x[i][j];
}

/* What the edge would send in all if it took everything up to this marginal delay. */
static double fill_at(struct fill *fill, double marginal_s, double *rate, double *slope)
{
	double sum = 0;

	*slope = 0;
	for (unsigned k = 0; k < fill->sites; k++) {
		double rate_slope;
		double whole = queue_rate_near(fill->queue[k], marginal_s - fill->delay_s[k],
					       fill->guess[k], &rate_slope);
		rate[k] = fmax(0, whole - fill->others[k]);
		if (whole > 0)
			fill->guess[k] = whole;
		if (rate[k] > 0) {
			sum += rate[k];
			*slope += rate_slope;
		}
	}
	return sum;
}

/* Bounds on the common marginal: no site sends anything below, one could take all above. */
static void fill_bounds(const struct fill *fill, double *low_s, double *high_s)
{
	*low_s = *high_s = INFINITY;
	for (unsigned k = 0; k < fill->sites; k++) {
		const struct queue *queue = fill->queue[k];
		double delay_s = fill->delay_s[k];
		double rate = fill->others[k] + fill->demand;

		*low_s = fmin(*low_s, delay_s + queue->service_time_s + queue->backlog_s);
		*high_s = fmin(*high_s, delay_s + queue_marginal_s(queue, rate));
	}
	*high_s *= 1 + 1e-14; /* over the rounding of the sum */
}

/*
 * Water-filling: the common marginal at which the rates sum to the demand, by Newton inside a
 * bracket, every third step a bisection. Where marginals are flat (many idle servers, scv 0)
 * the sum jumps at one marginal: the rates on both sides of the jump are mixed.
 */
static void fill_solve(struct fill *fill, double marginal_s, double *rate)
{
	double low_s, high_s, at_low[SL_CANDIDATES_MAX] = {0}, at_high[SL_CANDIDATES_MAX], slope;

	fill_bounds(fill, &low_s, &high_s);
	double sum_low = 0, sum_high = -1; /* -1: at_high not known yet */
	for (unsigned round = 0; round < FILL_ROUNDS_MAX; round++) {
		if (!(marginal_s > low_s && marginal_s < high_s))
			marginal_s = low_s + (high_s - low_s) / 2;
		double sum = fill_at(fill, marginal_s, rate, &slope);
		double short_by = fill->demand - sum;
		if (fabs(short_by) <= 1e-12 * fill->demand)
			return;
		if (short_by > 0) {
			low_s = marginal_s;
			sum_low = sum;
			memcpy(at_low, rate, sizeof(at_low));
		} else {
			high_s = marginal_s;
			sum_high = sum;
			memcpy(at_high, rate, sizeof(at_high));
		}
		if (high_s - low_s <= 4e-16 * high_s)
			break;
		marginal_s = round % 3 == 2 ? -1 : marginal_s + short_by / slope;
	}
	if (sum_high < 0)
		sum_high = fill_at(fill, high_s, at_high, &slope);
	double mix = sum_high > sum_low ? (fill->demand - sum_low) / (sum_high - sum_low) : 1;
	for (unsigned k = 0; k < fill->sites; k++)
		rate[k] = at_low[k] + fmin(mix, 1) * (at_high[k] - at_low[k]);
}

static void row_from_rates(const struct fill *fill, const double *rate, double *row)
{
	double sum = 0, kept = 0;

	for (unsigned k = 0; k < fill->sites; k++)
		sum += rate[k];
	for (unsigned k = 0; k < fill->sites; k++)
		if (rate[k] >= SHARE_MIN * sum)
			kept += rate[k];
	for (unsigned k = 0; k < fill->sites; k++)
		row[fill->site[k]] = rate[k] >= SHARE_MIN * sum ? rate[k] / kept : 0;
}

static void solve_edge(const struct solve_problem *problem, unsigned i, double demand, double *load,
		       double *row)
{
	struct fill fill = {.demand = demand};
	double rate[SL_CANDIDATES_MAX], dearest_s = 0;

	for (unsigned j = 0; j < problem->sites; j++) {
		double delay_s = problem->edge[i].delay_s[j];
		if (!isfinite(delay_s))
			continue;
		unsigned k = fill.sites++;
		const struct queue *queue = &problem->site[j].queue;
		fill.site[k] = j;
		fill.queue[k] = queue;
		fill.delay_s[k] = delay_s;
		fill.others[k] = fmax(problem->site[j].background_per_s, load[j] - demand * row[j]);
		fill.guess[k] = load[j];
		if (row[j] > 0)
			dearest_s = fmax(dearest_s, delay_s + queue_marginal_s(queue, load[j]));
	}
	if (fill.sites == 0)
		return;
	if (fill.sites == 1)
		rate[0] = demand;
	else
		fill_solve(&fill, dearest_s, rate);
	row_from_rates(&fill, rate, row);
	for (unsigned k = 0; k < fill.sites; k++)
		load[fill.site[k]] = fill.others[k] + demand * row[fill.site[k]];
}

static void delays(const struct solve_problem *problem, const double *load,
		   struct queue_delay *delay)
{
	const struct queue *queue[SL_CANDIDATES_MAX];

	for (unsigned j = 0; j < problem->sites; j++)
		queue[j] = &problem->site[j].queue;
	queue_delays(problem->sites, queue, load, delay);
}

/* Returns whether every edge is within GAP of its optimum; *gap_s is the worst. */
static bool converged(const struct solve_problem *problem, solve_row *x,
		      const struct queue_delay *delay, double *gap_s)
{
	bool within = true;

	*gap_s = 0;
	for (unsigned i = 0; i < problem->edges; i++) {
		double dearest_s = 0, cheapest_s = INFINITY;
		for (unsigned j = 0; j < problem->sites; j++) {
			double all_s = problem->edge[i].delay_s[j] + delay[j].marginal_s;
			cheapest_s = all_s < cheapest_s ? all_s : cheapest_s;
			dearest_s = x[i][j] > 0 && all_s > dearest_s ? all_s : dearest_s;
		}
		within = within && dearest_s <= cheapest_s * (1 + GAP);
		*gap_s = fmax(*gap_s, dearest_s - cheapest_s);
	}
	return within;
}

static double mean_delay_s(const struct solve_problem *problem, const double *demand, solve_row *x,
			   const struct queue_delay *delay)
{
	double sum = 0, all = 0;

	for (unsigned i = 0; i < problem->edges; i++) {
		for (unsigned j = 0; j < problem->sites; j++) {
			if (!(x[i][j] > 0))
				continue;
			sum += demand[i] * x[i][j] *
			       (problem->edge[i].delay_s[j] + delay[j].response_s);
			all += demand[i] * x[i][j];
		}
	}
	return all > 0 ? sum / all : 0;
}

int solve(const struct solve_problem *problem, solve_row *x, struct solve_result *result)
{
	double demand[SOLVE_EDGES_MAX], open[SOLVE_EDGES_MAX];
	double load[SL_CANDIDATES_MAX], capacity[SL_CANDIDATES_MAX];
	struct queue_delay delay[SL_CANDIDATES_MAX];

	if (!problem_valid(problem))
		return -EINVAL;
	for (unsigned j = 0; j < problem->sites; j++)
		capacity[j] = queue_capacity_per_s(&problem->site[j].queue);
	solve_demands(problem, capacity, demand, open);
	for (unsigned i = 0; i < problem->edges; i++)
		row_start(problem, i, capacity, open[i], x[i]);
	*result = (struct solve_result){0};
	if (problem->edges == 0 || problem->sites == 0)
		return 0;
	bool done = false;
	if (problem->edges > 1) {
		interior_point(problem, demand, x);
		loads(problem, demand, x, load);
		delays(problem, load, delay);
		done = converged(problem, x, delay, &result->gap_s);
	}
	while (!done && result->rounds < ROUNDS_MAX) {
		loads(problem, demand, x, load); /* afresh: no rounding adds up */
		for (unsigned i = 0; i < problem->edges; i++)
			solve_edge(problem, i, demand[i], load, x[i]);
		loads(problem, demand, x, load);
		delays(problem, load, delay);
		result->rounds++;
		done = converged(problem, x, delay, &result->gap_s);
	}
	result->mean_s = mean_delay_s(problem, demand, x, delay);
	return 0;
}
