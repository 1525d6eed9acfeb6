/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "control/rate.h"

#define INTERVAL_S 0.05
#define SEED 20260117

/* Events of a Poisson process in one interval: exponential gaps, counted. */
static uint64_t arrivals(double per_s)
{
	uint64_t events = 0;
	double at_s = 0;

	while (per_s > 0 && (at_s -= log(drand48()) / per_s) < INTERVAL_S)
		events++;
	return events;
}

static void run(struct rate *rate, double per_s, double seconds)
{
	for (double t = 0; t < seconds - INTERVAL_S / 2; t += INTERVAL_S)
		rate_count(rate, arrivals(per_s), INTERVAL_S);
}

static void test_steady(void **state)
{
	static const double per_s[] = {5, 50, 400, 5000};
	const unsigned samples = 4000;

	(void)state;
	srand48(SEED);
	for (size_t i = 0; i < sizeof(per_s) / sizeof(*per_s); i++) {
		struct rate rate = {};
		double sum = 0, squares = 0, mean, deviation;

		run(&rate, per_s[i], 5);
		for (unsigned k = 0; k < samples; k++) {
			rate_count(&rate, arrivals(per_s[i]), INTERVAL_S);
			sum += rate.slow_per_s;
			squares += rate.slow_per_s * rate.slow_per_s;
		}
		mean = sum / samples;
		deviation = sqrt(squares / samples - mean * mean);
		print_message("seed %d: %.0f/s, mean %.2f, deviation %.2f\n", SEED, per_s[i], mean,
			      deviation);
		assert_true(fabs(mean - per_s[i]) < 0.04 * per_s[i]);
		/* Campbell, and a little for what is taken for a change */
		assert_true(deviation < 1.2 * sqrt(per_s[i] / (2 * RATE_SLOW_S)));
	}
}

static void test_surge(void **state)
{
	static const struct {
		double from, to;
	} surge[] = {{100, 400}, {400, 100}, {0, 200}, {200, 0}, {2000, 4000}};

	(void)state;
	srand48(SEED);
	for (size_t i = 0; i < sizeof(surge) / sizeof(*surge); i++) {
		struct rate rate = {};

		run(&rate, surge[i].from, 5);
		run(&rate, surge[i].to, 0.25);
		print_message("%.0f -> %.0f: %.0f after 0.25 s\n", surge[i].from, surge[i].to,
			      rate.slow_per_s);
		assert_true(fabs(rate.slow_per_s - surge[i].to) <
			    0.3 * fabs(surge[i].to - surge[i].from));
	}
}

/* One flow after a silence is chance, not a demand of 10 a second. */
static void test_single_flow(void **state)
{
	struct rate rate = {};

	(void)state;
	run(&rate, 0, 2);
	rate_count(&rate, 1, INTERVAL_S);
	assert_true(rate.slow_per_s > 0 && rate.slow_per_s < 2.1);
}

static void test_first(void **state)
{
	struct rate rate = {};

	(void)state;
	rate_count(&rate, 10, 0.1);
	assert_true(fabs(rate.slow_per_s - 100) < 1e-9);
	/* a long interval leaves nothing of what was before */
	rate_count(&rate, 10, 10);
	assert_true(fabs(rate.slow_per_s - 1) < 1e-2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_surge),
		cmocka_unit_test(test_single_flow),
		cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
