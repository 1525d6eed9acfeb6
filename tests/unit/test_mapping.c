/* SPDX-License-Identifier: BSD-3-Clause */
/* The ready mappings on recorded scrapes: two of each endpoint, ten seconds apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/agent/gather.h"
#include "control/agent/mapping.h"
#include "control/agent/orca.h"
#include <math.h>

/* The folder: of the build, or by the place of this file, from the build's top. */
static char *read_scrape(const char *name, size_t *bytes)
{
	const char *folder = getenv("TEST_DATA"), *slash = strrchr(__FILE__, '/');
	char path[1024], *text = calloc(1, 1 << 20);
	FILE *file;

	if (folder)
		snprintf(path, sizeof(path), "%s/scrapes/%s", folder, name);
	else
		snprintf(path, sizeof(path), "%.*s/../data/scrapes/%s", (int)(slash - __FILE__),
			 __FILE__, name);
	file = fopen(path, "r");
	if (!file || !text)
		fail_msg("%s", path);
	*bytes = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	return text;
}

static void take(void *context, const struct exposition_sample *sample)
{
	mapping_take(context, sample);
}

static void scrape(struct mapping *mapping, const char *name, double now_s)
{
	struct exposition_result result;
	size_t bytes;
	char *text = read_scrape(name, &bytes);

	mapping_begin(mapping);
	result = strstr(name, ".json") ? orca_parse(text, bytes, take, mapping)
				       : exposition_parse(text, bytes, take, mapping);
	mapping_end(mapping, now_s);
	assert_true(result.samples > 0);
	if (strcmp(name, "orca-2.json") != 0)
		assert_int_equal(result.bad, 0);
	free(text);
}

static struct mapping *open_mapping(const struct mapping_config *config)
{
	struct mapping *mapping = NULL;
	char error[240];

	if (mapping_open(&mapping, config, error) < 0)
		fail_msg("%s", error);
	return mapping;
}

static void read_two(const struct mapping_config *config, const char *first, const char *second,
		     struct report_load *out, struct mapping **mapping)
{
	struct reading reading;

	*mapping = open_mapping(config);
	scrape(*mapping, first, 1000);
	if (second)
		scrape(*mapping, second, 1010);
	mapping_read(*mapping, 16, &reading);
	if (mapping_has_load(*mapping)) {
		assert_true(gather_scraped(out, &reading, 16));
	} else {
		assert_false(gather_scraped(out, &reading, 16));
		gather_more(out, &reading);
	}
}

static void metric_is(const struct report_load *load, const char *type, const char *unit,
		      double value)
{
	for (unsigned i = 0; i < load->metrics; i++) {
		const struct sl_metric *metric = &load->metric[i];

		if (strcmp(metric->type, type) != 0)
			continue;
		assert_string_equal(metric->unit, unit);
		assert_string_equal(metric->format, "float");
		assert_int_equal(metric->level, 0);
		if (!(fabs(metric->value - value) < 1e-6))
			fail_msg("%s is %g instead of %g", type, metric->value, value);
		return;
	}
	fail_msg("no metric %s", type);
}

static void vllm(void **state)
{
	const struct mapping_config config = {.ready = mapping_ready("vllm")};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "vllm-1.txt", "vllm-2.txt", &load, &mapping);
	assert_int_equal(load.servers, 16);
	assert_int_equal(load.load.in_flight, 14);
	assert_int_equal(load.load.queued, 5);
	assert_true(fabs(load.load.service_time_s - 2.0) < 1e-9); /* 120 s / 60 */
	assert_true(fabs(load.load.completions_per_s - 6.0) < 1e-9);
	assert_int_equal(load.load.completions, 60);
	assert_int_equal(load.load.arrivals, 79);
	assert_true(load.cpu_utilisation < 0);
	metric_is(&load, "kv_cache_usage", "none", 0.46875);
	metric_is(&load, "generation_tokens_per_s", "per_s", 1200);
	metric_is(&load, "time_to_first_token_s", "s", 0.08);
	metric_is(&load, "compute_delay", "s", 2.0);
	mapping_close(mapping);
}

/* Before requests' times were told apart: 150 s / 60 in all, and 12 of 15 requests run. */
static void vllm_early(void **state)
{
	const struct mapping_config config = {.ready = mapping_ready("vllm")};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "vllm-0.5-1.txt", "vllm-0.5-2.txt", &load, &mapping);
	assert_int_equal(load.load.in_flight, 12);
	assert_int_equal(load.load.queued, 3);
	assert_true(fabs(load.load.service_time_s - 2.0) < 1e-9);
	assert_int_equal(load.load.completions, 60);
	assert_true(fabs(load.load.completions_per_s - 6.0) < 1e-9);
	metric_is(&load, "kv_cache_usage", "none", 0.25);
	metric_is(&load, "generation_tokens_per_s", "per_s", 1200);
	mapping_close(mapping);
}

static void triton(void **state)
{
	struct mapping_own select = {"model", "resnet50"};
	const struct mapping_config config = {
		.ready = mapping_ready("triton"), .select = &select, .selects = 1};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "triton-1.txt", "triton-2.txt", &load, &mapping);
	assert_int_equal(load.load.queued, 6);
	assert_true(fabs(load.load.service_time_s - 0.025) < 1e-9); /* 10 s / 400 */
	assert_int_equal(load.load.in_flight, 1);		    /* 10 s in 10 s */
	assert_int_equal(load.load.completions, 400);
	assert_true(fabs(load.load.completions_per_s - 40) < 1e-9);
	mapping_close(mapping);
}

static void envoy(void **state)
{
	struct mapping_own select = {"envoy_cluster_name", "infer"};
	const struct mapping_config config = {
		.ready = mapping_ready("envoy"), .select = &select, .selects = 1};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "envoy-1.txt", "envoy-2.txt", &load, &mapping);
	/* 20 active at 16 servers: 4 of them wait */
	assert_int_equal(load.load.in_flight, 16);
	assert_int_equal(load.load.queued, 7 + 4);
	assert_true(fabs(load.load.service_time_s - 0.050) < 1e-9); /* milliseconds */
	assert_int_equal(load.load.arrivals, 500);
	assert_int_equal(load.load.completions, 490);
	assert_true(fabs(load.load.arrivals_per_s - 50) < 1e-9);
	metric_is(&load, "healthy_members", "none", 4);
	mapping_close(mapping);
}

static void dcgm(void **state)
{
	const struct mapping_config config = {.ready = mapping_ready("dcgm")};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "dcgm-1.txt", NULL, &load, &mapping);
	metric_is(&load, "gpu_utilisation", "none", 0.6);
	metric_is(&load, "gpu_engine_active", "none", 0.5);
	metric_is(&load, "gpu_memory_used", "none", 30000.0 / 45126);
	metric_is(&load, "gpu_power_w", "w", 132);
	metric_is(&load, "gpu_temperature_max_c", "celsius", 61);
	metric_is(&load, "gpus", "none", 2);
	mapping_close(mapping);
}

static void node(void **state)
{
	const struct mapping_config config = {.ready = mapping_ready("node")};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "node-1.txt", "node-2.txt", &load, &mapping);
	assert_true(load.cpu_utilisation > 0 && load.cpu_utilisation <= 1);
	assert_true(load.metrics >= 4); /* load, memory, two pressures */
	mapping_close(mapping);
}

static void orca(void **state)
{
	const struct mapping_config config = {.ready = mapping_ready("orca")};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "orca-1.json", NULL, &load, &mapping);
	assert_int_equal(load.load.in_flight, 12); /* 0.75 of 16 */
	assert_true(fabs(load.load.service_time_s - 0.08) < 1e-9);
	assert_true(load.load.completions_per_s == 150);
	assert_true(load.cpu_utilisation == 1); /* it may say more */
	metric_is(&load, "memory_utilisation", "none", 0.5);
	metric_is(&load, "errors_per_s", "per_s", 0.5);
	mapping_close(mapping);
	/* lowerCamelCase, a number as text, a map with a text in it */
	read_two(&config, "orca-2.json", NULL, &load, &mapping);
	assert_int_equal(load.load.in_flight, 4);
	assert_true(load.cpu_utilisation == 0.5);
	mapping_close(mapping);
}

static void own_keys_add_and_replace(void **state)
{
	struct mapping_own own[] = {{"queued", "named_metrics.queue_depth"},
				    {"gpu_share", "utilization.gpu"},
				    {"servers", "4"}};
	const struct mapping_config config = {
		.ready = mapping_ready("orca"), .own = own, .owns = 3};
	struct report_load load;
	struct mapping *mapping;

	(void)state;
	read_two(&config, "orca-1.json", NULL, &load, &mapping);
	assert_int_equal(load.servers, 4);
	assert_int_equal(load.load.in_flight, 4); /* 12 at 4 servers */
	assert_int_equal(load.load.queued, 9 + 8);
	metric_is(&load, "gpu_share", "none", 0.875);
	mapping_close(mapping);
}

/* An endpoint of something else, or one that says nonsense, gives nothing. */
static void makes_nothing_up(void **state)
{
	struct mapping_own own[] = {{"in_flight", "a"}, {"cpu_utilisation", "b"}, {"x", "c"}};
	const struct mapping_config vllm = {.ready = mapping_ready("vllm")},
				    mine = {.own = own, .owns = 3};
	static const char *const text[] = {"a 1e300\nb 1\n", "a NaN\nb NaN\n", "a -3\n", "c 1\n",
					   ""};
	struct mapping *mapping = open_mapping(&vllm);
	struct report_load load;
	struct reading reading;

	(void)state;
	scrape(mapping, "envoy-1.txt", 1);
	mapping_read(mapping, 4, &reading);
	assert_false(gather_scraped(&load, &reading, 4));
	assert_int_equal(reading.metrics, 0);
	mapping_close(mapping);
	for (unsigned i = 0; i < sizeof(text) / sizeof(*text); i++) {
		char copy[64];

		mapping = open_mapping(&mine);
		strcpy(copy, text[i]);
		mapping_begin(mapping);
		exposition_parse(copy, strlen(copy), take, mapping);
		mapping_end(mapping, 1);
		mapping_read(mapping, 4, &reading);
		if (gather_scraped(&load, &reading, 4))
			fail_msg("'%s' taken", text[i]);
		mapping_close(mapping);
	}
}

/* NaN in flight is not 0: an idle site would get everything. */
static void unknown_is_not_idle(void **state)
{
	static const struct {
		const char *text;
		bool taken;
		uint32_t in_flight;
	} one[] = {
		{"a 3\nt 0.5\nr 4\n", true, 3},	  {"a NaN\nt 0.5\nr 4\n", true, 2}, /* Little */
		{"a NaN\nt 0.5\n", false, 0},	  {"a 1e300\nt 0.5\n", false, 0},
		{"a -1\nt NaN\nr 4\n", false, 0}, {"t 0.5\nr 4\n", true, 2},
	};
	struct mapping_own own[] = {{"in_flight", "a"},
				    {"service_time_s", "t"},
				    {"completions_per_s", "r"},
				    {"x", "m"}};
	const struct mapping_config config = {.own = own, .owns = 4};

	(void)state;
	for (unsigned i = 0; i < sizeof(one) / sizeof(*one); i++) {
		struct mapping *mapping = open_mapping(&config);
		struct report_load load;
		struct reading reading;
		char copy[64];

		strcpy(copy, one[i].text);
		strcat(copy, "m 1e308\n"); /* an edge would refuse that, and all with it */
		mapping_begin(mapping);
		exposition_parse(copy, strlen(copy), take, mapping);
		mapping_end(mapping, 1);
		mapping_read(mapping, 4, &reading);
		if (gather_scraped(&load, &reading, 4) != one[i].taken)
			fail_msg("'%s' %s", one[i].text, one[i].taken ? "refused" : "taken");
		if (one[i].taken && load.load.in_flight != one[i].in_flight)
			fail_msg("'%s': %u in flight", one[i].text, load.load.in_flight);
		for (unsigned j = 0; one[i].taken && j < load.metrics; j++)
			assert_string_not_equal(load.metric[j].type, "x");
		mapping_close(mapping);
	}
}

/* Thousands of connections for days: what nobody would believe is said to be unknown. */
static void watched_stays_plausible(void **state)
{
	const struct pressure pressure = {.share = {-1, -1}};
	const struct gathered_host host = {-1, -1, &pressure};
	const struct meter_load load = {
		.in_flight = 100000, .service_time_s = 1.2e6, .service_scv = 2e4};
	struct report_load out;

	(void)state;
	gather_watched(&out, &load, 100000, true, &host);
	assert_true(out.load.service_time_s == 0);
	assert_true(out.load.service_scv == 1e4);
	assert_int_equal(out.load.in_flight, 100000);
}

static void refuses_bad_maps(void **state)
{
	static const struct {
		struct mapping_own own;
		const char *expected;
	} bad[] = {
		{{"in_flight", "sum("}, "in_flight: expected a series"},
		{{"bad key", "1"}, "bad key: expected"},
		{{"a_name_that_is_far_too_long_for_one", "1"}, "expected"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct mapping_own own = bad[i].own;
		const struct mapping_config config = {.own = &own, .owns = 1};
		struct mapping *mapping;
		char error[240];

		assert_true(mapping_open(&mapping, &config, error) < 0);
		if (!strstr(error, bad[i].expected))
			fail_msg("%s", error);
	}
	assert_null(mapping_ready("prometheus"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vllm),
		cmocka_unit_test(vllm_early),
		cmocka_unit_test(triton),
		cmocka_unit_test(envoy),
		cmocka_unit_test(dcgm),
		cmocka_unit_test(node),
		cmocka_unit_test(orca),
		cmocka_unit_test(own_keys_add_and_replace),
		cmocka_unit_test(makes_nothing_up),
		cmocka_unit_test(unknown_is_not_idle),
		cmocka_unit_test(watched_stays_plausible),
		cmocka_unit_test(refuses_bad_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
