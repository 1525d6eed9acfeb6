/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"
#include <math.h>
#include <stdbool.h>

#define NEGLIGIBLE 1e-18 /* lost in rounding beside 1 */
#define NEWTON_ROUNDS_MAX 80

/* Mean number waiting in M/M/c and its derivatives by offered load. */
struct waiting {
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

/*
 * 1/B = sum over k of c (c-1) ... (c-k+1) / a^k: Jagerman's form of the Erlang-B recurrence,
 * started at the largest server number. All terms are positive, so nothing cancels; and it can
 * stop as soon as B is negligible (about 40 / (1 - utilisation) terms whatever c) or the terms
 * are (some 10 sqrt(c)).
 */
static double erlang_b(double servers, double offered)
{
	double term = 1, sum = 1, inverse = 1 / offered;

	for (double k = servers; k >= 1; k--) {
		term *= k * inverse;
		sum += term;
		if (sum > 1 / NEGLIGIBLE || term < NEGLIGIBLE * sum)
			break;
	}
	return 1 / sum;
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

/*
 * With B' = B u, u = c/a - 1 + B, and C = c B / D, D = c - a + a B, everything below follows by
 * logarithmic derivatives of Lq = C a / (c - a).
 */
static struct waiting waiting_at(double servers, double offered)
{
	double b = offered > 1e-100 ? erlang_b(servers, offered) : 0;
	if (!(b > 0))
		return (struct waiting){0};

	double a = offered, free = servers - a, inverse = 1 / a;
	double u = servers * inverse - 1 + b;
	double u1 = -servers * inverse * inverse + b * u;
	double d = free + a * b, d1 = b - 1 + a * b * u;
	double d2 = b * (2 * u + a * (u * u + u1));
	double p = u - d1 / d, p1 = u1 - d2 / d + (d1 / d) * (d1 / d);
	double q = p + inverse + 1 / free, q1 = p1 - inverse * inverse + 1 / (free * free);
	double mean = servers * b / d * a / free;

	return (struct waiting){mean, mean * q, mean * (q * q + q1)};
}

/* Offered load up to the cap, and how far utilisation is past it. */
static double within_cap(const struct queue *queue, double arrivals_per_s, double *excess)
{
	double servers = whole_servers(queue);
	double utilisation = arrivals_per_s * queue->service_time_s / servers;

	*excess = fmax(0, utilisation - queue->cap);
	return fmin(utilisation, queue->cap) * servers;
}

double queue_waiting(const struct queue *queue, double arrivals_per_s)
{
	double excess;
	double offered = within_cap(queue, fmax(0, arrivals_per_s), &excess);

	return queue->scv * waiting_at(whole_servers(queue), offered).mean;
}

double queue_response_s(const struct queue *queue, double arrivals_per_s)
{
	if (!(arrivals_per_s > 0))
		return queue->service_time_s + queue->backlog_s;

	double excess, servers = whole_servers(queue);
	double offered = within_cap(queue, arrivals_per_s, &excess);
	struct waiting waiting = waiting_at(servers, offered);
	double cost = offered + queue->scv * waiting.mean;
	if (excess > 0)
		cost += excess * servers *
			(1 + queue->scv * waiting.slope +
			 QUEUE_OVERLOAD_S / queue->service_time_s * excess / 2);
	return cost / arrivals_per_s + queue->backlog_s;
}

double queue_marginal_slope(const struct queue *queue, double arrivals_per_s, double *slope)
{
	double excess, servers = whole_servers(queue), service_time_s = queue->service_time_s;
	double offered = within_cap(queue, fmax(0, arrivals_per_s), &excess);
	struct waiting waiting = waiting_at(servers, offered);

	*slope = excess > 0 ? QUEUE_OVERLOAD_S * service_time_s / servers
			    : service_time_s * service_time_s * queue->scv * waiting.bend;
	return service_time_s * (1 + queue->scv * waiting.slope) + QUEUE_OVERLOAD_S * excess +
	       queue->backlog_s;
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
			     struct waiting *waiting)
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

	struct waiting waiting = {0};
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
