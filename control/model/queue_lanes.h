/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The formulas of queue.h for eight sites at once; queue.c takes one lane of it. Inlined into
 * functions that are compiled with LANES_CLONES.
 */
#pragma once

#include "lanes.h"
#include "queue.h"

#define QUEUE_NEGLIGIBLE 1e-18	  /* lost in rounding beside 1 */
#define QUEUE_OFFERED_LEAST 1e-40 /* (servers / this)^5 is finite */

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
 * are (some 10 sqrt(c)). Past the last server the terms are 0 by themselves. Whether it is
 * enough is asked two terms late, so that nothing waits for the answer; terms that are two too
 * many stay finite, as offered >= QUEUE_OFFERED_LEAST.
 */
struct queue_terms {
	lanes term, sum, before, k, inverse;
};

LANES_INLINE struct queue_terms queue_terms_first(lanes servers, lanes offered)
{
	lanes one = lanes_all(1);

	return (struct queue_terms){one, one, one, servers, 1 / offered};
}

/* Two more terms. */
LANES_INLINE void queue_terms_next(struct queue_terms *t)
{
	const lanes enough = lanes_all(1 / QUEUE_NEGLIGIBLE);
	lanes first = lanes_if(t->before < enough, t->term, lanes_all(0)) * (t->k * t->inverse);

	t->before = t->sum;
	t->term = first * ((t->k - 1) * t->inverse);
	t->sum = (t->sum + first) + t->term;
	t->k -= 2;
}

LANES_INLINE lanes queue_terms_left(const struct queue_terms *t)
{
	return t->term - QUEUE_NEGLIGIBLE * t->sum;
}

LANES_INLINE lanes queue_erlang_b(lanes servers, lanes offered)
{
	struct queue_terms t = queue_terms_first(servers, offered);

	do {
		for (unsigned i = 0; i < 4; i++)
			queue_terms_next(&t);
	} while (lanes_largest(queue_terms_left(&t)) > 0);
	return 1 / t.sum;
}

/* Sixteen sites in little more time than eight, as each term waits for the one before. */
LANES_INLINE void queue_erlang_b_two(const lanes *servers, const lanes *offered, lanes *b)
{
	struct queue_terms t = queue_terms_first(servers[0], offered[0]);
	struct queue_terms u = queue_terms_first(servers[1], offered[1]);

	do {
		for (unsigned i = 0; i < 4; i++) {
			queue_terms_next(&t);
			queue_terms_next(&u);
		}
	} while (lanes_largest(lanes_most(queue_terms_left(&t), queue_terms_left(&u))) > 0);
	b[0] = 1 / t.sum;
	b[1] = 1 / u.sum;
}

/*
 * With B' = B u, u = c/a - 1 + B, and C = c B / D, D = c - a + a B, everything below follows by
 * logarithmic derivatives of Lq = C a / (c - a). Nothing offered: next to nothing waits.
 */
LANES_INLINE struct waiting queue_waiting_by(lanes servers, lanes a, lanes b)
{
	lanes free = servers - a, inverse = 1 / a, of_free = 1 / free;
	lanes u = servers * inverse - 1 + b;
	lanes u1 = -servers * inverse * inverse + b * u;
	lanes d = free + a * b, d1 = b - 1 + a * b * u, of_d = 1 / d;
	lanes d2 = b * (2 * u + a * (u * u + u1));
	lanes p = u - d1 * of_d, p1 = u1 - d2 * of_d + (d1 * of_d) * (d1 * of_d);
	lanes q = p + inverse + of_free, q1 = p1 - inverse * inverse + of_free * of_free;
	lanes mean = servers * b * of_d * a * of_free;

	return (struct waiting){mean, mean * q, mean * (q * q + q1)};
}

LANES_INLINE struct waiting queue_waiting_at(lanes servers, lanes offered)
{
	lanes a = lanes_most(offered, lanes_all(QUEUE_OFFERED_LEAST));

	return queue_waiting_by(servers, a, queue_erlang_b(servers, a));
}

/* Takes a site into a lane; its servers whole. */
LANES_INLINE void queue_lanes_take(struct queue_lanes *lane, unsigned l, const struct queue *queue)
{
	lane->servers[l] = queue->servers >= 1 ? __builtin_floor(queue->servers) : 1;
	lane->service_time_s[l] = queue->service_time_s;
	lane->scv[l] = queue->scv;
	lane->cap[l] = queue->cap;
	lane->backlog_s[l] = queue->backlog_s;
	lane->inverse_servers[l] = 1 / lane->servers[l];
}

/* As queue_response_s(), queue_marginal_slope(). */
struct queue_lanes_delay {
	lanes response_s, marginal_s, slope;
};

/* Offered load, at most at the cap. */
LANES_INLINE lanes queue_lanes_offered(const struct queue_lanes *queue, lanes arrivals_per_s)
{
	lanes arrivals = lanes_most(arrivals_per_s, lanes_all(0));
	lanes utilisation = arrivals * queue->service_time_s * queue->inverse_servers;
	lanes offered = lanes_least(utilisation, queue->cap) * queue->servers;

	return lanes_most(offered, lanes_all(QUEUE_OFFERED_LEAST));
}

LANES_INLINE struct queue_lanes_delay queue_lanes_delay_by(const struct queue_lanes *queue,
							   lanes arrivals_per_s, lanes offered,
							   lanes erlang_b)
{
	lanes time_s = queue->service_time_s, none = lanes_all(0);
	lanes arrivals = lanes_most(arrivals_per_s, none);
	lanes utilisation = arrivals * time_s * queue->inverse_servers;
	lanes excess = lanes_most(utilisation - queue->cap, none);
	struct waiting waiting = queue_waiting_by(queue->servers, offered, erlang_b);
	lanes within_s = time_s * (1 + queue->scv * waiting.slope);
	lanes flows = offered + queue->scv * waiting.mean +
		      excess * queue->servers * (within_s + QUEUE_OVERLOAD_S / 2 * excess) / time_s;

	return (struct queue_lanes_delay){
		.response_s =
			lanes_if(arrivals > none, flows / arrivals, time_s) + queue->backlog_s,
		.marginal_s = within_s + QUEUE_OVERLOAD_S * excess + queue->backlog_s,
		.slope = lanes_if(utilisation > queue->cap,
				  QUEUE_OVERLOAD_S * time_s * queue->inverse_servers,
				  time_s * time_s * queue->scv * waiting.bend),
	};
}

LANES_INLINE struct queue_lanes_delay queue_lanes_delay(const struct queue_lanes *queue,
							lanes arrivals_per_s)
{
	lanes offered = queue_lanes_offered(queue, arrivals_per_s);

	return queue_lanes_delay_by(queue, arrivals_per_s, offered,
				    queue_erlang_b(queue->servers, offered));
}

/* Of two times eight sites. */
LANES_INLINE void queue_lanes_delay_two(const struct queue_lanes *queue,
					const lanes *arrivals_per_s,
					struct queue_lanes_delay *delay)
{
	lanes servers[2] = {queue[0].servers, queue[1].servers}, b[2];
	lanes offered[2] = {queue_lanes_offered(&queue[0], arrivals_per_s[0]),
			    queue_lanes_offered(&queue[1], arrivals_per_s[1])};

	queue_erlang_b_two(servers, offered, b);
	for (unsigned v = 0; v < 2; v++)
		delay[v] = queue_lanes_delay_by(&queue[v], arrivals_per_s[v], offered[v], b[v]);
}
