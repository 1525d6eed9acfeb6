/* SPDX-License-Identifier: BSD-3-Clause */
/* What may change while the node runs, and what is refused by name. */
#include "config_text.h"
#include <errno.h>

#define BOTH "cannot change while it runs: restart suanlu-dataplane, then suanlu-control"
#define CONTROL \
	"cannot change while it runs: restart suanlu-control (packets are forwarded meanwhile)"

static struct config *load_good(void)
{
	struct config_error error;
	struct config *config = NULL;

	write_file("t.yaml", good, strlen(good));
	if (config_load("t.yaml", &config, &error) != 0)
		fail_msg("%s", error.text);
	return config;
}

static const struct {
	const char *what, *from, *to;
	int result;
	const char *text;
} change[] = {
	{"nothing", "node: edge1", "node: edge1", 0, ""},
	{"address", "address: fc00:e::1", "address: fc00:e::2", 0, ""},
	{"steering", "steering: nearest", "steering: optimal", 0, ""},
	{"interval", "interval_ms: 20", "interval_ms: 30", 0, ""},
	{"SIDs", "sids: [\"fc00:e:0:46::/64\"]", "sids: []", 0, ""},
	{"site's key", "    key: @1\n", "    key: @3\n", 0, ""},
	{"no more site", "    sites: [c, a]\n", "    sites: [a]\n", 0, ""},
	{"edge", "192.0.2.2:7801", "192.0.2.3:7801", 0, ""},
	{"wrong", "interval_ms: 20", "interval_ms: 0", -EINVAL,
	 "t.yaml:7: interval_ms: expected 10..10000, found 0"},
	{"node", "node: edge1", "node: edge9", -EBUSY, "t.yaml:1: node: " BOTH},
	{"run_dir", "/run/suanlu-test", "/run/other", -EBUSY, "t.yaml:4: run_dir: " BOTH},
	{"user", "user: root", "user: nobody", -EBUSY, "t.yaml:5: user: " CONTROL},
	{"no user", "user: root\n", "", -EBUSY, "t.yaml:1: user: " CONTROL},
	{"bus", "metrics:\n", "bus: \"nats://h\"\nmetrics:\n", -EBUSY, "t.yaml:17: bus: " CONTROL},
	{"telemetry", "7801\"\n", "7802\"\n", -EBUSY, "t.yaml:16: telemetry.listen: " CONTROL},
	{"metrics", "9801", "9802", -EBUSY, "t.yaml:18: metrics.listen: " CONTROL},
	{"metric", "metric: 7", "metric: 8", -EBUSY, "t.yaml:53: announce: " CONTROL},
	{"table", "table: default", "table: main", -EBUSY, "t.yaml:53: announce: " CONTROL},
	{"cores", "cores: [0]", "cores: []", -EBUSY, "t.yaml:11: dataplane.cores: " BOTH},
	{"pins", "pins: 2M", "pins: 1M", -EBUSY, "t.yaml:10: dataplane.pins: " BOTH},
	{"busy_poll", "busy_poll: true", "busy_poll: false", -EBUSY,
	 "t.yaml:12: dataplane.busy_poll: " BOTH},
	{"huge_pages", "huge_pages: false", "huge_pages: true", -EBUSY,
	 "t.yaml:13: dataplane.huge_pages: " BOTH},
};

static void test_changes(void **state)
{
	struct config *running = load_good();
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(change) / sizeof(*change); i++) {
		struct config *untouched = (struct config *)&failed, *next = untouched;
		struct config_error error = {};
		int result;

		write_changed(change[i].from, change[i].to);
		result = config_reload("t.yaml", running, &next, &error);
		if (result != change[i].result || strcmp(error.text, change[i].text) != 0 ||
		    (result < 0) != (next == untouched)) {
			print_error("%s: %d\n    is     %s\n    wanted %s\n", change[i].what,
				    result, error.text, change[i].text);
			failed++;
		}
		if (next != untouched)
			config_free(next);
	}
	config_free(running);
	assert_int_equal(failed, 0);
}

/* Services and sites are the same whatever their place; any field makes them differ. */
static void test_same(void **state)
{
	static const struct {
		const char *from, *to;
		bool service, site;
	} edit[] = {
		{"node: edge1", "node: edge1", true, true},
		{"delay_ms: 2.5", "delay_ms: 3", false, false},
		{"labels: [ai, cloud]", "labels: [ai]", false, false},
		{"servers: 4", "servers: 5", false, false},
		{"servers: 4", "servers: 4\n    flows_per_s: 9", false, false},
		{"fc00:a:0:4::", "fc00:a:0:5::", false, false},
		{"    port: 80", "    port: 82", false, true},
		{"192.0.2.80", "192.0.2.81", false, true},
	};
	struct config *running = load_good();

	(void)state;
	for (size_t i = 0; i < sizeof(edit) / sizeof(*edit); i++) {
		struct config_error error;
		struct config *next;

		write_changed(edit[i].from, edit[i].to);
		assert_int_equal(config_reload("t.yaml", running, &next, &error), 0);
		print_message("%s\n", edit[i].to);
		assert_int_equal(config_same_service(running, 0, next, 0), edit[i].service);
		assert_int_equal(config_same_site(&running->site[0], &next->site[0]), edit[i].site);
		assert_true(config_same_site(&running->site[1], &next->site[1]));
		assert_true(config_same_edge(&running->edge[0], &next->edge[0]));
		config_free(next);
	}
	config_free(running);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_same),
	};

	return run_in_directory(tests, sizeof(tests) / sizeof(*tests));
}
