/* SPDX-License-Identifier: BSD-3-Clause */
#include "meter.h"
#include "window.h"
#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define DURATIONS_MIN 50
#define DURATIONS_GOOD 200
#define LOST_TICKS 100
#define LATENCY_RING 512
#define LATENCY_AGE_NS (10 * NS_PER_S)

struct lifetime {
	uint64_t ended_ns, lifetime_ns;
};

struct meter {
	uint32_t servers;
	struct flows flows;
	uint64_t tick; /* whole ones so far */
	uint64_t now_ns, last_ns, dt_ns;
	bool crowded;		    /* more accepted than servers, in the last whole tick */
	uint32_t open, accepted;    /* in the tick being taken */
	uint32_t in_flight, queued; /* of the last whole one */
	uint64_t arrivals, completions, missed, busy_ns;
	double service_time_s; /* last known */
	struct window window;
	struct window_sums now; /* of the tick being taken */
	struct lifetime lifetime[LATENCY_RING];
	unsigned lifetimes; /* ever */
};

struct meter *meter_new(uint32_t servers)
{
	struct meter *meter = calloc(1, sizeof(*meter));

	if (!meter)
		return NULL;
	meter->servers = servers;
	if (flows_init(&meter->flows) < 0) {
		free(meter);
		return NULL;
	}
	return meter;
}

void meter_free(struct meter *meter)
{
	if (!meter)
		return;
	flows_clear(&meter->flows);
	free(meter);
}

void meter_begin(struct meter *meter, uint64_t now_ns)
{
	meter->dt_ns = meter->tick > 0 ? now_ns - meter->last_ns : 0;
	meter->now_ns = now_ns;
	meter->open = meter->accepted = 0;
}

static void count_arrival(struct meter *meter)
{
	meter->arrivals++;
	meter->now.arrivals++;
}

/*
 * In a crowd (more accepted than servers) nobody can tell who is being worked on. A flow that
 * came when there was none is taken to have been served from its first moment on; what comes later
 * does not matter, and to sort those out would keep the short ones.
 */
static void check_crowd(const struct meter *meter, struct flow *flow)
{
	if (flow->first_ns == meter->last_ns && meter->crowded)
		flow->waited = true;
}

/*
 * A duration as the number of ticks that saw it times their distance is unbiased, also for
 * those too short to be seen at all.
 */
static void count_completion(struct meter *meter, const struct flow *flow)
{
	struct window_sums *now = &meter->now;
	double served_s = (double)flow->served_ns / NS_PER_S;
	struct lifetime *lifetime;

	meter->completions++;
	now->completions++;
	if (!flow->known_start)
		return;
	lifetime = &meter->lifetime[meter->lifetimes++ % LATENCY_RING];
	*lifetime = (struct lifetime){meter->now_ns, meter->now_ns - flow->first_ns};
	if (flow->waited)
		return;
	now->timed++;
	now->timed_s += served_s;
	now->timed_s2 += served_s * served_s;
}

void meter_ended(struct meter *meter, uint64_t cookie)
{
	struct flow *flow = flows_find(&meter->flows, cookie);
	const struct flow unseen = {
		.first_ns = meter->now_ns, .known_start = true, .waited = meter->crowded};

	if (flow) {
		check_crowd(meter, flow);
		count_completion(meter, flow);
		flows_remove(&meter->flows, flow);
	} else if (meter->tick > 0) { /* came and went between two ticks */
		count_arrival(meter);
		count_completion(meter, &unseen);
	}
}

int meter_seen(struct meter *meter, uint64_t cookie, bool open, bool accepted)
{
	struct flow *flow = flows_find(&meter->flows, cookie);

	if (!flow) {
		flow = flows_add(&meter->flows, cookie);
		if (!flow)
			return -ENOMEM;
		flow->first_ns = meter->now_ns;
		flow->known_start = meter->tick > 0;
		flow->waited = meter->crowded;
		if (flow->known_start)
			count_arrival(meter);
	}
	check_crowd(meter, flow);
	flow->seen = meter->tick;
	if (!open)
		return 0;
	meter->open++;
	if (accepted) {
		meter->accepted++;
		flow->served_ns += meter->dt_ns;
	}
	return 0;
}

/*
 * The kernel may drop notices when we are slow to read them. A connection that was not seen
 * for so many ticks has ended, whether we were told or not.
 */
static void sweep(struct meter *meter)
{
	for (uint64_t i = 0; i <= meter->flows.mask; i++) {
		struct flow *flow = &meter->flows.slot[i];

		while (flow->cookie && flow->seen + LOST_TICKS / 2 < meter->tick) {
			count_completion(meter, flow);
			flows_remove(&meter->flows, flow);
			meter->missed++;
		}
	}
}

void meter_end(struct meter *meter)
{
	const uint32_t before = meter->in_flight;
	uint64_t busy_ns;

	meter->in_flight = meter->accepted < meter->servers ? meter->accepted : meter->servers;
	/* by trapezoids: a tick comes late just when much else happens, too */
	busy_ns = (before + meter->in_flight) * meter->dt_ns / 2;
	meter->queued = meter->open - meter->in_flight;
	meter->crowded = meter->accepted > meter->servers;
	meter->last_ns = meter->now_ns;
	if (meter->tick % LOST_TICKS == 0)
		sweep(meter);
	meter->tick++;
	meter->busy_ns += busy_ns;
	meter->now.busy_ns = busy_ns;
	meter->now.span_ns = meter->dt_ns;
	meter->now.ticks = 1;
	window_add(&meter->window, &meter->now);
	meter->now = (struct window_sums){0};
}

uint32_t meter_present(const struct meter *meter)
{
	return meter->in_flight + meter->queued;
}

static double mean_service_s(struct meter *meter)
{
	struct window_sums sum = window_completions(&meter->window, meter->servers);

	if (sum.completions && sum.busy_ns)
		meter->service_time_s = window_sampled_s(&sum);
	return meter->service_time_s;
}

/*
 * With N ticks, h apart, seeing a duration D: E[N h] = D and E[(N h)^2] = D^2 + h^2 f (1 - f),
 * f the fraction of D / h. Over durations spread wider than h the last term is h^2 / 6 on
 * average; it is at most h^2 / 4, so a mean of 2 h bounds the error of the result by 0.04.
 */
static double service_scv(const struct meter *meter)
{
	struct window_sums sum = window_sum(&meter->window, 0, DURATIONS_GOOD);
	double tick_s;

	if (sum.timed < DURATIONS_MIN)
		return -1;
	tick_s = (double)sum.span_ns / (double)sum.ticks / NS_PER_S;
	if (sum.timed_s / (double)sum.timed < 2 * tick_s)
		return -1;
	return window_scv(&sum, tick_s * tick_s / 6);
}

static int rising(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static unsigned recent_lifetimes(const struct meter *meter, uint64_t out[LATENCY_RING])
{
	unsigned kept = meter->lifetimes < LATENCY_RING ? meter->lifetimes : LATENCY_RING;
	unsigned count = 0;

	for (unsigned i = 0; i < kept; i++)
		if (meter->lifetime[i].ended_ns + LATENCY_AGE_NS >= meter->now_ns)
			out[count++] = meter->lifetime[i].lifetime_ns;
	qsort(out, count, sizeof(*out), rising);
	return count;
}

/* Only quantiles that are well above what sampling can tell, of enough connections. */
static void read_latencies(const struct meter *meter, struct meter_load *out)
{
	static const struct {
		double quantile;
		unsigned least;
	} wanted[METER_LATENCIES] = {{0.5, 20}, {0.9, 50}, {0.99, 200}};
	uint64_t sorted[LATENCY_RING];
	unsigned count = recent_lifetimes(meter, sorted);

	for (unsigned i = 0; i < METER_LATENCIES; i++) {
		uint64_t value_ns;

		if (count < wanted[i].least)
			continue;
		value_ns = sorted[(unsigned)(wanted[i].quantile * (count - 1))];
		if (value_ns < 2 * meter->dt_ns)
			continue;
		out->latency[out->latencies++] =
			(struct sl_latency){wanted[i].quantile, (double)value_ns / NS_PER_S};
	}
}

void meter_read(struct meter *meter, struct meter_load *out)
{
	struct window_sums last = window_sum(&meter->window, 0, 0);
	double span_s = (double)last.span_ns / NS_PER_S;

	*out = (struct meter_load){
		.in_flight = meter->in_flight,
		.queued = meter->queued,
		.service_time_s = mean_service_s(meter),
		.service_scv = service_scv(meter),
		.arrivals_per_s = span_s > 0 ? (double)last.arrivals / span_s : 0,
		.completions_per_s = span_s > 0 ? (double)last.completions / span_s : 0,
		.arrivals = meter->arrivals,
		.completions = meter->completions,
		.missed = meter->missed,
		.busy_s = (double)meter->busy_ns / NS_PER_S,
	};
	read_latencies(meter, out);
}
