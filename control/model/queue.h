/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Response time of a site: a G/G/c queue, Erlang-C with the Allen-Cunneen correction
 * (Allen 1990, section 5.5):  W(l) = s + C(c, l s) / (c/s - l) * (ca2 + cs2) / 2
 *
 * Cost is l W(l), the mean number of flows at the site (Little 1961); its derivative, the
 * marginal delay, is what one more flow per second costs everybody. Past the utilisation
 * cap the marginal goes on from its value there in a straight line, QUEUE_OVERLOAD_S for each
 * capacity of excess, the same for every site; so value and marginal are continuous, the cost
 * is convex and increasing on all of l >= 0 (Erlang-C's part: Lee and Cohen 1983), and an
 * overload is shared in proportion to capacity as long as cap marginals are small against
 * QUEUE_OVERLOAD_S (service times up to some seconds).
 * Pure; rates in flows per second, times in seconds. Called by control and the simulator.
 */
#pragma once

struct queue {
	double servers;	       /* >= 1, whole: a fraction is cut off */
	double service_time_s; /* > 0, mean */
	double scv;	       /* (ca2 + cs2) / 2, >= 0 */
	double cap;	       /* utilisation, 0 < cap < 1, default QUEUE_CAP */
	double backlog_s;      /* drain time of what waits there now, >= 0 */
};

/*
 * backlog_s is added to W, so l * backlog_s to the cost and backlog_s to the marginal: linear
 * in l, which keeps the cost convex. It is the wait that a flow arriving now meets whatever
 * the rate; that the flow also holds up those behind it while the backlog drains (fluid
 * limit: backlog / (1 - utilisation) in all) is left out, as the next report replaces it.
 */

#define QUEUE_CAP 0.95
#define QUEUE_OVERLOAD_S 10000.0

double queue_capacity_per_s(const struct queue *queue); /* servers / service_time_s */
double queue_erlang_c(double servers, double offered);	/* probability of waiting; 1 if full */
double queue_waiting(const struct queue *queue, double arrivals_per_s); /* mean flows waiting,
									   at most at the cap */
double queue_response_s(const struct queue *queue, double arrivals_per_s);
double queue_marginal_s(const struct queue *queue, double arrivals_per_s);
/* The same, and its derivative (seconds per flow/s; at the cap the one above it). */
double queue_marginal_slope(const struct queue *queue, double arrivals_per_s, double *slope);

/* All of that of n sites: sixteen cost little more than one. */
struct queue_delay {
	double response_s, marginal_s, slope;
};

void queue_delays(unsigned n, const struct queue *const *queue, const double *arrivals_per_s,
		  struct queue_delay *delay);

/* Largest arrival rate whose marginal delay is at most marginal_s; 0 if even the first is dearer.
 */
double queue_rate_at(const struct queue *queue, double marginal_s);

/* The same from a guess (<= 0: none), and how fast that rate rises with marginal_s. */
double queue_rate_near(const struct queue *queue, double marginal_s, double guess_per_s,
		       double *rate_slope);
