/* SPDX-License-Identifier: BSD-3-Clause */
/* The delay curves against closed forms, tables, and their own definition. */
#include "control/model/queue.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static unsigned short seed[3];

static double uniform(double low, double high)
{
	return low + (high - low) * erand48(seed);
}

static struct queue random_queue(void)
{
	return (struct queue){
		.servers = floor(exp(uniform(0, log(2000)))),
		.service_time_s = exp(uniform(log(1e-4), log(10))),
		.scv = uniform(0.05, 8),
		.cap = uniform(0.5, 0.98),
		.backlog_s = uniform(0, 1) < 0.5 ? 0 : uniform(0, 2),
	};
}

/* A rate just over the cap is known to 1e-16, its marginal to that times QUEUE_OVERLOAD_S. */
static void assert_marginal(double found, double expected)
{
	if (fabs(found - expected) <= 1e-9 * expected + 1e-15 * QUEUE_OVERLOAD_S)
		return;
	print_error("inverse: expected %.12g, found %.12g\n", expected, found);
	fail();
}

static void assert_near(double found, double expected, double relative, const char *what)
{
	if (fabs(found - expected) <= relative * fabs(expected))
		return;
	print_error("%s: expected %.12g, found %.12g\n", what, expected, found);
	fail();
}

/* (c, a) with a known probability of waiting. */
static void test_erlang_c_values(void **state)
{
	static const struct {
		const char *what;
		double servers, offered, expected, relative;
	} cases[] = {
		{"M/M/1 waits with probability a", 1, 0.7, 0.7, 1e-14},
		{"M/M/2: a^2 / (2 + a)", 2, 1.2, 1.44 / 3.2, 1e-14},
		/* Gross, Shortle, Thompson, Harris, Fundamentals of Queueing Theory, example
		 * of the eye clinic: c = 3, r = 2, p0 = 1/9, 1 - Wq(0) = 4/9 */
		{"Gross et al.: c 3, r 2", 3, 2, 4.0 / 9, 1e-14},
		/* call centre textbooks: 200 calls/h of 3 minutes = 10 erlang */
		{"10 erlang, 14 agents", 14, 10, 0.1741, 3e-4},
		{"10 erlang, 11 agents", 11, 10, 0.6821, 1e-4},
		{"nothing offered", 5, 0, 0, 0},
		{"full", 5, 5, 1, 0},
		{"overfull", 5, 50, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_near(queue_erlang_c(cases[i].servers, cases[i].offered), cases[i].expected,
			    cases[i].relative, cases[i].what);
}

/* Erlang-B by its textbook recurrence, in long double. */
static double erlang_c_naive(unsigned servers, double offered)
{
	long double b = 1;

	for (unsigned k = 1; k <= servers; k++)
		b = offered * b / (k + offered * b);
	return (double)(servers * b / (servers - offered * (1 - b)));
}

static void test_erlang_c_recurrence(void **state)
{
	static const unsigned servers[] = {1, 2, 7, 64, 500, 1000, 5000, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		for (double u = 0.05; u < 1; u += 0.05) {
			double offered = u * servers[i];
			double expected = erlang_c_naive(servers[i], offered);
			double found = queue_erlang_c(servers[i], offered);
			if (expected > 1e-12)
				assert_near(found, expected, 1e-9, "recurrence");
			else
				assert_true(found >= 0 && found < 1e-11);
		}
	}
}

static void test_closed_forms(void **state)
{
	(void)state;
	for (double u = 0.01; u < 0.95; u += 0.01) {
		struct queue mm1 = {1, 0.02, 1, 0.95, 0};
		double rate = u / 0.02;
		assert_near(queue_response_s(&mm1, rate), 0.02 / (1 - u), 1e-12, "M/M/1 W");
		assert_near(queue_marginal_s(&mm1, rate), 0.02 / (1 - u) / (1 - u), 1e-11,
			    "M/M/1 marginal");
		assert_near(queue_waiting(&mm1, rate), u * u / (1 - u), 1e-11, "M/M/1 Lq");

		/* Pollaczek-Khinchine with no variation */
		struct queue md1 = {1, 0.02, 0.5, 0.95, 0};
		assert_near(queue_response_s(&md1, rate), 0.02 + 0.02 * u / 2 / (1 - u), 1e-12,
			    "M/D/1 W");

		struct queue mm2 = {2, 0.02, 1, 0.95, 0.003};
		assert_near(queue_response_s(&mm2, 2 * rate), 0.02 / (1 - u * u) + 0.003, 1e-11,
			    "M/M/2 W with backlog");
	}
}

static void test_edges(void **state)
{
	struct queue queue = {4, 0.02, 1, QUEUE_CAP, 0.005};

	(void)state;
	assert_near(queue_capacity_per_s(&queue), 200, 1e-15, "capacity");
	assert_near(queue_response_s(&queue, 0), 0.025, 1e-15, "idle response");
	assert_near(queue_marginal_s(&queue, 0), 0.025, 1e-15, "idle marginal");
	assert_near(queue_response_s(&queue, 1e-12), 0.025, 1e-12, "hardly any");
	assert_true(queue_rate_at(&queue, 0.0249) == 0);
	assert_true(queue_rate_at(&queue, -1) == 0);
	assert_true(isfinite(queue_response_s(&queue, 1e12)));
	assert_true(isfinite(queue_marginal_s(&queue, 1e12)));
}

/* Value and marginal at the cap from both sides; excess in proportion to capacity. */
static void test_cap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		struct queue queue = random_queue();
		double cap = queue.cap * queue_capacity_per_s(&queue);
		double below = cap * (1 - 1e-12), above = cap * (1 + 1e-12);
		assert_near(queue_response_s(&queue, above), queue_response_s(&queue, below), 1e-8,
			    "response at the cap");
		/* a step of 1e-12 costs about QUEUE_OVERLOAD_S times that */
		if (fabs(queue_marginal_s(&queue, above) - queue_marginal_s(&queue, below)) >
		    1e-7 + 1e-6 * queue_marginal_s(&queue, below))
			fail_msg("marginal jumps at the cap");
	}
	struct queue small = {2, 0.01, 1, QUEUE_CAP, 0}, large = {50, 0.05, 1, QUEUE_CAP, 0};
	double marginal_s = 5000;
	assert_near(queue_rate_at(&small, marginal_s) / queue_capacity_per_s(&small),
		    queue_rate_at(&large, marginal_s) / queue_capacity_per_s(&large), 0.01,
		    "overload is shared by capacity");
}

static double cost(const struct queue *queue, double rate)
{
	return rate * queue_response_s(queue, rate);
}

/* marginal = d(l W)/dl by central differences, over and under the cap. */
static void test_marginal_is_derivative(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct queue queue = random_queue();
		double capacity = queue_capacity_per_s(&queue);
		double utilisation = uniform(0.02, 1.3);
		double step = 1e-5 * capacity;
		if (fabs(utilisation - queue.cap) < 1e-3)
			continue;
		double rate = utilisation * capacity;
		double numeric =
			(cost(&queue, rate + step) - cost(&queue, rate - step)) / (2 * step);
		assert_near(queue_marginal_s(&queue, rate), numeric, 2e-5, "marginal");

		double slope, marginal = queue_marginal_slope(&queue, rate, &slope);
		double slope_numeric = (queue_marginal_s(&queue, rate + step) -
					queue_marginal_s(&queue, rate - step)) /
				       (2 * step);
		if (slope_numeric * capacity > 1e-3 * marginal)
			assert_near(slope, slope_numeric, 1e-3, "slope");
	}
}

static void test_increasing_and_convex(void **state)
{
	enum { POINTS = 200 };

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct queue queue = random_queue();
		double step = 1.5 * queue_capacity_per_s(&queue) / POINTS;
		for (unsigned k = 1; k < POINTS - 1; k++) {
			double rate = k * step;
			double here = queue_marginal_s(&queue, rate);
			double next = queue_marginal_s(&queue, rate + step);
			assert_true(next >= here * (1 - 1e-13));
			double second = cost(&queue, rate + step) - 2 * cost(&queue, rate) +
					cost(&queue, rate - step);
			assert_true(second >= -1e-12 * cost(&queue, rate));
			assert_true(queue_response_s(&queue, rate + step) >=
				    queue_response_s(&queue, rate) * (1 - 1e-13));
		}
	}
}

/* rate_at inverts the marginal from any guess; its slope is 1 / the marginal's. */
static void test_rate_at(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		struct queue queue = random_queue();
		double capacity = queue_capacity_per_s(&queue);
		double idle_s = queue_marginal_s(&queue, 0);
		double wanted = idle_s + queue.service_time_s * exp(uniform(log(1e-9), log(1e7)));
		double rate = queue_rate_at(&queue, wanted);
		assert_marginal(queue_marginal_s(&queue, rate), wanted);

		double slope, marginal_slope;
		double guess = uniform(0, 1.5) * capacity;
		double again = queue_rate_near(&queue, wanted, guess, &slope);
		assert_marginal(queue_marginal_s(&queue, again), wanted);
		queue_marginal_slope(&queue, again, &marginal_slope);
		if (fabs(again / capacity - queue.cap) > 1e-6 && wanted - idle_s > 1e-6 * idle_s)
			assert_near(slope, 1 / marginal_slope, 1e-4, "slope of the inverse");
		assert_true(queue_rate_at(&queue, wanted * (1 + 1e-6)) >= rate * (1 - 1e-9));
	}
}

static void test_no_variation(void **state)
{
	struct queue queue = {3, 0.01, 0, 0.9, 0};

	(void)state;
	assert_near(queue_response_s(&queue, 200), 0.01, 1e-15, "D/D/c does not wait");
	assert_near(queue_rate_at(&queue, 0.01), 270, 1e-12, "flat up to the cap");
	assert_true(queue_rate_at(&queue, 0.00999) == 0);
	assert_near(queue_rate_at(&queue, 0.01 + 0.05 * QUEUE_OVERLOAD_S), 0.95 * 300, 1e-9,
		    "overload");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_erlang_c_values),
		cmocka_unit_test(test_erlang_c_recurrence),
		cmocka_unit_test(test_closed_forms),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_marginal_is_derivative),
		cmocka_unit_test(test_rate_at),
		cmocka_unit_test(test_increasing_and_convex),
		cmocka_unit_test(test_no_variation),
	};
	const char *given = getenv("SEED");
	unsigned long start = given ? strtoul(given, NULL, 0) : (unsigned long)time(NULL);

	printf("SEED=%lu\n", start);
	seed[0] = start & 0xffff;
	seed[1] = start >> 16 & 0xffff;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
