/* SPDX-License-Identifier: BSD-3-Clause */
#include "meter.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define SLOT_NS (NS_PER_S / 20)
#define SLOTS (60 * 20)
#define WINDOW_NS NS_PER_S
#define COMPLETIONS_MIN 20
#define COMPLETIONS_FEW 5 /* enough after a whole minute */
#define DURATIONS_MIN 50
#define DURATIONS_GOOD 200
#define LOST_TICKS 100
#define LATENCY_RING 512
#define LATENCY_AGE_NS (10 * NS_PER_S)

/* What happened in a stretch of time of at least SLOT_NS. */
struct slot {
	uint64_t span_ns, ticks;
	uint64_t busy_ns; /* integral of in service */
	uint64_t arrivals, completions;
	/* of connections that ended, were did not have to wait for others in the program */
	uint64_t durations;
	double duration_s, duration_s2; /* sums */
};

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
	struct slot slot[SLOTS];
	unsigned head; /* the slot being filled */
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

static struct slot *current(struct meter *meter)
{
	return &meter->slot[meter->head];
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
	current(meter)->arrivals++;
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
	struct slot *slot = current(meter);
	double served_s = (double)flow->served_ns / NS_PER_S;
	struct lifetime *lifetime;

	meter->completions++;
	slot->completions++;
	if (!flow->known_start)
		return;
	lifetime = &meter->lifetime[meter->lifetimes++ % LATENCY_RING];
	*lifetime = (struct lifetime){meter->now_ns, meter->now_ns - flow->first_ns};
	if (flow->waited)
		return;
	slot->durations++;
	slot->duration_s += served_s;
	slot->duration_s2 += served_s * served_s;
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
	struct slot *slot = current(meter);

	meter->in_flight = meter->accepted < meter->servers ? meter->accepted : meter->servers;
	meter->queued = meter->open - meter->in_flight;
	meter->crowded = meter->accepted > meter->servers;
	meter->last_ns = meter->now_ns;
	if (meter->tick % LOST_TICKS == 0)
		sweep(meter);
	meter->tick++;
	slot->busy_ns += meter->in_flight * meter->dt_ns;
	meter->busy_ns += meter->in_flight * meter->dt_ns;
	slot->span_ns += meter->dt_ns;
	slot->ticks++;
	if (slot->span_ns >= SLOT_NS) {
		meter->head = (meter->head + 1) % SLOTS;
		memset(current(meter), 0, sizeof(struct slot));
	}
}

uint32_t meter_present(const struct meter *meter)
{
	return meter->in_flight + meter->queued;
}

/* The i-th slot back in time. */
static const struct slot *back(const struct meter *meter, unsigned i)
{
	return &meter->slot[(meter->head + SLOTS - i) % SLOTS];
}

static void add(struct slot *sum, const struct slot *slot)
{
	sum->span_ns += slot->span_ns;
	sum->ticks += slot->ticks;
	sum->busy_ns += slot->busy_ns;
	sum->arrivals += slot->arrivals;
	sum->completions += slot->completions;
	sum->durations += slot->durations;
	sum->duration_s += slot->duration_s;
	sum->duration_s2 += slot->duration_s2;
}

/* The latest slots: at least a second of them, then more until there are enough of both. */
static struct slot sum_back(const struct meter *meter, uint64_t completions, uint64_t durations)
{
	struct slot sum = {0};

	for (unsigned i = 0; i < SLOTS; i++) {
		if (sum.span_ns >= WINDOW_NS && sum.completions >= completions &&
		    sum.durations >= durations)
			break;
		add(&sum, back(meter, i));
	}
	return sum;
}

static double mean_service_s(struct meter *meter)
{
	uint64_t enough = meter->servers > COMPLETIONS_MIN ? meter->servers : COMPLETIONS_MIN;
	struct slot sum = sum_back(meter, enough, 0);
	bool whole_minute = sum.span_ns >= (SLOTS - 2) * SLOT_NS;

	if (sum.completions >= (whole_minute ? COMPLETIONS_FEW : enough) && sum.busy_ns > 0)
		meter->service_time_s = (double)sum.busy_ns / (double)sum.completions / NS_PER_S;
	return meter->service_time_s;
}

/*
 * With N ticks, h apart, seeing a duration D: E[N h] = D and E[(N h)^2] = D^2 + h^2 f (1 - f),
 * f the fraction of D / h. Over durations spread wider than h the last term is h^2 / 6 on
 * average; it is at most h^2 / 4, so a mean of 2 h bounds the error of the result by 0.04.
 */
static double service_scv(const struct meter *meter)
{
	struct slot sum = sum_back(meter, 0, DURATIONS_GOOD);
	double mean_s, tick_s, variance_s2;

	if (sum.durations < DURATIONS_MIN)
		return -1;
	mean_s = sum.duration_s / (double)sum.durations;
	tick_s = (double)sum.span_ns / (double)sum.ticks / NS_PER_S;
	if (mean_s < 2 * tick_s)
		return -1;
	variance_s2 =
		sum.duration_s2 / (double)sum.durations - mean_s * mean_s - tick_s * tick_s / 6;
	return fmax(variance_s2, 0) / (mean_s * mean_s);
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
	struct slot last = sum_back(meter, 0, 0);
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
