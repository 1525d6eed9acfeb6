/* SPDX-License-Identifier: BSD-3-Clause */
/* From reports to what is known: rates, background, backlog, age. */
#include "control/model/estimate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define INTERVAL_S 0.1
#define VALID_S 0.5

static unsigned short seed[3];

/* A site under report: totals grow by what arrives. */
struct site {
	struct estimate estimate;
	Suanlu__ServiceLoad load;
	double now_s;
};

static void site_init(struct site *site, unsigned servers_max)
{
	estimate_init(&site->estimate, servers_max);
	site->load = (Suanlu__ServiceLoad)SUANLU__SERVICE_LOAD__INIT;
	site->load.servers = 4;
	site->load.service_time_s = 0.02;
	site->load.arrivals = site->load.completions = 1000;
	site->now_s = 50;
}

/* One interval passes in which `arrivals` came. */
static void site_report(struct site *site, unsigned arrivals, double sent_per_s)
{
	site->now_s += INTERVAL_S;
	site->load.arrivals += arrivals;
	site->load.completions += arrivals;
	site->load.arrivals_per_s = arrivals / INTERVAL_S;
	estimate_report(&site->estimate, &site->load, site->now_s, site->now_s, VALID_S,
			sent_per_s);
}

static unsigned poisson(double mean)
{
	double limit = exp(-mean), product = erand48(seed);
	unsigned count = 0;

	for (; product > limit; count++)
		product *= erand48(seed);
	return count;
}

static void assert_within(double found, double low, double high, const char *what)
{
	if (found >= low && found <= high)
		return;
	print_error("%s: expected %g .. %g, found %g\n", what, low, high, found);
	fail();
}

static void test_states(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 8);
	assert_int_equal(estimate_state(&site.estimate, 50), ESTIMATE_NEVER);
	struct queue queue = estimate_queue(&site.estimate, 50);
	assert_true(queue.servers == 8 && queue.service_time_s > 0 && queue.backlog_s == 0);
	site.load.queued = 50;
	site_report(&site, 10, 100);
	double at = site.now_s;
	assert_int_equal(estimate_state(&site.estimate, at + VALID_S), ESTIMATE_FRESH);
	assert_int_equal(estimate_state(&site.estimate, at + VALID_S + 0.001), ESTIMATE_SILENT);
	assert_true(estimate_queue(&site.estimate, at).backlog_s > 0.1);
	assert_true(estimate_queue(&site.estimate, at + VALID_S + 0.001).backlog_s == 0);
	assert_true(estimate_queue(&site.estimate, at + VALID_S + 0.001).servers == 4);
}

static void test_servers_are_cut(void **state)
{
	static const struct {
		const char *what;
		unsigned most, claimed, expected;
	} cases[] = {
		{"as claimed", 8, 4, 4},
		{"claim over the bound", 8, 4000000000u, 8},
		{"not said", 8, 0, 8},
		{"no bound configured", 0, 4, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct site site;
		site_init(&site, cases[i].most);
		site.load.servers = cases[i].claimed;
		site_report(&site, 1, 0);
		if (estimate_queue(&site.estimate, site.now_s).servers != cases[i].expected)
			fail_msg("%s", cases[i].what);
	}
}

static void test_rate_follows_totals(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	site.load.arrivals = 0;
	for (unsigned i = 0; i < 40; i++)
		site_report(&site, i % 2 ? 30 : 10, 200);
	assert_within(site.estimate.arrivals_per_s, 170, 230, "mean of 100 and 300");
	/* three lost reports: the next one's total has all of it */
	site.now_s += 3 * INTERVAL_S;
	site.load.arrivals += 60;
	site_report(&site, 20, 200);
	assert_within(site.estimate.arrivals_per_s, 180, 220, "losses do not matter");
}

static void test_restarted_publisher(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	for (unsigned i = 0; i < 20; i++)
		site_report(&site, 10, 100);
	site.load.arrivals = 3; /* then site_report adds: far below the last total */
	site_report(&site, 10, 100);
	assert_within(site.estimate.arrivals_per_s, 90, 110, "totals went backwards");
	site_report(&site, 10, 100);
	assert_within(site.estimate.arrivals_per_s, 90, 110, "and on from there");
	assert_within(site.estimate.background_per_s, 0, 10, "no background by it");
}

static void test_publisher_without_totals(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	site.load.arrivals = site.load.completions = 0;
	site.load.arrivals_per_s = 250;
	for (unsigned i = 0; i < 20; i++) {
		site.now_s += INTERVAL_S;
		estimate_report(&site.estimate, &site.load, site.now_s, site.now_s, VALID_S, 100);
	}
	assert_within(site.estimate.arrivals_per_s, 249, 251, "its own rate is taken");
}

static void test_late_and_double(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	for (unsigned i = 0; i < 5; i++)
		site_report(&site, 10, 100);
	struct estimate before = site.estimate;
	site.load.queued = 99;
	estimate_report(&site.estimate, &site.load, site.now_s + 0.01, site.now_s - 0.05, VALID_S,
			100);
	assert_memory_equal(&before, &site.estimate, sizeof(before));
	/* the same instant: state is taken, no rate is made of an empty window */
	estimate_report(&site.estimate, &site.load, site.now_s + 0.01, site.now_s, VALID_S, 100);
	assert_true(site.estimate.arrivals_per_s == before.arrivals_per_s);
	assert_int_equal(site.estimate.queued, 99);
}

static void test_service_time(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	site.load.service_time_s = 0;
	site_report(&site, 1, 0);
	double nominal_s = estimate_queue(&site.estimate, site.now_s).service_time_s;
	assert_true(nominal_s > 0);
	site.load.service_time_s = 0.05;
	site_report(&site, 1, 0);
	assert_true(estimate_queue(&site.estimate, site.now_s).service_time_s == 0.05);
	site.load.service_time_s = 0;
	site_report(&site, 1, 0);
	assert_true(estimate_queue(&site.estimate, site.now_s).service_time_s == 0.05);
}

static double service_time_s(const struct site *site)
{
	return estimate_queue(&site->estimate, site->now_s).service_time_s;
}

/* `intervals` of 100 ms with 10 flows each, whose reported mean is over the last 100. */
static void busy(struct site *site, unsigned intervals, double mean_s)
{
	for (unsigned i = 0; i < intervals; i++) {
		double noise =
			0; /* uniform sums: near normal, standard error of 100 flows at scv 1 */
		for (unsigned k = 0; k < 12; k++)
			noise += erand48(seed) - 0.5;
		site->load.service_time_s = mean_s * (1 + 0.1 * noise);
		site->load.completions_per_s = 100;
		site_report(site, 10, 100);
	}
}

static void test_service_time_follows_flows(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	busy(&site, 100, 0.03);
	assert_within(service_time_s(&site), 0.027, 0.033, "chance averages out");

	/* its last flows before it got none were slow ones */
	site.load.service_time_s = 0.06;
	site.load.completions_per_s = 2;
	site_report(&site, 2, 2);
	site.load.completions_per_s = 0;
	for (unsigned i = 0; i < 100; i++)
		site_report(&site, 0, 0);
	assert_within(service_time_s(&site), 0.027, 0.034, "an idle site keeps what is known");

	busy(&site, 3, 0.09);
	assert_within(service_time_s(&site), 0.06, 0.12, "three times slower shows in 300 ms");

	site.load.completions = 0;
	site.load.completions_per_s = 0;
	site.load.service_time_s = 0.02;
	for (unsigned i = 0; i < 30; i++) {
		site.now_s += INTERVAL_S;
		estimate_report(&site.estimate, &site.load, site.now_s, site.now_s, VALID_S, 0);
	}
	assert_within(service_time_s(&site), 0.019, 0.021, "a publisher that counts no flows");
}

static void test_scv(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	site_report(&site, 1, 0);
	/* Poisson, exponential */
	assert_true(estimate_queue(&site.estimate, site.now_s).scv == ESTIMATE_EVENED);
	site.load.has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
	site.load.service_scv = 0;
	for (unsigned i = 0; i < 60; i++)
		site_report(&site, 1, 0);
	assert_within(estimate_queue(&site.estimate, site.now_s).scv / ESTIMATE_EVENED, 0.5, 0.51,
		      "constant work");
}

/* With nothing but chance between sent and arrived, the background stays small. */
static void test_noise_is_not_background(void **state)
{
	static const double rates[] = {5, 50, 150, 1000};

	(void)state;
	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct site site;
		double sum = 0, most = 0;
		site_init(&site, 100);
		for (unsigned i = 0; i < 1200; i++) {
			site_report(&site, poisson(rates[r] * INTERVAL_S), rates[r]);
			if (i < 200)
				continue;
			sum += site.estimate.background_per_s;
			most = fmax(most, site.estimate.background_per_s);
		}
		/* a rate counted for 3 s has a standard deviation of sqrt(rate / 3) */
		assert_within(sum / 1000, 0, 0.8 * sqrt(rates[r] / 3), "mean background");
		assert_within(most, 0, 8 * sqrt(rates[r] / 3) + 2, "largest background");
	}
}

static void test_background_is_found(void **state)
{
	struct site site;
	double sum = 0;

	(void)state;
	site_init(&site, 100);
	for (unsigned i = 0; i < 400; i++) {
		site_report(&site, poisson(15), 90);
		if (i >= 100)
			sum += site.estimate.background_per_s / 300;
	}
	assert_within(sum, 50, 70, "150 arrive, 90 are sent");

	/* all of it strangers' */
	site_init(&site, 100);
	for (unsigned i = 0; i < 100; i++)
		site_report(&site, 2, 0);
	assert_within(site.estimate.background_per_s, 19.9, 20.1, "nothing sent");
}

/* 4 servers of 20 ms at 40 %; then 400/s from elsewhere. Seen at once, and gone at once. */
static void test_surge(void **state)
{
	struct site site;
	double capacity = 200;

	(void)state;
	site_init(&site, 4);
	for (unsigned i = 0; i < 50; i++)
		site_report(&site, poisson(8), 80);
	struct queue calm = estimate_queue(&site.estimate, site.now_s);
	double calm_s = queue_marginal_s(&calm, site.estimate.background_per_s + 80);
	assert_within(calm_s, 0.019, 0.035, "calm");

	site.load.in_flight = 4;
	site.load.queued = 28;
	site_report(&site, 48, 80);
	struct queue first = estimate_queue(&site.estimate, site.now_s);
	assert_within(first.backlog_s, 0.1, 0.14, "backlog by the first report");
	assert_true(site.estimate.background_per_s > 0.4 * 400);
	assert_true(queue_marginal_s(&first, site.estimate.background_per_s + 80) > calm_s + 0.1);

	site.load.queued = 56;
	site_report(&site, 48, 80);
	assert_true(site.estimate.background_per_s > 0.8 * 400);
	struct queue second = estimate_queue(&site.estimate, site.now_s);
	assert_true(queue_marginal_s(&second, site.estimate.background_per_s) > 100 * calm_s);

	/* rolled forward: with more arriving than it can do, it grows with age */
	site.load.queued = 84;
	site_report(&site, 48, 80);
	struct queue third = estimate_queue(&site.estimate, site.now_s);
	assert_true(site.estimate.arrivals_per_s > capacity);
	assert_true(estimate_queue(&site.estimate, site.now_s + 0.1).backlog_s > third.backlog_s);

	site.load.queued = 0;
	for (unsigned i = 0; i < 3; i++)
		site_report(&site, 8, 80);
	assert_within(site.estimate.background_per_s, 0, 0.15 * 400, "gone within three reports");
	assert_true(estimate_queue(&site.estimate, site.now_s).backlog_s == 0);
}

/* Our own weights move 400/s to the site and away: arrivals and sent jump, not quite together. */
static void test_own_shift_is_not_background(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 20);
	for (unsigned i = 0; i < 50; i++)
		site_report(&site, 5, 50);
	site_report(&site, 25, 450); /* moved in the middle of the interval */
	assert_within(site.estimate.background_per_s, 0, 3, "moved there");
	for (unsigned i = 0; i < 50; i++)
		site_report(&site, 45, 450);
	site_report(&site, 25, 50);
	assert_within(site.estimate.background_per_s, 0, 3, "moved away");
}

static void test_backlog(void **state)
{
	struct site site;

	(void)state;
	site_init(&site, 4);
	for (unsigned i = 0; i < 50; i++)
		site_report(&site, 10, 100); /* 50 % of 200/s */
	site.load.queued = 21;
	site_report(&site, 10, 100);
	double at_once = estimate_queue(&site.estimate, site.now_s).backlog_s;
	assert_within(at_once, 0.104, 0.106, "21 waiting, 200/s");
	/* drains at 200 - 100 per second */
	assert_within(estimate_queue(&site.estimate, site.now_s + 0.1).backlog_s, 0.045, 0.055,
		      "after 0.1 s");
	/* what its owner sends there now counts, not what was reported */
	site.estimate.inflow_per_s = 200;
	assert_within(estimate_queue(&site.estimate, site.now_s + 0.1).backlog_s, 0.09, 0.1,
		      "nothing drains, but 0.1 s old it is worth less");
	site.estimate.inflow_per_s = -1;
	assert_true(estimate_queue(&site.estimate, site.now_s + 0.3).backlog_s == 0);
	site.load.queued = 0;
	site_report(&site, 10, 100);
	assert_true(estimate_queue(&site.estimate, site.now_s).backlog_s == 0);
}

/* Flows of some time ago, rolled forward, against small steps of the same fluid. */
static void test_rolled(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct estimate estimate;
		double servers = 1 + floor(20 * erand48(seed)),
		       service_s = 0.005 + 0.1 * erand48(seed);
		double inflow = 2 * erand48(seed) * servers / service_s, age_s = erand48(seed);
		unsigned flows = (unsigned)(3 * erand48(seed) * servers);
		double at = flows, step_s = age_s / 100000;

		estimate_init(&estimate, 100);
		estimate.servers = (uint32_t)servers;
		estimate.in_flight = flows < servers ? flows : (unsigned)servers;
		estimate.queued = flows - estimate.in_flight;
		estimate.inflow_per_s = inflow;
		estimate.last_report_s = estimate.measured_at_s = 100;
		estimate.counted_at_s = -1;
		for (unsigned i = 0; i < 100000; i++)
			at += step_s * (inflow - fmin(at, servers) / service_s);
		double found = estimate_flows_now(
			&estimate, &(struct queue){servers, service_s, 1, QUEUE_CAP, 0},
			100 + age_s);
		if (!(fabs(found - at) <= 1e-3 * (1 + at)))
			fail_msg("%u flows, %g servers of %g s, %g/s, after %g s: %g, found %g",
				 flows, servers, service_s, inflow, age_s, at, found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_servers_are_cut),
		cmocka_unit_test(test_rate_follows_totals),
		cmocka_unit_test(test_restarted_publisher),
		cmocka_unit_test(test_publisher_without_totals),
		cmocka_unit_test(test_late_and_double),
		cmocka_unit_test(test_service_time),
		cmocka_unit_test(test_service_time_follows_flows),
		cmocka_unit_test(test_scv),
		cmocka_unit_test(test_noise_is_not_background),
		cmocka_unit_test(test_background_is_found),
		cmocka_unit_test(test_surge),
		cmocka_unit_test(test_own_shift_is_not_background),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_rolled),
	};
	const char *given = getenv("SEED");
	/* Noise has tails: of other seeds about one in forty draws a background beyond the bound.
	 */
	unsigned long start = given ? strtoul(given, NULL, 0) : 7;

	printf("SEED=%lu\n", start);
	seed[0] = start & 0xffff;
	seed[1] = start >> 16 & 0xffff;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
