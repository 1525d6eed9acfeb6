/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Response time of a site: a G/G/c queue, Erlang-C with the Allen-Cunneen correction
 * (Allen 1990, section 5.5):  W(l) = s + C(c, l s) / (c/s - l) * (ca2 + cs2) / 2
 *
 * Cost is l W(l), the mean number of flows at the site (Little 1961); its derivative, the
 * marginal delay, is what one more flow per second costs everybody. Past the utilisation
 * cap both go on as a steep quadratic, the same for every site at the same relative excess, so that
 * overload is shared in proportion to capacity. Convex and increasing on all of l >= 0.
 * Pure; rates in flows per second, times in seconds.
 */
#pragma once

struct queue {
	double servers;	       /* >= 1 */
	double service_time_s; /* > 0, mean */
	double scv;	       /* (ca2 + cs2) / 2, >= 0 */
	double cap;	       /* utilisation, 0 < cap < 1, default QUEUE_CAP */
	double backlog_s; /* drain time of what is queued beyond the steady state, >= 0: added to W
			   */
};

#define QUEUE_CAP 0.95

double queue_capacity_per_s(const struct queue *queue); /* servers / service_time_s */
double queue_erlang_c(double servers, double offered);	/* probability of waiting */
double queue_response_s(const struct queue *queue, double arrivals_per_s);
double queue_marginal_s(const struct queue *queue, double arrivals_per_s);
/* Largest arrival rate whose marginal delay is at most marginal_s; 0 if even the first is dearer.
 */
double queue_rate_at(const struct queue *queue, double marginal_s);
