/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's counters, made by an exact simulation of queues, against what the tally says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/agent/tally.h"
#include <math.h>
#include <time.h>

#define MS 1000000ull
#define TICK (20 * MS)

static unsigned seed;

static double uniform(void)
{
	return ((double)random() + 0.5) / ((double)RAND_MAX + 1);
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

struct job {
	uint64_t arrives, starts, ends;
	bool waited;
};

struct simulation {
	unsigned servers;
	double rate_per_s, service_s, sigma;
	unsigned jobs;
	bool accepts_all; /* waiting is done in the program, not in the backlog */
};

static unsigned present_at(const struct job *job, unsigned jobs, uint64_t at)
{
	unsigned present = 0;

	for (unsigned i = 0; i < jobs; i++)
		present += job[i].arrives < at && job[i].ends > at;
	return present;
}

/* Poisson arrivals, log-normal work, first come first served. */
static struct job *simulate(const struct simulation *s, double *mean_s, double *scv)
{
	struct job *job = calloc(s->jobs, sizeof(*job));
	uint64_t *free_at = calloc(s->servers, sizeof(*free_at));
	double now = 0.5, sum = 0, sum2 = 0;

	for (unsigned i = 0; i < s->jobs; i++) {
		double work = s->service_s * exp(s->sigma * normal() - s->sigma * s->sigma / 2);
		unsigned first = 0;

		now += -log(uniform()) / s->rate_per_s;
		for (unsigned j = 1; j < s->servers; j++)
			if (free_at[j] < free_at[first])
				first = j;
		job[i].arrives = (uint64_t)(now * 1e9);
		job[i].starts = free_at[first] > job[i].arrives ? free_at[first] : job[i].arrives;
		job[i].ends = free_at[first] = job[i].starts + (uint64_t)(work * 1e9);
		job[i].waited = present_at(job, i, job[i].arrives) >= s->servers;
		sum += work;
		sum2 += work * work;
	}
	*mean_s = sum / s->jobs;
	*scv = sum2 / s->jobs / (*mean_s * *mean_s) - 1;
	free(free_at);
	return job;
}

/* As kernel.bpf.c counts. */
static void count_end(struct kernel_counts *count, struct kernel_histogram *histogram,
		      const struct job *job)
{
	uint64_t us = (job->ends - job->arrives) / 1000;

	count->completions++;
	count->sojourns++;
	count->sojourn_us += us;
	histogram->bucket[histogram_bucket(us)]++;
	if (job->waited)
		return;
	count->alone++;
	count->alone_us += us;
	count->alone_us2 += us * us;
}

static int rising(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of the sojourn times in the last ten seconds; the tally's are those of about eleven. */
static double true_median_s(const struct job *job, unsigned jobs, uint64_t until)
{
	uint64_t *sojourn = calloc(jobs, sizeof(*sojourn));
	unsigned count = 0;
	double value;

	for (unsigned i = 0; i < jobs; i++)
		if (job[i].ends <= until && job[i].ends + 10000 * MS > until)
			sojourn[count++] = job[i].ends - job[i].arrives;
	qsort(sojourn, count, sizeof(*sojourn), rising);
	value = count ? (double)sojourn[(count - 1) / 2] / 1e9 : 0;
	free(sojourn);
	return value;
}

/*
 * Sums of what is read each second. One reading is of few completions, and so as far off as chance
 * has it; their mean over the whole run is not.
 */
struct readings {
	unsigned means, scvs;
	double mean_s, scv, median_s, true_median_s;
};

static void read_second(struct readings *readings, struct tally *tally, const struct job *job,
			unsigned jobs, uint64_t now)
{
	struct meter_load load;

	tally_read(tally, &load);
	if (load.service_time_s > 0) {
		readings->means++;
		readings->mean_s += load.service_time_s;
	}
	if (load.service_scv >= 0) {
		readings->scvs++;
		readings->scv += load.service_scv;
	}
	if (load.latencies > 0 && now > 10000 * MS) {
		readings->median_s += load.latency[0].latency_s;
		readings->true_median_s += true_median_s(job, jobs, now);
	}
}

static unsigned watch(struct tally *tally, const struct simulation *s, const struct job *job,
		      uint64_t until, struct readings *readings)
{
	struct kernel_counts count = {0};
	struct kernel_histogram histogram = {0};
	unsigned present = 0;

	for (uint64_t now = TICK; now <= until; now += TICK) {
		unsigned backlog = 0;

		present = 0;
		for (unsigned i = 0; i < s->jobs; i++) {
			count.arrivals += job[i].arrives <= now && job[i].arrives > now - TICK;
			if (job[i].ends <= now && job[i].ends > now - TICK)
				count_end(&count, &histogram, &job[i]);
			present += job[i].arrives <= now && job[i].ends > now;
			backlog += !s->accepts_all && job[i].arrives <= now && job[i].starts > now;
		}
		tally_tick(tally, now, &count, present, backlog);
		if (now / TICK % 5 == 0)
			tally_histogram(tally, now, &histogram);
		if (now / TICK % 50 == 0)
			read_second(readings, tally, job, s->jobs, now);
	}
	return present;
}

/*
 * How far off chance may have it: six standard deviations of 1,000 seeds, or twice the worst of
 * them where the tail is long.
 */
static const struct {
	const char *what;
	struct simulation simulation;
	double mean, scv, median, busy; /* scv: absolute; the others relative */
} cases[] = {
	{"half busy", {4, 80, 0.025, 0.6, 6000, false}, 0.03, 0.06, 0.03, 0.03},
	{"nearly full", {4, 148, 0.025, 0.6, 6000, false}, 0.03, 0.5, 0.3, 0.02},
	{"overload, kernel queues", {4, 200, 0.025, 0.6, 6000, false}, 0.04, 0, 0.1, 0.03},
	{"overload, program queues", {4, 400, 0.02, 0.6, 6000, true}, 0.06, 0, 0.2, 0.06},
	{"shorter than a tick", {4, 800, 0.003, 0.6, 16000, false}, 0.03, 0.06, 0.04, 0.1},
	{"steady", {8, 80, 0.025, 0.0, 4000, false}, 0.001, 0.001, 0.01, 0.04},
	{"one server", {1, 20, 0.03, 0.8, 3000, false}, 0.06, 1, 0.3, 0.02},
};

static void within(double is, double should, double bound, const char *what, const char *name)
{
	if (!(fabs(is - should) <= bound))
		fail_msg("seed %u: %s: %s %g instead of %g", seed, name, what, is, should);
}

static void measures_known_queues(void **state)
{
	(void)state;
	srandom(seed);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct simulation *s = &cases[i].simulation;
		struct tally *tally = tally_new(s->servers);
		struct readings sum = {0};
		double mean_s, scv;
		struct job *job = simulate(s, &mean_s, &scv);
		unsigned present = watch(tally, s, job, job[s->jobs - 1].arrives, &sum);
		struct meter_load load;

		tally_read(tally, &load);
		sum.mean_s /= sum.means;
		sum.scv = sum.scvs ? sum.scv / sum.scvs : -1;
		sum.median_s /= sum.true_median_s;
		print_message(
			"%-26s mean %.3f ms (true %.3f), scv %.2f (true %.2f), median x %.2f\n",
			cases[i].what, sum.mean_s * 1e3, mean_s * 1e3, sum.scv, scv, sum.median_s);
		assert_int_equal(load.arrivals, load.completions + present);
		assert_int_equal(load.in_flight + load.queued, present);
		assert_in_range(load.in_flight, 0, s->servers);
		within(sum.mean_s / mean_s, 1, cases[i].mean, "mean", cases[i].what);
		if (cases[i].scv > 0) /* unknown under overload, but for its beginning */
			within(sum.scv, scv, cases[i].scv, "scv", cases[i].what);
		assert_true(load.latencies >= 2);
		within(sum.median_s, 1, cases[i].median, "median", cases[i].what);
		/* Little, over the whole run: as the summary has it under overload */
		within(load.busy_s / (double)load.completions / mean_s, 1, cases[i].busy, "busy",
		       cases[i].what);
		tally_free(tally);
		free(job);
	}
}

/* A bucket is at most 1/16 wide, and the middle that is reported is in it. */
static void buckets_are_narrow(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (uint64_t us = 0; us < 1ull << 37; us += 1 + us / 50) {
		uint32_t bucket = histogram_bucket(us);

		assert_true(bucket < HISTOGRAM_BUCKETS && bucket >= last);
		last = bucket;
		if (us && us < 1ull << 35 && histogram_bucket(us + us / 8 + 1) == bucket)
			fail_msg("%llu us", (unsigned long long)us);
	}
	assert_int_equal(histogram_bucket(15), 15);
	assert_int_equal(histogram_bucket(16), 16);
	assert_int_equal(histogram_bucket(31), 31);
	assert_int_equal(histogram_bucket(32), 32);
	assert_int_equal(histogram_bucket(33), 32);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void nothing_is_made_up(void **state)
{
	struct tally *tally = tally_new(4);
	struct kernel_counts count = {.arrivals = 7, .completions = 7, .alone = 7, .alone_us = 700};
	struct meter_load load;

	(void)state;
	tally_read(tally, &load);
	assert_true(load.service_time_s == 0 && load.service_scv < 0 && load.latencies == 0);
	/* what was counted before the first look is no rate, and no window */
	tally_tick(tally, TICK, &count, 0, 0);
	tally_tick(tally, 2 * TICK, &count, 0, 0);
	tally_read(tally, &load);
	assert_true(load.service_time_s == 0 && load.service_scv < 0 && load.arrivals_per_s == 0);
	tally_free(tally);
}

/* Nothing completes any more: the mean must rise although what completed was short. */
static void hanging_shows(void **state)
{
	struct tally *tally = tally_new(4);
	struct kernel_counts count = {0};
	struct meter_load load;
	uint64_t now = 0;

	(void)state;
	for (; now < 2000 * MS; now += TICK) {
		count.arrivals += 8, count.completions += 8, count.alone += 8, count.sojourns += 8;
		count.alone_us += 80000;
		tally_tick(tally, now, &count, 4, 0);
	}
	tally_read(tally, &load);
	assert_true(fabs(load.service_time_s - 0.010) < 1e-6);
	for (; now < 5000 * MS; now += TICK)
		tally_tick(tally, now, &count, 4, 0);
	tally_read(tally, &load);
	assert_true(load.service_time_s > 0.05);
	tally_free(tally);
}

/* Servers are free, but connections stay in the backlog: fewer workers than configured. */
static void unserved_backlog_is_no_service_time(void **state)
{
	struct tally *tally = tally_new(8);
	struct kernel_counts count = {0};
	struct meter_load load;

	(void)state;
	/* two workers, 10 ms each; four more wait, so that each takes 30 ms in all */
	for (uint64_t now = 0; now < 2000 * MS; now += TICK) {
		count.arrivals += 4, count.completions += 4, count.alone += 4, count.sojourns += 4;
		count.alone_us += 4 * 30000;
		tally_tick(tally, now, &count, 6, 4);
	}
	tally_read(tally, &load);
	assert_true(fabs(load.service_time_s - 0.010) < 0.0005);
	assert_true(load.service_scv < 0);
	assert_int_equal(load.in_flight, 2);
	assert_int_equal(load.queued, 4);
	tally_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measures_known_queues),
		cmocka_unit_test(buckets_are_narrow),
		cmocka_unit_test(nothing_is_made_up),
		cmocka_unit_test(hanging_shows),
		cmocka_unit_test(unserved_backlog_is_no_service_time),
	};

	seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
