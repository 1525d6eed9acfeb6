/* SPDX-License-Identifier: BSD-3-Clause */
/* control.sock as a client sees it, on a control without a dataplane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/answer.h"
#include "control/clock.h"

#define WAIT_S 3

static char directory[] = "/tmp/test_answer.XXXXXX", file[64];
static struct control control;
static struct answer answer;

static void write_config(const char *sites)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fprintf(out,
		"node: edge1\naddress: fc00:e::1\nrun_dir: %s/run\ndataplane: {ports: [lo]}\n"
		"services:\n  - {name: infer, ipv4: 192.0.2.80, port: 80}\nsites:\n",
		directory);
	for (; *sites; sites++)
		fprintf(out, "  - {name: %c, sid: \"fc00:%c::46\"}\n", *sites, *sites);
	fclose(out);
}

static int set_up(void **state)
{
	struct config_error error = {};

	(void)state;
	write_config("abc");
	if (control_open(&control, file, &error) < 0 ||
	    answer_open(&answer, &control, &error) < 0) {
		print_error("%s\n", error.text);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	char path[96];

	(void)state;
	answer_close(&answer);
	control_close(&control);
	snprintf(path, sizeof(path), "%s/run/drained", directory);
	unlink(path);
	return 0;
}

static int client_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, answer.path, sizeof(address.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* What comes until `lines` line ends, or until the other end closes. */
static size_t receive(int fd, unsigned lines, char *text, size_t bytes)
{
	double until_s = clock_s() + WAIT_S;
	size_t got = 0;

	while (lines > 0 && clock_s() < until_s) {
		ssize_t n;

		event_base_loop(control.base, EVLOOP_NONBLOCK);
		n = recv(fd, text + got, bytes - got - 1, 0);
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			lines -= text[got + (size_t)i] == '\n';
		got += n > 0 ? (size_t)n : 0;
	}
	text[got] = '\0';
	return got;
}

static void hang_up(int fd)
{
	double until_s = clock_s() + WAIT_S;

	close(fd);
	while (answer.clients > 0 && clock_s() < until_s)
		event_base_loop(control.base, EVLOOP_NONBLOCK);
	assert_int_equal(answer.clients, 0);
}

static json_t *ask(const char *request)
{
	static char text[65536];
	json_error_t error;
	int fd = client_open();

	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	receive(fd, 1, text, sizeof(text));
	hang_up(fd);
	json_t *parsed = json_loads(text, 0, &error);

	if (!parsed)
		fail_msg("%s: '%s': %s", request, text, error.text);
	return parsed;
}

static bool is_ok(const json_t *object)
{
	return json_is_true(json_object_get(object, "ok"));
}

static void assert_error(const char *request, const char *expected)
{
	json_t *object = ask(request);

	assert_false(is_ok(object));
	assert_string_equal(json_string_value(json_object_get(object, "error")), expected);
	json_decref(object);
}

static void shows(void **state)
{
	static const struct {
		const char *command;
		size_t entries; /* of the list or object of that name */
	} show[] = {
		{"services", 1}, {"sites", 3}, {"routes", 3}, {"reports", VERIFY_REASON_COUNT + 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(show) / sizeof(*show); i++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"command\": \"%s\"}\n", show[i].command);
		json_t *object = ask(request), *what = json_object_get(object, show[i].command);

		assert_true(is_ok(object));
		assert_int_equal(json_is_array(what) ? json_array_size(what)
						     : json_object_size(what),
				 show[i].entries);
		json_decref(object);
	}
	json_t *status = ask("{\"command\": \"status\"}\n");

	assert_true(is_ok(status));
	assert_string_equal(json_string_value(json_object_get(status, "node")), "edge1");
	assert_true(json_is_false(json_object_get(status, "dataplane_connected")));
	json_decref(status);
}

static void refuses(void **state)
{
	(void)state;
	assert_error("{\"command\": \"dance\"}\n", "unknown command 'dance'");
	assert_error("{}\n", "expected {\"command\": \"...\"}");
	assert_error("[1]\n", "not a JSON object: another type");
	assert_error("{\"command\": \"drain\"}\n", "expected \"site\"");
	assert_error("{\"command\": \"drain\", \"site\": \"x\"}\n",
		     "no site 'x' in the configuration");
}

static double weight_of(const char *site)
{
	json_t *object = ask("{\"command\": \"routes\"}\n"), *route;
	double weight = -1;
	size_t index;

	json_array_foreach (json_object_get(object, "routes"), index, route)
		if (strcmp(json_string_value(json_object_get(route, "site")), site) == 0)
			weight = json_number_value(json_object_get(route, "weight"));
	json_decref(object);
	return weight;
}

/* At once in the weights, and on disk before it is answered. */
static void drains(void **state)
{
	char path[96], name[8] = "";
	FILE *in;

	(void)state;
	json_decref(ask("{\"command\": \"drain\", \"site\": \"b\"}\n"));
	assert_true(control.state.site[1].drained);
	assert_true(weight_of("b") == 0 && weight_of("a") > 0.4);
	snprintf(path, sizeof(path), "%s/run/drained", directory);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(name, sizeof(name), in));
	fclose(in);
	assert_string_equal(name, "b\n");
	json_decref(ask("{\"command\": \"undrain\", \"site\": \"b\"}\n"));
	assert_false(control.state.site[1].drained);
	/* what cannot be remembered is not done */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	json_t *object = ask("{\"command\": \"drain\", \"site\": \"b\"}\n");

	assert_false(is_ok(object));
	assert_false(control.state.site[1].drained);
	json_decref(object);
	assert_int_equal(rmdir(path), 0);
}

static void reloads(void **state)
{
	json_t *object;

	(void)state;
	write_config("ab");
	object = ask("{\"command\": \"reload\"}\n");
	assert_true(is_ok(object));
	assert_string_equal(json_string_value(json_object_get(object, "file")), file);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(object, "sites"), "removed")),
		1);
	json_decref(object);
	write_config("");
	object = ask("{\"command\": \"reload\"}\n");
	assert_false(is_ok(object));
	assert_non_null(strstr(json_string_value(json_object_get(object, "error")),
			       "suanlu.yaml:7: sites: required"));
	json_decref(object);
	assert_int_equal(control.config->sites, 2);
}

/* Several requests of one client, in pieces, the last after it has closed its half. */
static void serves_a_slow_client(void **state)
{
	static char text[65536];
	int fd = client_open();

	(void)state;
	assert_int_equal(send(fd, "{\"command\": \"sta", 16, 0), 16);
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	assert_int_equal(send(fd, "tus\"}\n{\"command\": \"sites\"}\n", 27, 0), 27);
	shutdown(fd, SHUT_WR);
	receive(fd, 2, text, sizeof(text));
	assert_non_null(strstr(text, "\"node\""));
	assert_non_null(strstr(text, "\"sites\""));
	assert_int_equal(receive(fd, 1, text, sizeof(text)), 0);
	hang_up(fd);
}

static void hangs_up_on_endless_lines(void **state)
{
	static char line[2 * ANSWER_REQUEST_BYTES], text[64];
	int fd = client_open();

	(void)state;
	memset(line, ' ', sizeof(line));
	assert_true(send(fd, line, sizeof(line), 0) > 0);
	assert_int_equal(receive(fd, 1, text, sizeof(text)), 0);
	hang_up(fd);
}

static void is_closed_to_others(void **state)
{
	struct stat stat_now;

	(void)state;
	assert_int_equal(stat(answer.path, &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 07777, 0660);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(shows),
		T(refuses),
		T(drains),
		T(reloads),
		T(serves_a_slow_client),
		T(hangs_up_on_endless_lines),
		T(is_closed_to_others),
	};
	char command[96];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	snprintf(file, sizeof(file), "%s/suanlu.yaml", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) != 0 || failed;
}
