/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads of instances as one: against sums over every single completion of a simulated site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/aggregate.h"
#include "control/telemetry/draft.h"
#include "control/telemetry/plausible.h"
#include <math.h>
#include <time.h>

#define INSTANCES 3
#define COMPLETIONS 20000

static unsigned seed;

static double uniform(void)
{
	return ((double)random() + 0.5) / ((double)RAND_MAX + 1);
}

static double log_normal(double mean, double sigma)
{
	double normal = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());

	return mean * exp(sigma * normal - sigma * sigma / 2);
}

static void set_scv(Suanlu__ServiceLoad *load, double scv)
{
	load->has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
	load->service_scv = scv;
}

/* Each instance reports its own mean and variation; the mixture's are of all completions. */
static void times_mix_as_completions_do(void **state)
{
	const double mean_s[INSTANCES] = {0.01, 0.03, 0.2}, sigma[INSTANCES] = {0.5, 1, 0.2};
	Suanlu__ServiceLoad load[INSTANCES];
	const Suanlu__ServiceLoad *part[INSTANCES];
	double count[INSTANCES] = {0}, first[INSTANCES] = {0}, second[INSTANCES] = {0};
	double all_first = 0, all_second = 0, all_mean;
	struct aggregate sum;

	(void)state;
	srandom(seed);
	for (unsigned i = 0; i < COMPLETIONS; i++) {
		unsigned at = uniform() < 0.6 ? 0 : uniform() < 0.7 ? 1 : 2;
		double time_s = log_normal(mean_s[at], sigma[at]);

		count[at]++;
		first[at] += time_s;
		second[at] += time_s * time_s;
		all_first += time_s;
		all_second += time_s * time_s;
	}
	for (unsigned i = 0; i < INSTANCES; i++) {
		load[i] = (Suanlu__ServiceLoad)SUANLU__SERVICE_LOAD__INIT;
		load[i].servers = 4 + i;
		load[i].completions_per_s = count[i];
		load[i].service_time_s = first[i] / count[i];
		set_scv(&load[i],
			second[i] / count[i] / (load[i].service_time_s * load[i].service_time_s) -
				1);
		part[i] = &load[i];
	}
	aggregate(part, INSTANCES, &sum);
	all_mean = all_first / COMPLETIONS;
	assert_int_equal(sum.load.servers, 4 + 5 + 6);
	assert_true(fabs(sum.load.service_time_s / all_mean - 1) < 1e-9);
	assert_true(fabs(sum.load.service_scv -
			 (all_second / COMPLETIONS / (all_mean * all_mean) - 1)) < 1e-6);
	/* one that does not know its variation: nobody knows that of all */
	load[1].has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV__NOT_SET;
	aggregate(part, INSTANCES, &sum);
	assert_true(sum.load.service_scv < 0);
	assert_true(fabs(sum.load.service_time_s / all_mean - 1) < 1e-9);
}

/* Nobody completes: capacity must be that of the parts, sum of servers / service time. */
static void idle_keeps_capacity(void **state)
{
	Suanlu__ServiceLoad fast = SUANLU__SERVICE_LOAD__INIT, slow = SUANLU__SERVICE_LOAD__INIT;
	Suanlu__ServiceLoad never = SUANLU__SERVICE_LOAD__INIT;
	const Suanlu__ServiceLoad *part[] = {&fast, &slow, &never};
	struct aggregate sum;

	(void)state;
	fast.servers = 4, fast.service_time_s = 0.01;
	slow.servers = 8, slow.service_time_s = 0.04;
	never.servers = 2;
	aggregate(part, 2, &sum);
	assert_true(fabs(sum.load.servers / sum.load.service_time_s - (400 + 200)) < 1e-6);
	aggregate(part, 3, &sum); /* the third's time is unknown, and that of all is not */
	assert_int_equal(sum.load.servers, 14);
	assert_true(sum.load.service_time_s > 0);
	aggregate(&part[2], 1, &sum);
	assert_true(sum.load.service_time_s == 0 && sum.load.service_scv < 0);
}

static void flows_and_totals_add(void **state)
{
	Suanlu__ServiceLoad a = SUANLU__SERVICE_LOAD__INIT, b = SUANLU__SERVICE_LOAD__INIT;
	const Suanlu__ServiceLoad *part[] = {&a, &b};
	struct aggregate sum;

	(void)state;
	a.service = "infer";
	a.servers = 2, a.in_flight = 2, a.queued = 7, a.arrivals = 10, a.completions = 1;
	a.arrivals_per_s = 3, a.completions_per_s = 2;
	b.servers = 6, b.in_flight = 1, b.queued = 0, b.arrivals = 5, b.completions = 4;
	b.arrivals_per_s = 1, b.completions_per_s = 1;
	b.has_cpu_utilisation_case = SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION;
	b.cpu_utilisation = 0.5;
	aggregate(part, 2, &sum);
	assert_string_equal(sum.load.service, "infer");
	assert_int_equal(sum.load.in_flight, 3);
	assert_int_equal(sum.load.queued, 7);
	assert_int_equal(sum.load.arrivals, 15);
	assert_int_equal(sum.load.completions, 5);
	assert_true(sum.load.arrivals_per_s == 4 && sum.load.completions_per_s == 3);
	assert_true(sum.load.cpu_utilisation == 0.5); /* of those that know */
	aggregate(part, 1, &sum);
	assert_true(sum.load.cpu_utilisation < 0);
}

static void quantiles_are_bounds(void **state)
{
	Suanlu__LatencyQuantile p50a = SUANLU__LATENCY_QUANTILE__INIT, p99a = p50a, p50b = p50a;
	Suanlu__LatencyQuantile *of_a[] = {&p50a, &p99a}, *of_b[] = {&p50b};
	Suanlu__ServiceLoad a = SUANLU__SERVICE_LOAD__INIT, b = SUANLU__SERVICE_LOAD__INIT;
	const Suanlu__ServiceLoad *part[] = {&a, &b};
	struct aggregate sum;

	(void)state;
	p50a.quantile = p50b.quantile = 0.5, p99a.quantile = 0.99;
	p50a.latency_s = 0.02, p50b.latency_s = 0.05, p99a.latency_s = 0.3;
	a.latency = of_a, a.n_latency = 2, a.completions_per_s = 10;
	b.latency = of_b, b.n_latency = 1, b.completions_per_s = 10;
	aggregate(part, 2, &sum);
	assert_int_equal(sum.load.latencies, 1); /* b completes, and does not say its p99 */
	assert_true(sum.latency[0].quantile == 0.5 && sum.latency[0].latency_s == 0.05);
	b.completions_per_s = 0;
	aggregate(part, 2, &sum);
	assert_int_equal(sum.load.latencies, 2);
	assert_true(sum.latency[1].latency_s == 0.3);
}

static void metrics_that_all_told(void **state)
{
	Suanlu__Metric cpu[2] = {SUANLU__METRIC__INIT, SUANLU__METRIC__INIT};
	Suanlu__Metric rate[2] = {SUANLU__METRIC__INIT, SUANLU__METRIC__INIT};
	Suanlu__Metric alone = SUANLU__METRIC__INIT;
	Suanlu__Metric *of_a[] = {&cpu[0], &rate[0], &alone}, *of_b[] = {&rate[1], &cpu[1]};
	Suanlu__ServiceLoad a = SUANLU__SERVICE_LOAD__INIT, b = SUANLU__SERVICE_LOAD__INIT;
	const Suanlu__ServiceLoad *part[] = {&a, &b};
	struct aggregate sum;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		cpu[i].type = "compute_cpu", cpu[i].unit = "none", cpu[i].value = i;
		rate[i].type = "tokens_per_s", rate[i].unit = "per_s", rate[i].value = 100;
	}
	alone.type = "only_here", alone.unit = "none";
	a.metric = of_a, a.n_metric = 3, a.servers = 1;
	b.metric = of_b, b.n_metric = 2, b.servers = 3;
	aggregate(part, 2, &sum);
	assert_int_equal(sum.load.metrics, 2);
	assert_string_equal(sum.metric[0].type, "compute_cpu");
	assert_string_equal(sum.metric[0].source, "aggregation");
	assert_true(sum.metric[0].value == 0.75); /* by servers */
	assert_true(sum.metric[1].value == 200);  /* an amount */
}

/* A value that may be: mostly usual, else at one of its bounds. */
static double up_to(double usual, double most)
{
	return uniform() < 0.7 ? usual * uniform() : uniform() < 0.5 ? 0 : most;
}

static void draw(Suanlu__ServiceLoad *load)
{
	*load = (Suanlu__ServiceLoad)SUANLU__SERVICE_LOAD__INIT;
	load->service = "infer";
	load->servers = 1 + (uint32_t)up_to(64, PLAUSIBLE_SERVERS_MAX - 1);
	load->service_time_s = uniform() < 0.2 ? 0 : exp(log(1e-310) * uniform()) * 1e5;
	load->in_flight = (uint32_t)up_to(100, PLAUSIBLE_FLOWS_MAX);
	load->queued = (uint32_t)up_to(100, PLAUSIBLE_FLOWS_MAX);
	load->arrivals_per_s = up_to(1e4, PLAUSIBLE_RATE_MAX);
	load->completions_per_s = up_to(1e4, PLAUSIBLE_RATE_MAX);
	if (uniform() < 0.8)
		set_scv(load, up_to(4, PLAUSIBLE_SCV_MAX));
}

/* Edges must not refuse the whole site for what one of its instances says. */
static void what_edges_take_of_each_they_take_of_all(void **state)
{
	(void)state;
	srandom(seed);
	for (unsigned round = 0; round < 20000; round++) {
		Suanlu__ServiceLoad load[INSTANCES];
		const Suanlu__ServiceLoad *part[INSTANCES];
		struct aggregate sum;
		struct sl_report report = {.load = &sum.load, .loads = 1};
		struct draft draft;
		Suanlu__Report whole;
		char why[128];

		for (unsigned i = 0; i < INSTANCES; i++) {
			draw(&load[i]);
			part[i] = &load[i];
		}
		aggregate(part, INSTANCES, &sum);
		assert_int_equal(draft_init(&draft, &report, 1), 0);
		whole = draft_slice(&draft, 0, 1);
		if (!plausible(&whole, why, sizeof(why)))
			fail_msg("%s, seed %u, round %u", why, seed, round);
		draft_free(&draft);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_mix_as_completions_do),
		cmocka_unit_test(idle_keeps_capacity),
		cmocka_unit_test(flows_and_totals_add),
		cmocka_unit_test(quantiles_are_bounds),
		cmocka_unit_test(metrics_that_all_told),
		cmocka_unit_test(what_edges_take_of_each_they_take_of_all),
	};

	seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
