/* SPDX-License-Identifier: BSD-3-Clause */
#include "tally.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define SLOT_NS (NS_PER_S / 20)
#define SLOTS (60 * 20)
#define WINDOW_NS NS_PER_S
#define COMPLETIONS_MIN 20
#define COMPLETIONS_FEW 5 /* enough after a whole minute */
#define ALONE_MIN 50	  /* for the variation */
#define ALONE_GOOD 200
#define SHOTS 11 /* of the histogram, a second apart */

struct slot {
	uint64_t span_ns, busy_ns, ticks;
	uint64_t idle_ticks; /* connections in the backlog although servers were free */
	uint64_t arrivals, completions, requests;
	uint64_t alone, alone_us, alone_us2, sojourns, sojourn_us;
};

struct shot {
	uint64_t at_ns; /* 0: none */
	struct kernel_histogram histogram;
};

struct tally {
	uint32_t servers, in_flight, queued;
	uint64_t ticks, last_ns, busy_ns;
	struct kernel_counts first, last;
	double service_time_s; /* last known */
	struct slot slot[SLOTS];
	unsigned head; /* the slot being filled */
	struct shot shot[SHOTS];
	unsigned shots; /* ever */
};

struct tally *tally_new(uint32_t servers)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (tally)
		tally->servers = servers;
	return tally;
}

void tally_free(struct tally *tally)
{
	free(tally);
}

static void add_counts(struct slot *slot, const struct kernel_counts *now,
		       const struct kernel_counts *then)
{
	slot->arrivals += now->arrivals + now->unknown - then->arrivals - then->unknown;
	slot->completions += now->completions - then->completions;
	slot->requests += now->requests - then->requests;
	slot->alone += now->alone - then->alone;
	slot->alone_us += now->alone_us - then->alone_us;
	slot->alone_us2 += now->alone_us2 - then->alone_us2;
	slot->sojourns += now->sojourns - then->sojourns;
	slot->sojourn_us += now->sojourn_us - then->sojourn_us;
}

void tally_tick(struct tally *tally, uint64_t now_ns, const struct kernel_counts *count,
		uint32_t present, uint32_t backlog)
{
	struct slot *slot = &tally->slot[tally->head];
	uint64_t dt_ns = tally->ticks > 0 ? now_ns - tally->last_ns : 0;
	uint32_t accepted = backlog < present ? present - backlog : 0;

	if (tally->ticks++ == 0)
		tally->first = tally->last = *count;
	tally->in_flight = accepted < tally->servers ? accepted : tally->servers;
	tally->queued = present - tally->in_flight;
	add_counts(slot, count, &tally->last);
	slot->busy_ns += tally->in_flight * dt_ns;
	slot->span_ns += dt_ns;
	slot->ticks++;
	slot->idle_ticks += tally->queued > 0 && tally->in_flight < tally->servers;
	tally->busy_ns += tally->in_flight * dt_ns;
	tally->last = *count;
	tally->last_ns = now_ns;
	if (slot->span_ns >= SLOT_NS) {
		tally->head = (tally->head + 1) % SLOTS;
		memset(&tally->slot[tally->head], 0, sizeof(struct slot));
	}
}

void tally_histogram(struct tally *tally, uint64_t now_ns, const struct kernel_histogram *histogram)
{
	struct shot *last = &tally->shot[(tally->shots + SHOTS - 1) % SHOTS];

	/* the newest is replaced until it is a second away from the one before */
	if (tally->shots > 1) {
		const struct shot *before = &tally->shot[(tally->shots + SHOTS - 2) % SHOTS];

		if (now_ns - before->at_ns < NS_PER_S) {
			*last = (struct shot){now_ns, *histogram};
			return;
		}
	}
	tally->shot[tally->shots++ % SHOTS] = (struct shot){now_ns, *histogram};
}

static void add(struct slot *sum, const struct slot *slot)
{
	sum->span_ns += slot->span_ns;
	sum->busy_ns += slot->busy_ns;
	sum->ticks += slot->ticks;
	sum->idle_ticks += slot->idle_ticks;
	sum->arrivals += slot->arrivals;
	sum->completions += slot->completions;
	sum->requests += slot->requests;
	sum->alone += slot->alone;
	sum->alone_us += slot->alone_us;
	sum->alone_us2 += slot->alone_us2;
	sum->sojourns += slot->sojourns;
	sum->sojourn_us += slot->sojourn_us;
}

/* The latest slots: at least a second of them, then more until there are enough of both. */
static struct slot sum_back(const struct tally *tally, uint64_t completions, uint64_t alone)
{
	struct slot sum = {0};

	for (unsigned i = 0; i < SLOTS; i++) {
		if (sum.span_ns >= WINDOW_NS && sum.completions >= completions &&
		    sum.alone >= alone)
			break;
		add(&sum, &tally->slot[(tally->head + SLOTS - i) % SLOTS]);
	}
	return sum;
}

/* Connections in the backlog for a moment are being accepted; more often than that they wait. */
static bool waits_unserved(const struct slot *sum)
{
	return sum->idle_ticks * 5 > sum->ticks;
}

static double mean_service_s(struct tally *tally)
{
	uint64_t enough = tally->servers > COMPLETIONS_MIN ? tally->servers : COMPLETIONS_MIN;
	struct slot sum = sum_back(tally, enough, 0);
	bool whole_minute = sum.span_ns >= (SLOTS - 2) * SLOT_NS;
	double sampled_s, exact_s;

	if (sum.completions < (whole_minute ? COMPLETIONS_FEW : enough))
		return tally->service_time_s;
	sampled_s = (double)sum.busy_ns / (double)sum.completions / NS_PER_S;
	exact_s = sum.alone ? (double)sum.alone_us / (double)sum.alone / 1e6 : 0;
	/* much more work present than completes: those that do not complete are not in exact_s */
	if (sum.alone * 2 >= sum.completions && !waits_unserved(&sum) && sampled_s < 1.5 * exact_s)
		tally->service_time_s = exact_s;
	else if (sampled_s > 0)
		tally->service_time_s = sampled_s;
	return tally->service_time_s;
}

static double service_scv(const struct tally *tally)
{
	struct slot sum = sum_back(tally, 0, ALONE_GOOD);
	double mean_us, variance_us2;

	if (sum.alone < ALONE_MIN || waits_unserved(&sum))
		return -1;
	mean_us = (double)sum.alone_us / (double)sum.alone;
	variance_us2 = (double)sum.alone_us2 / (double)sum.alone - mean_us * mean_us;
	return mean_us > 0 ? fmax(variance_us2, 0) / (mean_us * mean_us) : -1;
}

/* The middle of a bucket, in seconds. */
static double bucket_s(unsigned bucket)
{
	unsigned power = bucket / 16;

	if (bucket < 16)
		return ((double)bucket + 0.5) * 1e-6;
	return ldexp(16.5 + bucket % 16, (int)power - 1) * 1e-6;
}

static void read_latencies(const struct tally *tally, struct meter_load *out)
{
	static const struct {
		double quantile;
		uint64_t least;
	} wanted[METER_LATENCIES] = {{0.5, 20}, {0.9, 100}, {0.99, 500}};
	const struct shot *now = &tally->shot[(tally->shots + SHOTS - 1) % SHOTS];
	const struct shot *then =
		tally->shots >= SHOTS ? &tally->shot[tally->shots % SHOTS] : &tally->shot[0];
	uint64_t bucket[HISTOGRAM_BUCKETS], all = 0;

	if (tally->shots < 2)
		return;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += bucket[i] = now->histogram.bucket[i] - then->histogram.bucket[i];
	for (unsigned i = 0; i < METER_LATENCIES && all >= wanted[i].least; i++) {
		uint64_t rank = (uint64_t)(wanted[i].quantile * (double)all), below = 0;
		unsigned at = 0;

		while (at < HISTOGRAM_BUCKETS - 1 && below + bucket[at] <= rank)
			below += bucket[at++];
		out->latency[out->latencies++] =
			(struct sl_latency){wanted[i].quantile, bucket_s(at)};
	}
}

void tally_read(struct tally *tally, struct meter_load *out)
{
	struct slot last = sum_back(tally, 0, 0);
	double span_s = (double)last.span_ns / NS_PER_S;

	*out = (struct meter_load){
		.in_flight = tally->in_flight,
		.queued = tally->queued,
		.service_time_s = mean_service_s(tally),
		.service_scv = service_scv(tally),
		.arrivals_per_s = span_s > 0 ? (double)last.arrivals / span_s : 0,
		.completions_per_s = span_s > 0 ? (double)last.completions / span_s : 0,
		.sojourn_s =
			last.sojourns ? (double)last.sojourn_us / (double)last.sojourns / 1e6 : 0,
		.requests_per_s = span_s > 0 ? (double)last.requests / span_s : 0,
		.arrivals = tally->last.arrivals + tally->last.unknown,
		.completions = tally->last.completions,
		.missed = tally->last.unknown,
		.busy_s = (double)tally->busy_ns / NS_PER_S,
		.timed_s = (double)tally->last.alone_us / 1e6,
		.timed = tally->last.alone,
	};
	read_latencies(tally, out);
}

uint32_t tally_present(const struct tally *tally)
{
	return tally->in_flight + tally->queued;
}
