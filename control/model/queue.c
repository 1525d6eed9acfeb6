/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"
#include "queue_lanes.h"
#include <math.h>
#include <stdbool.h>

#define NEWTON_ROUNDS_MAX 80

/* struct waiting of one site. */
struct waiting_here {
	double mean, slope, bend;
};

static double whole_servers(const struct queue *queue)
{
	return queue->servers >= 1 ? floor(queue->servers) : 1;
}

double queue_capacity_per_s(const struct queue *queue)
{
	return whole_servers(queue) / queue->service_time_s;
}

LANES_CLONES static double erlang_b(double servers, double offered)
{
	return queue_erlang_b(lanes_all(servers), lanes_all(offered))[0];
}

double queue_erlang_c(double servers, double offered)
{
	if (!(offered > 0))
		return 0;
	if (offered >= servers)
		return 1;
	double b = erlang_b(servers, offered);
	return servers * b / (servers - offered * (1 - b));
}

LANES_CLONES static struct waiting_here waiting_at(double servers, double offered)
{
	struct waiting waiting = queue_waiting_at(lanes_all(servers), lanes_all(offered));

	return (struct waiting_here){waiting.mean[0], waiting.slope[0], waiting.bend[0]};
}

double queue_waiting(const struct queue *queue, double arrivals_per_s)
{
	double servers = whole_servers(queue);
	double utilisation = fmax(0, arrivals_per_s) * queue->service_time_s / servers;

	return queue->scv * waiting_at(servers, fmin(utilisation, queue->cap) * servers).mean;
}

/* Of at most sixteen. */
LANES_CLONES static void delays_at_once(unsigned n, const struct queue *const *queue,
					const double *arrivals_per_s, struct queue_delay *delay)
{
	struct queue_lanes group[2];
	struct queue_lanes_delay of[2];
	lanes arrivals[2];
	unsigned groups = n > LANES ? 2 : 1;

	for (unsigned j = 0; j < groups * LANES; j++) {
		unsigned v = j / LANES, from = j < n ? j : 0;
		queue_lanes_take(&group[v], j % LANES, queue[from]);
		arrivals[v][j % LANES] = arrivals_per_s[from];
	}
	if (groups == 2)
		queue_lanes_delay_two(group, arrivals, of);
	else
		of[0] = queue_lanes_delay(&group[0], arrivals[0]);
	for (unsigned j = 0; j < n; j++) {
		const struct queue_lanes_delay *from = &of[j / LANES];
		unsigned l = j % LANES;
		delay[j] = (struct queue_delay){from->response_s[l], from->marginal_s[l],
						from->slope[l]};
	}
}

void queue_delays(unsigned n, const struct queue *const *queue, const double *arrivals_per_s,
		  struct queue_delay *delay)
{
	for (unsigned first = 0; first < n; first += 2 * LANES)
		delays_at_once(n - first < 2 * LANES ? n - first : 2 * LANES, queue + first,
			       arrivals_per_s + first, delay + first);
}

double queue_response_s(const struct queue *queue, double arrivals_per_s)
{
	struct queue_delay delay;

	queue_delays(1, &queue, &arrivals_per_s, &delay);
	return delay.response_s;
}

double queue_marginal_slope(const struct queue *queue, double arrivals_per_s, double *slope)
{
	struct queue_delay delay;

	queue_delays(1, &queue, &arrivals_per_s, &delay);
	*slope = delay.slope;
	return delay.marginal_s;
}

double queue_marginal_s(const struct queue *queue, double arrivals_per_s)
{
	double slope;

	return queue_marginal_slope(queue, arrivals_per_s, &slope);
}

/* Exact for one server; Sakasegawa (1977) for many in light traffic. */
static double utilisation_guess(double servers, double wanted)
{
	double heavy = -expm1(-0.5 * log1p(servers * wanted)); /* slope = (1/(1-u)^2 - 1) / c */
	double power = sqrt(2 * (servers + 1));

	if (servers < 2 || servers * wanted > 1)
		return heavy;
	return fmax(heavy, pow(servers * wanted / power, 1 / (power - 1)));
}

/*
 * Newton for log(slope(u)) = log(wanted) over the log-odds of the utilisation u, where the
 * curve is nearly straight: slope ~ u^c when light, ~ 1 / (1 - u)^2 when heavy. Bisection when
 * a step leaves the bracket, and now and then, for the part that is lost in rounding. Returns u <
 * cap, or cap if the slope there is below wanted.
 */
static double utilisation_at(double servers, double cap, double wanted, double u,
			     struct waiting_here *waiting)
{
	double low = 0, high = cap;
	bool high_known = false; /* slope(high) is known to exceed wanted */

	for (unsigned round = 0; round < NEWTON_ROUNDS_MAX; round++) {
		*waiting = waiting_at(servers, u * servers);
		double off = log(waiting->slope / wanted);
		if (u >= cap && off <= 0)
			return cap;
		if (off < 0) {
			low = u;
		} else {
			high = u;
			high_known = true;
		}
		double curve = waiting->bend / waiting->slope * servers * u * (1 - u);
		double odds = u / (1 - u) * exp(-off / curve);
		double next = odds / (1 + odds);
		if (fabs(off) < 1e-9) /* the step leaves an error of about its square */
			return fmin(next, cap);
		bool slow = round % 4 == 3 || !(next > low);
		if (!high_known && (slow || next >= high))
			next = cap;
		else if (slow || !(next < high))
			next = low + (high - low) / 2;
		if (high - low <= 1e-15 * high)
			return next;
		u = next;
	}
	return u;
}

double queue_rate_near(const struct queue *queue, double marginal_s, double guess_per_s,
		       double *rate_slope)
{
	double servers = whole_servers(queue), service_time_s = queue->service_time_s;
	double capacity = servers / service_time_s;
	double wait_s = marginal_s - queue->backlog_s - service_time_s;

	*rate_slope = 0;
	if (!(wait_s >= 0))
		return 0;

	struct waiting_here waiting = {0};
	double wanted =
		queue->scv > 0 ? fmax(wait_s / (service_time_s * queue->scv), 1e-14) : INFINITY;
	double u = queue->cap;
	if (isfinite(wanted)) {
		double guess = guess_per_s > 0 ? guess_per_s / capacity
					       : utilisation_guess(servers, wanted);
		u = utilisation_at(servers, queue->cap, wanted, fmin(guess, queue->cap), &waiting);
	}
	if (u < queue->cap) {
		*rate_slope = 1 / (service_time_s * service_time_s * queue->scv * waiting.bend);
		return u * capacity;
	}
	double over_s = wait_s - service_time_s * queue->scv * waiting.slope;
	*rate_slope = capacity / QUEUE_OVERLOAD_S;
	return (queue->cap + fmax(0, over_s) / QUEUE_OVERLOAD_S) * capacity;
}

double queue_rate_at(const struct queue *queue, double marginal_s)
{
	double rate_slope;

	return queue_rate_near(queue, marginal_s, 0, &rate_slope);
}
