/* SPDX-License-Identifier: BSD-3-Clause */
/* The transaction, on a control with everything but a dataplane: all of it, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/publish.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/reload.h"

static char directory[] = "/tmp/test_reload.XXXXXX", file[64], key_file[64], site_key[2][64];
static char site_public[2][SL_KEY_TEXT];
static struct control control;

/* `sites` are names of one letter; services are "infer" and those in `more` (YAML). */
static void write_config(const char *sites, unsigned servers, const char *more)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fprintf(out,
		"node: edge1\naddress: fc00:e::1\nkey: %s\nrun_dir: %s/run\n"
		"dataplane: {ports: [lo]}\ntelemetry: {listen: \"127.0.0.1:17801\"}\n"
		"services:\n  - {name: infer, ipv4: 192.0.2.80, port: 80}\n%ssites:\n",
		key_file, directory, more);
	for (unsigned i = 0; sites[i]; i++) {
		fprintf(out, "  - {name: %c, sid: \"fc00:a:%u:46::\", servers: %u", sites[i], i + 1,
			servers);
		if (sites[i] == 'a')
			fprintf(out, ", key: %s", site_public[0]);
		fprintf(out, "}\n");
	}
	fclose(out);
}

static int set_up(void **state)
{
	struct config_error error = {};

	(void)state;
	write_config("abc", 8, "");
	if (control_open(&control, file, &error) < 0 || control_start(&control) < 0) {
		print_error("%s\n", error.text);
		return -1;
	}
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	return 0;
}

static int tear_down(void **state)
{
	char path[96];

	(void)state;
	control_close(&control);
	snprintf(path, sizeof(path), "%s/run/drained", directory);
	unlink(path);
	return 0;
}

static int reload_now(struct reload_summary *summary, struct config_error *error)
{
	int result = reload(&control, summary, error);

	event_base_loop(control.base, EVLOOP_NONBLOCK); /* what came of it may run */
	return result;
}

static void test_applied(void **state)
{
	struct reload_summary summary;
	struct config_error error = {};
	struct verify *verify = control.ingest.verify;
	int socket = control.ingest.fd;

	(void)state;
	control.state.site[1].drained = true;
	control.state.service[0].member[0].estimate.service_time_s = 0.123;
	write_config("dba", 4, "  - {name: chat, ipv4: 192.0.2.80, port: 81}\n");
	if (reload_now(&summary, &error) != 0)
		fail_msg("%s", error.text);
	assert_memory_equal(&summary.services, (&(struct reload_count){1, 0, 1}),
			    sizeof(summary.services));
	assert_memory_equal(&summary.sites, (&(struct reload_count){1, 1, 2}),
			    sizeof(summary.sites));
	assert_int_equal(control.config->services, 2);
	assert_ptr_equal(control.state.config, control.config);
	assert_ptr_equal(control.routes.state, &control.state);
	assert_ptr_equal(control.demand.state, &control.state);
	assert_ptr_equal(control.demand.config, control.config);
	assert_ptr_equal(control.link.config, control.config);
	assert_ptr_equal(control.announce.config, control.config);
	assert_ptr_equal(control.rundir.config, control.config);
	assert_ptr_not_equal(control.ingest.verify, verify);
	assert_int_equal(control.ingest.fd, socket);
	assert_true(control.state.site[1].drained);
	assert_true(control.state.service[0].member[2].estimate.service_time_s == 0.123);
	/* The link has weights for everything, also for what is new. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(control.link.service[i].weight[0] +
					 control.link.service[i].weight[1] +
					 control.link.service[i].weight[2],
				 ROUTES_WEIGHT_SUM);
	assert_int_equal(control.link.service[1].weight[1], 0); /* drained */
}

/* A copy of every byte that a refused configuration must leave alone. */
static void test_refused(void **state)
{
	static const struct {
		const char *what, *more, *text;
	} wrong[] = {
		{"value", "  - {name: chat, ipv4: 192.0.2.80, port: 0}\n",
		 "services[1].port: expected 1..65535, found 0"},
		{"conflict", "  - {name: chat, ipv4: 192.0.2.80, port: 80}\n",
		 "the same address, protocol and port as services[0] ('infer')"},
		{"restart", "metrics: {listen: \"127.0.0.1:1\"}\n",
		 "metrics.listen: cannot change while it runs: restart suanlu-control"},
	};
	struct control before = control;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct reload_summary summary;
		struct config_error error = {};

		write_config("ab", 8, wrong[i].more);
		assert_true(reload(&control, &summary, &error) < 0);
		if (!strstr(error.text, wrong[i].text))
			fail_msg("%s: %s", wrong[i].what, error.text);
		assert_memory_equal(&control, &before, sizeof(control));
	}
	assert_int_equal(unlink(file), 0);
	assert_int_equal(reload(&control, &(struct reload_summary){}, &(struct config_error){}),
			 -ENOENT);
	assert_memory_equal(&control, &before, sizeof(control));
}

static void test_key(void **state)
{
	struct reload_summary summary;
	struct config_error error = {};
	struct key before = control.key;
	char kept[80];

	(void)state;
	/* Not readable any more: what was read stays (root reads everything, so as "others
	 * have access", which is -EACCES too). */
	assert_int_equal(chmod(key_file, 0644), 0);
	assert_int_equal(reload_now(&summary, &error), 0);
	assert_memory_equal(&control.key, &before, sizeof(before));
	assert_int_equal(chmod(key_file, 0600), 0);
	/* Another key under the same name is taken. */
	snprintf(kept, sizeof(kept), "%s.old", key_file);
	assert_int_equal(rename(key_file, kept), 0);
	assert_int_equal(reload_now(&summary, &error), -EINVAL);
	assert_non_null(strstr(error.text, "key: cannot read"));
	assert_int_equal(rename(site_key[1], key_file), 0);
	assert_int_equal(reload_now(&summary, &error), 0);
	assert_memory_not_equal(&control.key, &before, sizeof(before));
	assert_int_equal(rename(key_file, site_key[1]), 0);
	assert_int_equal(rename(kept, key_file), 0);
}

static bool drained_on_disk(char *text, size_t bytes)
{
	char path[96];
	FILE *in;

	snprintf(path, sizeof(path), "%s/run/drained", directory);
	in = fopen(path, "r");
	if (!in)
		return false;
	text[fread(text, 1, bytes - 1, in)] = '\0';
	fclose(in);
	return true;
}

/* A drained site that goes is forgotten, also on disk: should it come back, it is new. */
static void test_drained_goes(void **state)
{
	struct reload_summary summary;
	struct config_error error = {};
	char text[64] = "";

	(void)state;
	control.state.site[1].drained = control.state.site[2].drained = true;
	assert_int_equal(rundir_write_drained(&control.rundir, &control.state), 0);
	write_config("ac", 8, "");
	assert_int_equal(reload_now(&summary, &error), 0);
	assert_true(drained_on_disk(text, sizeof(text)));
	assert_string_equal(text, "c\n");
	write_config("abc", 8, "");
	assert_int_equal(reload_now(&summary, &error), 0);
	assert_false(control.state.site[1].drained);
	assert_true(control.state.site[2].drained);
}

/* To nothing and back, many times: nothing is lost on the way, in the sanitizer's eyes too. */
static void test_again_and_again(void **state)
{
	static const char *const sites[] = {"abc", "c", "cab", "ba", "abcdefgh"};
	struct reload_summary summary;
	struct config_error error = {};

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		write_config(sites[i % 5], 1 + i % 9,
			     i % 2 ? "  - {name: chat, ipv6: \"2001:db8::1\", port: 9}\n" : "");
		if (reload_now(&summary, &error) != 0)
			fail_msg("%s", error.text);
		assert_int_equal(control.config->services, 1 + i % 2);
		assert_int_equal(control.config->sites, strlen(sites[i % 5]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_applied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drained_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_again_and_again, set_up, tear_down),
	};
	char command[96];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	snprintf(file, sizeof(file), "%s/suanlu.yaml", directory);
	snprintf(key_file, sizeof(key_file), "%s/node.key", directory);
	if (sl_keygen(key_file, site_public[0]) < 0)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(site_key[i], sizeof(site_key[i]), "%s/site%u.key", directory, i);
		if (sl_keygen(site_key[i], site_public[i]) < 0)
			return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) != 0 || failed;
}
