/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/simulate/gml.h"
#include "control/simulate/heap.h"
#include "control/simulate/policy.h"
#include "control/simulate/result.h"
#include "control/simulate/world.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "name: t\nduration_s: 10000\nwarmup_s: 20\n"
#define ONE \
	"sites: [{name: a, servers: %u, service_time_ms: 10}]\nedges: [{name: e, delay_ms: 2}]\n"

static struct scenario *load(const char *text, struct config_error *error)
{
	char file[] = "/tmp/test-simulate-XXXXXX";
	struct scenario *scenario = NULL;
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	*error = (struct config_error){""};
	if (scenario_load(file, &scenario, error) < 0)
		scenario = NULL;
	unlink(file);
	return scenario;
}

static void run(const char *text, const char *policy, struct result *result)
{
	struct config_error error;
	struct scenario *scenario = load(text, &error);

	if (!scenario)
		fail_msg("%s", error.text);
	assert_int_equal(world_run(scenario, policy_find(policy), result, NULL, NULL), 0);
	scenario_free(scenario);
}

/* Against the formulas: M/M/1, M/D/1, M/M/c (Erlang-C), M/G/1 (Pollaczek-Khinchine). */
static void test_queues(void **state)
{
	static const struct {
		const char *what, *work;
		unsigned servers;
		double utilisation, wait_ms;
	} cases[] = {
		{"M/M/1", "kind: exponential", 1, 0.5, 10},
		{"M/D/1", "kind: deterministic", 1, 0.5, 5},
		{"M/G/1, scv 3", "kind: lognormal, scv: 3", 1, 0.5, 20},
		{"M/M/4", "kind: exponential", 4, 0.75, 5.09},
		{"Pareto, not loaded", "kind: pareto, shape: 3", 50, 0.05, 0},
	};
	static struct result result;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), HEAD ONE "demand: {utilisation: %g}\nwork: {%s}\n",
			 cases[i].servers, cases[i].utilisation, cases[i].work);
		run(text, "nearest", &result);
		double wait_ms = 1e3 * result_mean_s(&result) - 12;
		if (fabs(wait_ms - cases[i].wait_ms) > 0.08 * cases[i].wait_ms + 0.2)
			fail_msg("%s: waits %.2f ms, expected %.2f", cases[i].what, wait_ms,
				 cases[i].wait_ms);
		assert_true(fabs(result.utilisation - cases[i].utilisation) <
			    0.04 * cases[i].utilisation);
	}
}

#define TWO                                                              \
	"sites:\n  - {name: a, servers: 8}\n  - {name: b, servers: 8}\n" \
	"edges:\n  - {name: e, delay_ms: [1, 5]}\n  - {name: f, delay_ms: [5, 1]}\n"

static void test_repeats_by_seed(void **state)
{
	static struct result first, second;

	(void)state;
	for (unsigned i = 0; policies[i]; i++) {
		run("name: t\nduration_s: 5\n" TWO, policies[i]->name, &first);
		run("name: t\nduration_s: 5\n" TWO, policies[i]->name, &second);
		assert_true(first.requests > 1000 && first.requests == second.requests);
		assert_true(first.sum_s == second.sum_s);
		assert_memory_equal(first.bin, second.bin, sizeof(first.bin));
		run("name: t\nduration_s: 5\nseed: 2\n" TWO, policies[i]->name, &second);
		assert_true(first.sum_s != second.sum_s);
	}
}

/* Each policy answers every request, and none is far worse than chance on two like sites. */
static void test_policies(void **state)
{
	static struct result result;

	(void)state;
	for (unsigned i = 0; policies[i]; i++) {
		run("name: t\nduration_s: 20\n" TWO, policies[i]->name, &result);
		if (!(result_mean_s(&result) > 0.010 && result_mean_s(&result) < 0.030))
			fail_msg("%s: %.2f ms", policies[i]->name, 1e3 * result_mean_s(&result));
	}
	assert_null(policy_find("best"));
}

static void test_dead_site(void **state)
{
	static struct result result;

	(void)state;
	run("name: t\nduration_s: 10\n" TWO "events: [{at_s: 2, for_s: 4, site: a, lost: true}]\n",
	    "suanlu", &result);
	/* only until the silence is noticed, half a second: 480/s to it */
	assert_true(result.again > 50 && result.again < 900);
	assert_true(result_quantile_s(&result, 0.9) < 1);
	/* and it gets its share again soon after it is back */
	run("name: t\nduration_s: 40\n" TWO "events: [{at_s: 2, for_s: 4, site: a, lost: true}]\n",
	    "suanlu", &result);
	assert_true(result_mean_s(&result) < 0.2);
}

/* At each report and each demand interval. */
static void test_solves(void **state)
{
	const unsigned per_s = 2 * 50 + 2 * 2;
	static struct result result;

	(void)state;
	run("name: t\nduration_s: 10\nwarmup_s: 5\n" TWO "telemetry: {interval_ms: 1000}\n",
	    "suanlu", &result);
	double expected = per_s * result.simulated_s;
	if (fabs((double)result.solves - expected) > 0.05 * expected)
		fail_msg("%lu solutions, expected %.0f", (unsigned long)result.solves, expected);
}

/* Farther away than five intervals: its reports are old when they come, and count all the same. */
static void test_far_site(void **state)
{
	static struct result result;

	(void)state;
	run("name: t\nduration_s: 20\nwarmup_s: 5\nsites:\n  - {name: near, servers: 1, "
	    "service_time_ms: 10}\n  - {name: far, servers: 20, service_time_ms: 10}\nedges:\n  - "
	    "{name: e, delay_ms: [2, 80]}\ntelemetry: {interval_ms: 10}\n",
	    "suanlu", &result);
	assert_true(result_mean_s(&result) < 0.12);
}

/* Nearest takes all to a site that answers a tenth of it: who is not answered waited longest. */
static void test_unanswered(void **state)
{
	static struct result result;

	(void)state;
	run("name: t\nduration_s: 10\nwarmup_s: 0\nsites:\n  - {name: near, servers: 1, "
	    "service_time_ms: 10}\n  - {name: far, servers: 9, service_time_ms: 10}\nedges:\n  - "
	    "{name: e, delay_ms: [2, 20]}\ndemand: {utilisation: 0.99}\n",
	    "nearest", &result);
	assert_true(result.requests > 9000 && result.unanswered > result.requests / 3);
	/* half waited until all ended, 50 s after the start */
	assert_true(result_mean_s(&result) > 20 && result_quantile_s(&result, 0.99) > 40);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *line, *why;
	} cases[] = {
		{"sites: [{name: a, servers: 1}]\n", ":1:", "name, sites and edges"},
		{"name: t\nspeed: 1\n", ":2: speed", "unknown key"},
		{"name: t\nsites:\n  - {name: a, servers: 0}\n", ":3: sites[0].servers", "1"},
		{"name: t\n" TWO "demand: {swing: 2}\n", ":8: demand.swing", "from 0 to 1"},
		{"name: t\n" TWO "events:\n  - {at_s: 1, for_s: 1, site: c}\n",
		 ":9: events[0].site", "name of a site"},
		{"name: t\nsites: [{name: a, servers: 1}]\nedges:\n  - {name: e, delay_ms: [1, "
		 "2]}\n",
		 ":4: edges[0]", "1 delays, found 2"},
		{"name: t\n" TWO "work: {kind: tokens}\n", "work", "traces"},
		{"name: t\n" TWO "work: {kind: normal}\n", ":8: work.kind", "lognormal"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_error error;
		assert_null(load(cases[i].text, &error));
		if (!strstr(error.text, cases[i].line) || !strstr(error.text, cases[i].why))
			fail_msg("expected '%s' and '%s' in '%s'", cases[i].line, cases[i].why,
				 error.text);
	}
}

static void test_heap(void **state)
{
	struct heap heap = {0};
	struct random random;
	double last_s = 0;

	(void)state;
	random_seed(&random, 7, 0);
	for (uint32_t i = 0; i < 20000; i++)
		assert_true(heap_push(&heap, random_uniform(&random), 0, i));
	while (heap.count > 0) {
		struct event event = heap_pop(&heap);
		assert_true(event.at_s >= last_s);
		last_s = event.at_s;
	}
	free(heap.event);
}

static void test_quantiles(void **state)
{
	static struct result result;

	(void)state;
	for (unsigned i = 1; i <= 100000; i++)
		result_add(&result, i * 1e-5);
	assert_true(fabs(result_mean_s(&result) - 0.5) < 1e-4);
	for (double q = 0.01; q < 1; q += 0.07)
		assert_true(fabs(result_quantile_s(&result, q) - q) < 0.012 * q);
}

/* Beijing to Shanghai: 1,067 km of great circle. */
static void test_fibre(void **state)
{
	(void)state;
	double delay_s = gml_fibre_s(39.9075, 116.39723, 31.22222, 121.45806);
	assert_true(fabs(delay_s - 1067 * 1.4 * 5e-6) < 0.01 * delay_s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queues),	   cmocka_unit_test(test_repeats_by_seed),
		cmocka_unit_test(test_policies),   cmocka_unit_test(test_dead_site),
		cmocka_unit_test(test_solves),	   cmocka_unit_test(test_far_site),
		cmocka_unit_test(test_unanswered), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_heap),	   cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_fibre),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
