/* SPDX-License-Identifier: BSD-3-Clause */
#include "solve.h"
#include "../model/lanes.h"
#include "interior.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define ROUNDS_MAX 8
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

/* Eight of a row; past the last site this instead. */
LANES_INLINE lanes part(const double *row, unsigned v, unsigned sites, double instead)
{
	static const int64_t inside[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
	unsigned left = sites - v * LANES;
	lanes values;
	lanes_mask mask;

	memcpy(&values, row + v * LANES, sizeof(values));
	memcpy(&mask, inside + LANES - (left < LANES ? left : LANES), sizeof(mask));
	return lanes_if(mask, values, lanes_all(instead));
}

LANES_CLONES static bool edges_valid(const struct solve_problem *problem)
{
	lanes least = {0};

	for (unsigned i = 0; i < problem->edges; i++) {
		const struct solve_edge *edge = &problem->edge[i];
		if (!isfinite(edge->demand_per_s) || edge->demand_per_s < 0)
			return false;
		for (unsigned v = 0; v * LANES < problem->sites; v++) {
			lanes delay = part(edge->delay_s, v, problem->sites, 0);
			least = lanes_if(delay >= least, least, lanes_all(-1)); /* NaN too */
		}
	}
	return lanes_smallest(least) >= 0;
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
	return edges_valid(problem);
}

LANES_CLONES void solve_demands(const struct solve_problem *problem, const double *capacity_per_s,
				double *demand, double *open_per_s)
{
	for (unsigned i = 0; i < problem->edges; i++) {
		const struct solve_edge *edge = &problem->edge[i];
		lanes open = {0};

		for (unsigned v = 0; v * LANES < problem->sites; v++) {
			lanes delay = part(edge->delay_s, v, problem->sites, INFINITY);
			lanes capacity = part(capacity_per_s, v, problem->sites, 0);
			open += lanes_if(delay < INFINITY, capacity, lanes_all(0));
		}
		open_per_s[i] = lanes_sum(open);
		demand[i] = fmax(edge->demand_per_s, IDLE_SHARE * open_per_s[i]);
	}
}

/* Rows that sum to 1: what there is of each, else shares by capacity, of which so much is open. */
LANES_CLONES static void rows_start(const struct solve_problem *problem,
				    const double *capacity_per_s, const double *open_per_s,
				    solve_row *x)
{
	unsigned sites = problem->sites, vectors = (sites + LANES - 1) / LANES;

	for (unsigned i = 0; i < problem->edges; i++) {
		lanes kept[SL_CANDIDATES_MAX / LANES], all = {0};

		for (unsigned v = 0; v < vectors; v++) {
			lanes delay = part(problem->edge[i].delay_s, v, sites, INFINITY);
			lanes share = part(x[i], v, sites, 0);
			share = lanes_if(delay < INFINITY, share, lanes_all(0));
			share = lanes_if(share > 0, share, lanes_all(0));
			kept[v] = lanes_if(share <= 2, share, lanes_all(0));
			all += kept[v];
		}
		double sum = lanes_sum(all), of_all = 1 / (sum > 0 ? sum : open_per_s[i]);
		for (unsigned v = 0; v < vectors; v++) {
			lanes delay = part(problem->edge[i].delay_s, v, sites, INFINITY);
			lanes from = sum > 0 ? kept[v] : part(capacity_per_s, v, sites, 0);
			from = lanes_if(delay < INFINITY, from * of_all, lanes_all(0));
			memcpy(&x[i][v * LANES], &from, sizeof(from));
		}
	}
}

LANES_CLONES static void loads(const struct solve_problem *problem, const double *demand,
			       solve_row *x, double *load)
{
	for (unsigned v = 0; v * LANES < problem->sites; v++) {
		lanes sum = {0};

		for (unsigned l = 0; l < LANES && v * LANES + l < problem->sites; l++)
			sum[l] = problem->site[v * LANES + l].background_per_s;
		for (unsigned i = 0; i < problem->edges; i++)
			sum += demand[i] * part(x[i], v, problem->sites, 0);
		memcpy(load + v * LANES, &sum, sizeof(sum));
	}
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

/* How good these shares are; whether every edge is within GAP of its optimum. */
LANES_CLONES static bool judge(const struct solve_problem *problem, const double *demand,
			       solve_row *x, const double *marginal_s, const double *response_s,
			       struct solve_result *result)
{
	lanes delayed = {0}, all = {0}, none = {0};
	bool within = true;

	result->gap_s = 0;
	for (unsigned i = 0; i < problem->edges; i++) {
		lanes dearest = none, cheapest = lanes_all(INFINITY);

		for (unsigned v = 0; v * LANES < problem->sites; v++) {
			lanes delay = part(problem->edge[i].delay_s, v, problem->sites, INFINITY);
			lanes cost = delay + part(marginal_s, v, problem->sites, 0);
			lanes share = part(x[i], v, problem->sites, 0);
			lanes mean = delay + part(response_s, v, problem->sites, 0);
			dearest = lanes_most(dearest, lanes_if(share > 0, cost, none));
			cheapest = lanes_least(cheapest, cost);
			delayed += demand[i] * share * lanes_if(share > 0, mean, none);
			all += demand[i] * share;
		}
		double dearest_s = lanes_largest(dearest), cheapest_s = lanes_smallest(cheapest);
		within = within && dearest_s <= cheapest_s * (1 + GAP);
		result->gap_s = fmax(result->gap_s, dearest_s - cheapest_s);
	}
	double sum = lanes_sum(all);
	result->mean_s = sum > 0 ? lanes_sum(delayed) / sum : 0;
	return within;
}

/* The same of the loads that they make. */
static bool converged(const struct solve_problem *problem, const double *demand, solve_row *x,
		      struct solve_result *result)
{
	const struct queue *queue[SL_CANDIDATES_MAX];
	double load[SL_CANDIDATES_MAX];
	double marginal_s[SL_CANDIDATES_MAX], response_s[SL_CANDIDATES_MAX];
	struct queue_delay delay[SL_CANDIDATES_MAX];

	loads(problem, demand, x, load);
	for (unsigned j = 0; j < problem->sites; j++)
		queue[j] = &problem->site[j].queue;
	queue_delays(problem->sites, queue, load, delay);
	for (unsigned j = 0; j < problem->sites; j++) {
		marginal_s[j] = delay[j].marginal_s;
		response_s[j] = delay[j].response_s;
	}
	return judge(problem, demand, x, marginal_s, response_s, result);
}

int solve(const struct solve_problem *problem, solve_row *x, struct solve_result *result)
{
	double demand[SOLVE_EDGES_MAX], open[SOLVE_EDGES_MAX];
	double load[SL_CANDIDATES_MAX], capacity[SL_CANDIDATES_MAX];
	bool done;

	if (!problem_valid(problem))
		return -EINVAL;
	for (unsigned j = 0; j < problem->sites; j++)
		capacity[j] = queue_capacity_per_s(&problem->site[j].queue);
	solve_demands(problem, capacity, demand, open);
	rows_start(problem, capacity, open, x);
	*result = (struct solve_result){0};
	if (problem->edges == 0 || problem->sites == 0)
		return 0;
	interior_point(problem, demand, x);
	done = converged(problem, demand, x, result);
	while (!done && result->rounds < ROUNDS_MAX) {
		loads(problem, demand, x, load); /* afresh: no rounding adds up */
		for (unsigned i = 0; i < problem->edges; i++)
			solve_edge(problem, i, demand[i], load, x[i]);
		result->rounds++;
		done = converged(problem, demand, x, result);
	}
	return 0;
}
