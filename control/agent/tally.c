/* SPDX-License-Identifier: BSD-3-Clause */
#include "tally.h"
#include "window.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define ALONE_MIN 50 /* for the variation */
#define ALONE_GOOD 200
#define SHOTS 11 /* of the histogram, a second apart */

struct shot {
	uint64_t at_ns; /* 0: none */
	struct kernel_histogram histogram;
};

struct tally {
	uint32_t servers, in_flight, queued;
	uint64_t ticks, last_ns, busy_ns;
	struct kernel_counts last;
	double service_time_s; /* last known */
	struct window window;
	struct shot shot[SHOTS];
	unsigned shots; /* ever */
	struct sl_latency latency[METER_LATENCIES];
	unsigned latencies;
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

static struct window_sums rise(const struct kernel_counts *now, const struct kernel_counts *then)
{
	return (struct window_sums){
		.arrivals = now->arrivals - then->arrivals,
		.completions = now->completions - then->completions,
		.requests = now->requests - then->requests,
		.timed = now->alone - then->alone,
		.timed_s = (double)(now->alone_us - then->alone_us) / 1e6,
		.timed_s2 = (double)(now->alone_us2 - then->alone_us2) / 1e12,
		.sojourns = now->sojourns - then->sojourns,
		.sojourn_s = (double)(now->sojourn_us - then->sojourn_us) / 1e6,
	};
}

void tally_tick(struct tally *tally, uint64_t now_ns, const struct kernel_counts *count,
		uint32_t present, uint32_t backlog)
{
	uint64_t dt_ns = tally->ticks > 0 ? now_ns - tally->last_ns : 0;
	uint32_t accepted = backlog < present ? present - backlog : 0;
	const uint32_t before = tally->in_flight;
	struct window_sums sums;

	if (tally->ticks++ == 0)
		tally->last = *count;
	tally->in_flight = accepted < tally->servers ? accepted : tally->servers;
	tally->queued = present - tally->in_flight;
	sums = rise(count, &tally->last);
	sums.span_ns = dt_ns;
	sums.ticks = 1;
	/* by trapezoids: a tick comes late just when much else happens, too */
	sums.busy_ns = (before + tally->in_flight) * dt_ns / 2;
	tally->busy_ns += sums.busy_ns;
	sums.idle_ticks = tally->queued > 0 && tally->in_flight < tally->servers;
	window_add(&tally->window, &sums);
	tally->last = *count;
	tally->last_ns = now_ns;
}

/* Connections in the backlog for a moment are being accepted; more often than that they wait. */
static bool waits_unserved(const struct window_sums *sum)
{
	return sum->idle_ticks * 5 > sum->ticks;
}

/* Not all are timed: some were there before us, and of very many only a part is. */
static bool has_enough(const struct window_sums *sum)
{
	return sum->timed * 2 >= sum->completions || sum->timed >= ALONE_MIN;
}

static double mean_service_s(struct tally *tally)
{
	struct window_sums sum = window_completions(&tally->window, tally->servers);
	double sampled_s = window_sampled_s(&sum);
	double exact_s = sum.timed ? sum.timed_s / (double)sum.timed : 0;

	if (!sum.completions)
		return tally->service_time_s;
	/* much more work present than completes: those that do not complete are not in exact_s */
	if (sum.timed * 2 >= sum.sojourns && has_enough(&sum) && !waits_unserved(&sum) &&
	    sampled_s < 1.5 * exact_s)
		tally->service_time_s = exact_s;
	else if (sampled_s > 0)
		tally->service_time_s = sampled_s;
	return tally->service_time_s;
}

static double service_scv(const struct tally *tally)
{
	struct window_sums sum = window_sum(&tally->window, 0, ALONE_GOOD);

	return sum.timed < ALONE_MIN || waits_unserved(&sum) ? -1 : window_scv(&sum, 0);
}

/* The middle of a bucket, in seconds. */
static double bucket_s(unsigned bucket)
{
	unsigned power = bucket / 16;

	if (bucket < 16)
		return ((double)bucket + 0.5) * 1e-6;
	return ldexp(16.5 + bucket % 16, (int)power - 1) * 1e-6;
}

static void find_latencies(struct tally *tally)
{
	static const struct {
		double quantile;
		uint64_t least;
	} wanted[METER_LATENCIES] = {{0.5, 20}, {0.9, 100}, {0.99, 500}};
	const struct shot *now = &tally->shot[(tally->shots + SHOTS - 1) % SHOTS];
	const struct shot *then =
		tally->shots >= SHOTS ? &tally->shot[tally->shots % SHOTS] : &tally->shot[0];
	uint64_t bucket[HISTOGRAM_BUCKETS], all = 0;

	tally->latencies = 0;
	if (tally->shots < 2)
		return;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += bucket[i] = now->histogram.bucket[i] - then->histogram.bucket[i];
	for (unsigned i = 0; i < METER_LATENCIES && all >= wanted[i].least; i++) {
		uint64_t rank = (uint64_t)(wanted[i].quantile * (double)all), below = 0;
		unsigned at = 0;

		while (at < HISTOGRAM_BUCKETS - 1 && below + bucket[at] <= rank)
			below += bucket[at++];
		tally->latency[tally->latencies++] =
			(struct sl_latency){wanted[i].quantile, bucket_s(at)};
	}
}

static void take_shot(struct tally *tally, uint64_t now_ns,
		      const struct kernel_histogram *histogram)
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

void tally_histogram(struct tally *tally, uint64_t now_ns, const struct kernel_histogram *histogram)
{
	take_shot(tally, now_ns, histogram);
	find_latencies(tally);
}

double tally_arrivals_per_s(const struct tally *tally)
{
	struct window_sums last = window_sum(&tally->window, 0, 0);

	return last.span_ns ? (double)last.arrivals * NS_PER_S / (double)last.span_ns : 0;
}

void tally_read(struct tally *tally, struct meter_load *out)
{
	struct window_sums last = window_sum(&tally->window, 0, 0);
	double span_s = (double)last.span_ns / NS_PER_S;

	*out = (struct meter_load){
		.in_flight = tally->in_flight,
		.queued = tally->queued,
		.service_time_s = mean_service_s(tally),
		.service_scv = service_scv(tally),
		.arrivals_per_s = span_s > 0 ? (double)last.arrivals / span_s : 0,
		.completions_per_s = span_s > 0 ? (double)last.completions / span_s : 0,
		.sojourn_s = last.sojourns ? last.sojourn_s / (double)last.sojourns : 0,
		.requests_per_s = span_s > 0 ? (double)last.requests / span_s : 0,
		.arrivals = tally->last.arrivals,
		.completions = tally->last.completions,
		.busy_s = (double)tally->busy_ns / NS_PER_S,
		.timed_s = (double)tally->last.alone_us / 1e6,
		.timed = tally->last.alone,
		.sojourns = tally->last.sojourns,
	};
	memcpy(out->latency, tally->latency, sizeof(out->latency));
	out->latencies = tally->latencies;
}
