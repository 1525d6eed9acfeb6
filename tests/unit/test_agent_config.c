/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/agent/config.h"
#include <netinet/in.h>
#include <sodium.h>
#include <sys/stat.h>

#define EDGE "ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ="

static char directory[32], key_file[64], yaml_file[64], public_key[SL_KEY_TEXT];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/suanlu-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(key_file, sizeof(key_file), "%s/key", directory);
	snprintf(yaml_file, sizeof(yaml_file), "%s/a.yaml", directory);
	return sl_keygen(key_file, public_key);
}

static int teardown(void **state)
{
	(void)state;
	unlink(key_file);
	unlink(yaml_file);
	return rmdir(directory);
}

/* Each "KEY" becomes the key file's name. */
static int load(const char *text, struct agent_config *config, struct config_error *error)
{
	const char *key = strstr(text, "KEY");
	FILE *file = fopen(yaml_file, "w");

	assert_non_null(file);
	if (key)
		fprintf(file, "%.*s%s%s", (int)(key - text), text, key_file, key + 3);
	else
		fputs(text, file);
	fclose(file);
	return agent_config_load(yaml_file, config, error);
}

#define HEAD "key: KEY\n"
#define PUBLISH "publish:\n  - to: \"[fc00:e::1]:7801\"\n    key: " EDGE "\n"
#define SERVICES "services:\n  - name: infer\n    port: 80\n    servers: 4\n"

static void fills_in_defaults(void **state)
{
	struct agent_config config;
	struct config_error error;

	(void)state;
	assert_int_equal(load(HEAD PUBLISH SERVICES, &config, &error), 0);
	assert_string_equal(config.key_file, key_file);
	assert_string_equal(config.public_key, public_key);
	assert_int_equal(config.interval_ms, 100);
	assert_int_equal(config.valid_for_ms, 500);
	assert_int_equal(config.labels, 0);
	assert_true(config.pue == 0 && config.price_per_hour == 0);
	assert_int_equal(config.edges, 1);
	assert_string_equal(config.edge[0].to, "[fc00:e::1]:7801");
	assert_int_equal(config.edge[0].key[0], 0x79);
	assert_int_equal(config.services, 1);
	assert_string_equal(config.service[0].name, "infer");
	assert_int_equal(config.service[0].protocol, IPPROTO_TCP);
	assert_int_equal(config.service[0].port, 80);
	assert_int_equal(config.service[0].servers, 4);
	agent_config_clear(&config);
}

static void reads_everything(void **state)
{
	struct agent_config config;
	struct config_error error;

	(void)state;
	assert_int_equal(load(HEAD
			      "interval_ms: 50\nvalid_for_ms: 250\nlabels: [ai, cloud]\n"
			      "price_per_hour: 0.25\npue: 1.2\n"
			      "publish:\n  - {to: 192.0.2.1:7801, key: " EDGE "}\n"
			      "  - {to: \"[fc00:e::2]:7801\", key: " EDGE "}\n"
			      "services:\n  - {name: infer, protocol: tcp, port: 80, servers: 4}\n"
			      "  - {name: train, port: 8080, servers: 64}\n",
			      &config, &error),
			 0);
	assert_int_equal(config.interval_ms, 50);
	assert_int_equal(config.valid_for_ms, 250);
	assert_int_equal(config.labels, 2);
	assert_string_equal(config.label[1], "cloud");
	assert_true(config.price_per_hour == 0.25 && config.pue == 1.2);
	assert_int_equal(config.edges, 2);
	assert_int_equal(config.services, 2);
	assert_int_equal(config.service[1].servers, 64);
	agent_config_clear(&config);
}

static void reads_a_bus(void **state)
{
	struct agent_config config;
	struct config_error error;

	(void)state;
	if (load(HEAD "site: chengdu\nbus: \"nats://[fc00::1]:4222\"\n" SERVICES, &config, &error) <
	    0)
		fail_msg("%s", error.text);
	assert_int_equal(config.edges, 0);
	assert_string_equal(config.site, "chengdu");
	assert_string_equal(config.bus.server[0], "nats://[fc00::1]:4222");
	agent_config_clear(&config);
	/* both ways at the same time */
	assert_int_equal(load(HEAD PUBLISH
			      "site: a\nbus: [\"nats://a\", \"tls://b:4222\"]\n" SERVICES,
			      &config, &error),
			 0);
	assert_int_equal(config.edges, 1);
	assert_int_equal(config.bus.servers, 2);
	agent_config_clear(&config);
}

#define METRICS HEAD PUBLISH "services:\n  - name: chat\n    servers: 4\n"

static void reads_endpoints(void **state)
{
	struct agent_config config;
	struct config_error error;
	const struct agent_service *service;

	(void)state;
	if (load(METRICS "    source: metrics\n    url: http://127.0.0.1:8000/metrics\n"
			 "    mapping: vllm\n    scrape_ms: 500\n    select: {model_name: m}\n"
			 "    map:\n      queued: sum(waiting{pool=\"a\"})\n      depth: max(d)\n"
			 "  - {name: js, servers: 2, source: orca, url: \"http://h/load\"}\n"
			 "  - {name: web, port: 80, servers: 2, source: kernel, requests: true,\n"
			 "     url: \"http://127.0.0.1:9100/metrics\", mapping: node}\n",
		 &config, &error) < 0)
		fail_msg("%s", error.text);
	service = config.service;
	assert_int_equal(service->source, AGENT_SOURCE_METRICS);
	assert_false(agent_watches(service));
	assert_string_equal(service->scrape.url, "http://127.0.0.1:8000/metrics");
	assert_string_equal(service->scrape.ready, "vllm");
	assert_int_equal(service->scrape_ms, 500);
	assert_int_equal(service->scrape.selects, 1);
	assert_string_equal(service->scrape.select[0].key, "model_name");
	assert_int_equal(service->scrape.owns, 2);
	assert_string_equal(service->scrape.own[0].text, "sum(waiting{pool=\"a\"})");
	assert_string_equal(service[1].scrape.ready, "orca");
	assert_int_equal(service[1].scrape_ms, 1000);
	assert_int_equal(service[2].source, AGENT_SOURCE_KERNEL);
	assert_true(service[2].requests && agent_watches(&service[2]));
	agent_config_clear(&config);
}

static const struct {
	const char *what, *text, *expected;
} bad[] = {
	{"source", HEAD PUBLISH SERVICES "    source: magic\n",
	 ":9: services[0].source: expected auto, kernel, sockets, metrics, orca or stdin"},
	{"stdin with url", METRICS "    source: stdin\n    url: http://h/m\n",
	 "services[0].url: not with source: stdin"},
	{"metrics without url", METRICS "    source: metrics\n", "services[0].url: required"},
	{"https", METRICS "    source: metrics\n    url: https://h/\n    mapping: vllm\n",
	 ":9: services[0].url: expected http://"},
	{"port of a url",
	 METRICS "    source: metrics\n    url: http://h:99999/\n    mapping: vllm\n",
	 ":9: services[0].url: expected http://"},
	{"url without host", METRICS "    source: metrics\n    url: http:///m\n    mapping: vllm\n",
	 ":9: services[0].url: expected http://"},
	{"blank in a url",
	 METRICS "    source: metrics\n    url: \"http://h/a b\"\n    mapping: vllm\n",
	 ":9: services[0].url: expected http://"},
	{"login in a url",
	 METRICS "    source: metrics\n    url: http://u:p@h/\n    mapping: vllm\n",
	 ":9: services[0].url: expected no user and password"},
	{"url without mapping", METRICS "    source: metrics\n    url: http://h/\n",
	 "services[0].mapping: required"},
	{"mapping", METRICS "    source: metrics\n    url: http://h/\n    mapping: sglang\n",
	 ":10: services[0].mapping: expected vllm, triton, dcgm, node, envoy or orca"},
	{"mapping of a host",
	 METRICS "    source: metrics\n    url: http://h/\n    mapping: dcgm\n",
	 ":10: services[0].mapping: expected in_flight or service_time_s: dcgm tells of a host"},
	{"mapping without url", HEAD PUBLISH SERVICES "    mapping: node\n",
	 "services[0].url: required by its mapping"},
	{"expression",
	 METRICS "    source: metrics\n    url: http://h/\n    map: {in_flight: sum(}\n",
	 ":10: services[0].map: in_flight: expected a series"},
	{"map is no mapping", METRICS "    source: metrics\n    url: http://h/\n    map: vllm\n",
	 ":10: services[0].map: expected keys and values"},
	{"no port, but watched", METRICS "    source: kernel\n", "services[0].port: required"},
	{"scrape_ms", HEAD PUBLISH SERVICES "    scrape_ms: 10\n",
	 ":9: services[0].scrape_ms: expected 100..60000"},
	{"no key", PUBLISH SERVICES, ":1: key: required"},
	{"missing key file", "key: /nonexistent\n" PUBLISH SERVICES,
	 ":1: key: /nonexistent: No such"},
	{"no publish", HEAD SERVICES, "publish: required: the edges to publish to, or a bus"},
	{"bus without site", HEAD "bus: \"nats://h\"\n" SERVICES, "site: required with bus"},
	{"site that is no subject", HEAD "site: a..b\nbus: \"nats://h\"\n" SERVICES,
	 ":2: site: required with bus: this site's name at the edges, without a dot"},
	{"no services", HEAD PUBLISH, "services: required"},
	{"empty services", HEAD PUBLISH "services: []\n", ":5: services: required"},
	{"unknown key", HEAD PUBLISH SERVICES "colour: red\n", ":9: colour: unknown key"},
	{"unknown key inside", HEAD PUBLISH SERVICES "    weight: 1\n",
	 ":9: services[0].weight: unknown key"},
	{"key twice", HEAD HEAD PUBLISH SERVICES, ":2: key: given twice"},
	{"udp", HEAD PUBLISH SERVICES "    protocol: udp\n",
	 ":9: services[0].protocol: UDP services are not measured yet"},
	{"udp's remedy", HEAD PUBLISH SERVICES "    protocol: udp\n", "libsuanlu"},
	{"other protocol", HEAD PUBLISH SERVICES "    protocol: sctp\n",
	 "expected tcp, found 'sctp'"},
	{"port", HEAD PUBLISH "services:\n  - name: infer\n    port: 70000\n    servers: 4\n",
	 ":7: services[0].port: expected 1..65535, found 70000"},
	{"no port", HEAD PUBLISH "services:\n  - name: infer\n    servers: 4\n",
	 "services[0].port: required"},
	{"no name", HEAD PUBLISH "services:\n  - port: 80\n    servers: 4\n",
	 "services[0].name: required"},
	{"no servers", HEAD PUBLISH "services:\n  - name: infer\n    port: 80\n",
	 "services[0].servers: required"},
	{"zero servers", HEAD PUBLISH "services:\n  - name: infer\n    port: 80\n    servers: 0\n",
	 ":8: services[0].servers: expected 1..1000000"},
	{"name twice", HEAD PUBLISH SERVICES "  - {name: infer, port: 81, servers: 1}\n",
	 ":9: services[1].name: expected another name"},
	{"port twice", HEAD PUBLISH SERVICES "  - {name: other, port: 80, servers: 1}\n",
	 ":9: services[1].port: expected another port"},
	{"address", HEAD "publish:\n  - {to: edge1, key: " EDGE "}\n" SERVICES,
	 ":3: publish[0].to: expected ADDRESS:PORT"},
	{"edge's key", HEAD "publish:\n  - {to: 192.0.2.1:1, key: AAAA}\n" SERVICES,
	 ":3: publish[0].key: expected a public key"},
	{"no edge's key", HEAD "publish:\n  - {to: 192.0.2.1:1}\n" SERVICES,
	 ":3: publish[0].key: required"},
	{"no address", HEAD "publish:\n  - {key: " EDGE "}\n" SERVICES, "publish[0].to: required"},
	{"edge twice",
	 HEAD "publish:\n  - {to: 192.0.2.1:1, key: " EDGE "}\n  - {to: 192.0.2.1:1, key: " EDGE
	      "}\n" SERVICES,
	 ":4: publish[1].to: expected another edge"},
	{"interval", HEAD "interval_ms: 5\n" PUBLISH SERVICES,
	 ":2: interval_ms: expected 10..10000"},
	{"validity", HEAD "valid_for_ms: 150\n" PUBLISH SERVICES,
	 ":2: valid_for_ms: expected at least twice interval_ms (200)"},
	{"pue", HEAD "pue: 0.5\n" PUBLISH SERVICES, ":2: pue: expected a number 1..100"},
	{"price", HEAD "price_per_hour: -1\n" PUBLISH SERVICES, ":2: price_per_hour: expected"},
	{"not a number", HEAD "price_per_hour: nan\n" PUBLISH SERVICES, "found 'nan'"},
	{"not YAML", HEAD "publish: [\n", "not valid YAML"},
	{"nothing", "", "empty"},
};

static void refuses_with_line_and_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct agent_config config;
		struct config_error error = {0};

		memset(&config, 0x5a, sizeof(config));
		if (load(bad[i].text, &config, &error) >= 0)
			fail_msg("%s: taken", bad[i].what);
		if (!strstr(error.text, bad[i].expected))
			fail_msg("%s: %s", bad[i].what, error.text);
		if (strncmp(error.text, yaml_file, strlen(yaml_file)) != 0)
			fail_msg("%s does not name the file: %s", bad[i].what, error.text);
		assert_int_equal(config.services, 0x5a5a5a5a); /* untouched */
	}
}

static void refuses_open_key_file(void **state)
{
	struct agent_config config;
	struct config_error error = {0};

	(void)state;
	assert_int_equal(chmod(key_file, 0644), 0);
	assert_true(load(HEAD PUBLISH SERVICES, &config, &error) < 0);
	assert_non_null(strstr(error.text, ":1: key: "));
	assert_non_null(strstr(error.text, "chmod 600"));
	assert_int_equal(chmod(key_file, 0600), 0);
	assert_true(agent_config_load("/nonexistent.yaml", &config, &error) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_defaults),
		cmocka_unit_test(reads_everything),
		cmocka_unit_test(reads_a_bus),
		cmocka_unit_test(reads_endpoints),
		cmocka_unit_test(refuses_with_line_and_key),
		cmocka_unit_test(refuses_open_key_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
