/* SPDX-License-Identifier: BSD-3-Clause */
/* What counts of edges say of a site, against a site that is known: control/model/flows.h. */
#include "control/model/flows.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TICK_S 0.05
#define PATH_S 0.010
#define STEP_S 0.001
#define STEPS 2000

/* A fluid site of 20 servers, fed by one edge over a path; reports say 10 ms of work. */
struct site {
	struct flows flows;
	struct flows_edge edge;
	struct estimate estimate;
	double now_s, rate_per_s, unseen_per_s, service_time_s;
	double sent[STEPS], done[STEPS]; /* cumulative, by step */
	double present;			 /* at the site */
	unsigned step;
	uint64_t told_sent, told_closed;
};

static double before(const double *total, unsigned step, double by_s)
{
	unsigned steps = (unsigned)lround(by_s / STEP_S);

	return step > steps ? total[step - steps] : 0;
}

static void site_init(struct site *site)
{
	*site = (struct site){.rate_per_s = 1000, .service_time_s = 0.010};
	estimate_init(&site->estimate, 20);
	site->estimate.service_time_s = site->estimate.reported_s = 0.010;
}

static void tick(struct site *site)
{
	uint64_t sent = (uint64_t)site->sent[site->step];
	uint64_t closed = (uint64_t)before(site->done, site->step, PATH_S);

	flows_count(&site->flows, &site->edge, site->now_s, PATH_S, sent - site->told_sent,
		    closed - site->told_closed);
	site->told_sent = sent;
	site->told_closed = closed;
	flows_tick(&site->flows, &site->estimate, site->now_s, PATH_S, true);
}

static void run(struct site *site, double for_s)
{
	for (unsigned i = 0; i < (unsigned)lround(for_s / STEP_S); i++) {
		unsigned k = ++site->step;
		assert_true(k < STEPS);
		site->now_s += STEP_S;
		site->sent[k] = site->sent[k - 1] + site->rate_per_s * STEP_S;
		double come =
			before(site->sent, k, PATH_S) - before(site->sent, k, PATH_S + STEP_S);
		double end = fmin(site->present, 20) / site->service_time_s * STEP_S;
		site->done[k] = site->done[k - 1] + end;
		site->present += come - end;
		if (k % (unsigned)lround(TICK_S / STEP_S) == 0)
			tick(site);
	}
}

static void report(struct site *site, double more)
{
	site->estimate.in_flight = (uint32_t)lround(site->present + more);
	site->estimate.queued = 0;
	site->estimate.measured_at_s = site->now_s;
	flows_compare(&site->flows, &site->estimate);
}

/* What is on the path is not counted as there. */
static void test_present(void **state)
{
	struct site site;

	(void)state;
	site_init(&site);
	run(&site, 0.5);
	assert_true(fabs(site.estimate.counted - 10) < 2);
	assert_true(fabs(site.estimate.counted_at_s - (site.now_s - PATH_S)) < 1e-9);
	assert_true(site.estimate.service_time_s == 0.010);
	site.service_time_s = 0.030; /* 667 of 1,000 a second get through */
	run(&site, 0.5);
	assert_true(fabs(site.estimate.counted - site.present) < 0.1 * site.present);
	assert_true(site.present > 120);
}

/* Slower shows within a moment, death too, and recovery when flows go there. */
static void test_speed(void **state)
{
	struct site site;

	(void)state;
	site_init(&site);
	run(&site, 0.3);
	site.service_time_s = 0.030;
	run(&site, 0.8);
	/* the least that counts are sure of */
	assert_true(site.estimate.service_time_s > 0.015 && site.estimate.service_time_s < 0.036);
	site.service_time_s = 0.010;
	site.rate_per_s = 500; /* that also drains */
	run(&site, 0.8);
	assert_true(site.estimate.service_time_s < 0.018);

	site_init(&site);
	run(&site, 0.3);
	site.service_time_s = 1e9;
	run(&site, 0.3);
	assert_true(site.estimate.service_time_s > 0.2);
}

/* As many flows again that no edge sent: the base takes them up, and nothing looks slow. */
static void test_base(void **state)
{
	struct site site;

	(void)state;
	site_init(&site);
	for (unsigned i = 0; i < 8; i++) {
		run(&site, 0.2);
		report(&site, 60);
	}
	assert_true(fabs(site.flows.base - 60) < 5);
	run(&site, 0.1);
	assert_true(fabs(site.estimate.counted - 70) < 7);
	assert_true(site.estimate.service_time_s == 0.010);
}

/* Connections that stay open, idle as reports say: no sign of a slow site. */
static void test_idle(void **state)
{
	struct site site;

	(void)state;
	site_init(&site);
	site.flows.open = 1000;
	for (unsigned i = 0; i < 8; i++) {
		run(&site, 0.02);
		report(&site, 0);
	}
	site.estimate.service_time_s = 0.010;
	for (unsigned i = 0; i < 8; i++) {
		run(&site, 0.2);
		report(&site, 0);
	}
	assert_true(fabs(site.flows.base + 1000) < 20);
	assert_true(site.estimate.service_time_s < 0.012);
}

/* Closes that nobody sees say nothing. */
static void test_unseen(void **state)
{
	struct site site;

	(void)state;
	site_init(&site);
	run(&site, 0.1);
	flows_tick(&site.flows, &site.estimate, site.now_s + TICK_S, PATH_S, false);
	assert_true(site.estimate.counted_at_s < 0);
	site.flows.open += 1e6;
	flows_tick(&site.flows, &site.estimate, site.now_s + 1, PATH_S, false);
	assert_true(site.estimate.service_time_s == 0.010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present), cmocka_unit_test(test_speed),
		cmocka_unit_test(test_base),	cmocka_unit_test(test_idle),
		cmocka_unit_test(test_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
