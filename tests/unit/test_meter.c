/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/agent/meter.h"
#include <math.h>
#include <time.h>

#define MS 1000000ull
#define TICK (10 * MS)

static unsigned seed;

/* ---- flows against an array ---- */

static void flows_against_oracle(void **state)
{
	enum { COOKIES = 700, ROUNDS = 40000 };
	static uint64_t value[COOKIES + 1]; /* 0: absent */
	struct flows flows;
	uint64_t count = 0;

	(void)state;
	srandom(seed);
	assert_int_equal(flows_init(&flows), 0);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		/* grows, then shrinks, then grows again */
		bool adding = random() % 100 < (round / 5000 % 2 ? 30 : 70);
		uint64_t cookie = 1 + (uint64_t)random() % COOKIES;
		struct flow *flow = flows_find(&flows, cookie);

		if ((flow != NULL) != (value[cookie] != 0) ||
		    (flow && flow->served_ns != value[cookie]))
			fail_msg("seed %u round %u", seed, round);
		if (!flow && adding) {
			flow = flows_add(&flows, cookie);
			assert_int_equal(flow->cookie, cookie);
			assert_int_equal(flow->served_ns, 0);
			flow->served_ns = value[cookie] = round;
			count++;
		} else if (flow && !adding) {
			flows_remove(&flows, flow);
			value[cookie] = 0;
			count--;
		}
		assert_int_equal(flows.count, count);
	}
	for (uint64_t cookie = 1; cookie <= COOKIES; cookie++)
		assert_true((flows_find(&flows, cookie) != NULL) == (value[cookie] != 0));
	flows_clear(&flows);
}

/* ---- a small queue, simulated exactly, looked at through ticks ---- */

struct job {
	uint64_t arrives, starts, ends; /* ns */
};

struct simulation {
	unsigned servers;
	double rate_per_s, service_s, sigma;
	unsigned jobs;
	uint64_t tick;
	bool accepts_all; /* the program takes connections that it cannot work on yet */
	unsigned deaf;	  /* every so manyth end comes without notice, 0: none */
};

static double uniform(void)
{
	return ((double)random() + 0.5) / ((double)RAND_MAX + 1);
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
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
		sum += work;
		sum2 += work * work;
	}
	*mean_s = sum / s->jobs;
	*scv = sum2 / s->jobs / (*mean_s * *mean_s) - 1;
	free(free_at);
	return job;
}

/* Shows the meter all ticks up to the time `until`; returns how many jobs are present then. */
static unsigned watch(struct meter *meter, const struct simulation *s, const struct job *job,
		      uint64_t from, uint64_t until)
{
	unsigned present = 0;

	for (uint64_t now = from; now <= until; now += s->tick) {
		present = 0;
		meter_begin(meter, now);
		for (unsigned i = 0; i < s->jobs; i++)
			if (job[i].ends <= now && job[i].ends > now - s->tick &&
			    !(s->deaf && i % s->deaf == 0))
				meter_ended(meter, i + 1);
		for (unsigned i = 0; i < s->jobs; i++) {
			if (job[i].arrives > now || job[i].ends <= now)
				continue;
			present++;
			assert_int_equal(meter_seen(meter, i + 1, true,
						    s->accepts_all || job[i].starts <= now),
					 0);
		}
		meter_end(meter);
	}
	return present;
}

static const struct {
	const char *what;
	struct simulation simulation;
	bool scv_known;
} cases[] = {
	{"half busy", {4, 80, 0.025, 0.6, 6000, TICK, false, 0}, true},
	{"nearly full", {4, 148, 0.025, 0.6, 6000, TICK, false, 0}, true},
	{"program queues", {4, 130, 0.025, 0.6, 6000, TICK, true, 0}, true},
	{"overload, kernel queues", {4, 200, 0.025, 0.6, 6000, TICK, false, 0}, true},
	{"overload, program queues", {4, 400, 0.02, 0.6, 6000, TICK, true, 0}, false},
	{"shorter than a tick", {4, 800, 0.003, 0.6, 8000, TICK, false, 0}, false},
	{"long, steady", {8, 20, 0.3, 0.0, 2000, TICK, false, 0}, true},
	{"coarse ticks", {4, 100, 0.02, 0.6, 8000, 45 * MS, false, 0}, false},
	{"one server", {1, 20, 0.03, 1.0, 3000, TICK, false, 0}, true},
};

static void measures_known_queues(void **state)
{
	(void)state;
	srandom(seed);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct simulation *s = &cases[i].simulation;
		struct meter *meter = meter_new(s->servers);
		double mean_s, scv, error;
		struct job *job = simulate(s, &mean_s, &scv);
		uint64_t end = job[s->jobs - 1].arrives;
		unsigned present = watch(meter, s, job, s->tick, end);
		struct meter_load load;

		meter_read(meter, &load);
		error = load.busy_s / (double)load.completions / mean_s - 1;
		print_message("%-26s mean %.3f ms (error %+.1f %%), scv %.2f (true %.2f)\n",
			      cases[i].what, mean_s * 1e3, error * 100, load.service_scv, scv);
		/* exact */
		assert_int_equal(load.arrivals, load.completions + present);
		assert_int_equal(load.in_flight + load.queued, present);
		assert_in_range(load.in_flight, 0, s->servers);
		assert_int_equal(load.missed, 0);
		/* by sampling; the window of a second is the same sum over less */
		if (fabs(error) > 0.05)
			fail_msg("%s: seed %u: mean off by %.3f", cases[i].what, seed, error);
		assert_true(load.service_time_s > 0.3 * mean_s && load.service_time_s < 3 * mean_s);
		assert_int_equal(load.service_scv >= 0, cases[i].scv_known);
		/* of the last 200 connections or so */
		if (cases[i].scv_known && s->sigma < 1 && fabs(load.service_scv - scv) > 0.35)
			fail_msg("%s: seed %u: scv %.2f", cases[i].what, seed, load.service_scv);
		meter_free(meter);
		free(job);
	}
}

/* Deterministic work: the sampling's own variance must not be taken for the service's. */
static void steady_work_has_no_variation(void **state)
{
	const struct simulation s = {8, 80, 0.025, 0, 4000, TICK, false, 0};
	struct meter *meter = meter_new(s.servers);
	struct meter_load load;
	double mean_s, scv;
	struct job *job;

	(void)state;
	srandom(seed);
	job = simulate(&s, &mean_s, &scv);
	watch(meter, &s, job, TICK, job[s.jobs - 1].arrives);
	meter_read(meter, &load);
	/* without the correction 0.25 h^2, 0.04 here */
	assert_true(load.service_scv >= 0 && load.service_scv < 0.025);
	meter_free(meter);
	free(job);
}

static void ends_without_notice_are_found(void **state)
{
	const struct simulation s = {4, 60, 0.05, 0.6, 2000, TICK, false, 7};
	struct meter *meter = meter_new(s.servers);
	struct meter_load load;
	double mean_s, scv;
	struct job *job;

	(void)state;
	srandom(seed);
	job = simulate(&s, &mean_s, &scv);
	/* three seconds more than it takes: all of them have ended */
	watch(meter, &s, job, TICK, job[s.jobs - 1].arrives + 5000 * MS);
	meter_read(meter, &load);
	assert_in_range(load.missed, 200, 2000 / 7 + 1);
	/* those that no tick saw either are lost, but counted on neither side */
	assert_int_equal(load.arrivals, load.completions);
	assert_in_range(load.completions, 1900, 2000);
	meter_free(meter);
	free(job);
}

static void tick(struct meter *meter, uint64_t now, uint64_t first, unsigned count, bool open,
		 bool accepted)
{
	meter_begin(meter, now);
	for (unsigned i = 0; i < count; i++)
		meter_seen(meter, first + i, open, accepted);
	meter_end(meter);
}

static void nothing_is_made_up(void **state)
{
	struct meter *meter = meter_new(4);
	struct meter_load load;

	(void)state;
	meter_read(meter, &load); /* before the first tick */
	assert_true(load.service_time_s == 0 && load.service_scv < 0 && load.latencies == 0);

	/* connections that were there before us have not arrived, and their age is unknown */
	tick(meter, TICK, 1, 3, true, true);
	tick(meter, 2 * TICK, 1, 3, true, true);
	meter_begin(meter, 3 * TICK);
	for (unsigned i = 1; i <= 3; i++)
		meter_ended(meter, i);
	meter_end(meter);
	meter_read(meter, &load);
	assert_int_equal(load.arrivals, 0);
	assert_int_equal(load.completions, 3);
	assert_true(load.service_time_s == 0); /* three are not enough */
	meter_free(meter);
}

static void splits_working_from_waiting(void **state)
{
	static const struct {
		const char *what;
		unsigned count;
		bool open, accepted;
		uint32_t in_flight, queued;
	} row[] = {
		{"nobody", 0, true, true, 0, 0},
		{"all worked on", 3, true, true, 3, 0},
		{"as many as servers", 4, true, true, 4, 0},
		{"accepted, more than servers", 9, true, true, 4, 5},
		{"all in the backlog", 9, true, false, 0, 9},
		{"only closing", 9, false, false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct meter *meter = meter_new(4);
		struct meter_load load;

		tick(meter, TICK, 1, row[i].count, row[i].open, row[i].accepted);
		meter_read(meter, &load);
		if (load.in_flight != row[i].in_flight || load.queued != row[i].queued)
			fail_msg("%s: %u + %u", row[i].what, load.in_flight, load.queued);
		assert_int_equal(meter_present(meter), row[i].in_flight + row[i].queued);
		meter_free(meter);
	}
}

/* A service that hangs: its mean rises while nothing completes; idle, the last known stays. */
static void hanging_shows_and_idle_keeps(void **state)
{
	struct meter *meter = meter_new(4);
	struct meter_load load;
	uint64_t now = 0, cookie = 1;

	(void)state;
	for (; now < 2000 * MS; now += TICK, cookie += 4) { /* 4 connections live for one tick */
		meter_begin(meter, now);
		for (unsigned i = 0; now && i < 4; i++)
			meter_ended(meter, cookie - 4 + i);
		for (unsigned i = 0; i < 4; i++)
			meter_seen(meter, cookie + i, true, true);
		meter_end(meter);
	}
	meter_read(meter, &load);
	assert_true(fabs(load.service_time_s - 0.010) < 0.0005);
	assert_true(fabs(load.completions_per_s - 400) < 20);

	cookie -= 4;
	for (unsigned i = 0; i < 300; i++, now += TICK)
		tick(meter, now, cookie, 4, true, true);
	meter_read(meter, &load);
	assert_true(load.service_time_s > 0.05);
	assert_true(load.completions_per_s == 0);
	assert_int_equal(load.in_flight, 4);

	for (unsigned i = 0; i < 4; i++) {
		meter_begin(meter, now);
		meter_ended(meter, cookie + i);
		meter_end(meter);
	}
	for (unsigned i = 0; i < 70 * 100; i++, now += TICK)
		tick(meter, now, 0, 0, true, true);
	meter_read(meter, &load);
	assert_true(load.service_time_s > 0);
	assert_true(load.arrivals_per_s == 0);
	assert_int_equal(load.latencies, 0); /* those are of the last seconds only */
	meter_free(meter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_against_oracle),
		cmocka_unit_test(measures_known_queues),
		cmocka_unit_test(steady_work_has_no_variation),
		cmocka_unit_test(ends_without_notice_are_found),
		cmocka_unit_test(nothing_is_made_up),
		cmocka_unit_test(splits_working_from_waiting),
		cmocka_unit_test(hanging_shows_and_idle_keeps),
	};

	seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
