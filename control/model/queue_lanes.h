/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The formulas of queue.h for eight sites at once; queue.c takes one lane of it. Inlined into
 * functions that are compiled with LANES_CLONES.
 */
#pragma once

#include "lanes.h"
#include "queue.h"

#define QUEUE_NEGLIGIBLE 1e-18 /* lost in rounding beside 1 */

/* Lanes without a site hold a queue too, of which nothing is asked. */
struct queue_lanes {
	lanes servers, service_time_s, scv, cap, backlog_s;
	lanes inverse_servers;
};

/* Mean number waiting in M/M/c and its derivatives by offered load. */
struct waiting {
	lanes mean, slope, bend;
};

/*
 * 1/B = sum over k of c (c-1) ... (c-k+1) / a^k: Jagerman's form of the Erlang-B recurrence,
 * started at the largest server number. All terms are positive, so nothing cancels; and it can
 * stop as soon as B is negligible (about 40 / (1 - utilisation) terms whatever c) or the terms
 * are (some 10 sqrt(c)). Past the last server the terms are 0 by themselves.
 */
LANES_INLINE lanes queue_erlang_b(lanes servers, lanes offered)
{
	lanes term = lanes_all(1), sum = term, k = servers, inverse = 1 / offered;
	const lanes enough = lanes_all(1 / QUEUE_NEGLIGIBLE);
	lanes before = sum; /* a term late: nobody waits for it */

	for (;;) {
		for (unsigned i = 0; i < 8; i++) {
			lanes next = term * (k * inverse);
			term = lanes_if(before < enough, next, lanes_all(0));
			before = sum;
			sum += term;
			k = lanes_most(k - 1, lanes_all(0));
		}
		if (lanes_largest(term - QUEUE_NEGLIGIBLE * sum) <= 0)
			break;
	}
	return 1 / sum;
}

/*
 * With B' = B u, u = c/a - 1 + B, and C = c B / D, D = c - a + a B, everything below follows by
 * logarithmic derivatives of Lq = C a / (c - a). Nothing offered: nothing waits.
 */
LANES_INLINE struct waiting queue_waiting_at(lanes servers, lanes offered)
{
	const lanes least = lanes_all(1e-100);
	lanes a = lanes_if(offered > least, offered, lanes_all(1));
	lanes b = queue_erlang_b(servers, a);
	lanes free = servers - a, inverse = 1 / a, of_free = 1 / free;
	lanes u = servers * inverse - 1 + b;
	lanes u1 = -servers * inverse * inverse + b * u;
	lanes d = free + a * b, d1 = b - 1 + a * b * u, of_d = 1 / d;
	lanes d2 = b * (2 * u + a * (u * u + u1));
	lanes p = u - d1 * of_d, p1 = u1 - d2 * of_d + (d1 * of_d) * (d1 * of_d);
	lanes q = p + inverse + of_free, q1 = p1 - inverse * inverse + of_free * of_free;
	lanes mean = servers * b * of_d * a * of_free, none = lanes_all(0);

	mean = lanes_if(offered > least, lanes_if(b > none, mean, none), none);
	return (struct waiting){mean, lanes_if(mean > none, mean * q, none),
				lanes_if(mean > none, mean * (q * q + q1), none)};
}

/* As queue_marginal_slope(). */
LANES_INLINE lanes queue_lanes_marginal(const struct queue_lanes *queue, lanes arrivals_per_s,
					lanes *slope)
{
	lanes time_s = queue->service_time_s;
	lanes utilisation =
		lanes_most(arrivals_per_s, lanes_all(0)) * time_s * queue->inverse_servers;
	lanes excess = lanes_most(utilisation - queue->cap, lanes_all(0));
	lanes offered = lanes_least(utilisation, queue->cap) * queue->servers;
	struct waiting waiting = queue_waiting_at(queue->servers, offered);

	*slope = lanes_if(excess > 0, QUEUE_OVERLOAD_S * time_s * queue->inverse_servers,
			  time_s * time_s * queue->scv * waiting.bend);
	return time_s * (1 + queue->scv * waiting.slope) + QUEUE_OVERLOAD_S * excess +
	       queue->backlog_s;
}
