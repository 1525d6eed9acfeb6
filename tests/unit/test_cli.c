/* SPDX-License-Identifier: BSD-3-Clause */
/* What people type: addresses with ports, and JSON lines of load. */
#include "control/cli/address.h"
#include "control/telemetry/line.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		unsigned family;
		const char *ip;
		unsigned port;
	} cases[] = {
		{"192.0.2.1:80", 4, "192.0.2.1", 80},
		{"0.0.0.0:65535", 4, "0.0.0.0", 65535},
		{"[2001:db8::1]:443", 6, "2001:db8::1", 443},
		{"[::]:1", 6, "::", 1},
		{"[::ffff:192.0.2.1]:8080", 6, "::ffff:192.0.2.1", 8080},
		{"192.0.2.1:0080", 4, "192.0.2.1", 80},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		char ip[INET6_ADDRSTRLEN];
		const char *wrong = address_parse(cases[i].text, &address);
		if (wrong)
			fail_msg("%s: %s", cases[i].text, wrong);
		inet_ntop(cases[i].family == 4 ? AF_INET : AF_INET6, &address.ip, ip, sizeof(ip));
		assert_int_equal(address.family, cases[i].family);
		assert_string_equal(ip, cases[i].ip);
		assert_int_equal(address.port, cases[i].port);
	}
}

static void test_bad_addresses(void **state)
{
	static const struct {
		const char *what, *text;
	} cases[] = {
		{"nothing", ""},
		{"no port", "192.0.2.1"},
		{"empty port", "192.0.2.1:"},
		{"port 0", "192.0.2.1:0"},
		{"port too large", "192.0.2.1:65536"},
		{"port far too large", "192.0.2.1:99999999999999999999"},
		{"port with sign", "192.0.2.1:+80"},
		{"port in hexadecimal", "192.0.2.1:0x50"},
		{"port with blank", "192.0.2.1: 80"},
		{"blank after port", "192.0.2.1:80 "},
		{"three bytes", "192.0.2:80"},
		{"byte too large", "192.0.2.256:80"},
		{"name", "localhost:80"},
		{"no host", ":80"},
		{"IPv6 without brackets", "2001:db8::1:80"},
		{"IPv6 without end of bracket", "[2001:db8::1:80"},
		{"IPv6 without port", "[2001:db8::1]"},
		{"IPv6 without colon", "[2001:db8::1]80"},
		{"IPv4 in brackets", "[192.0.2.1]:80"},
		{"zone", "[fe80::1%eth0]:80"},
		{"empty brackets", "[]:80"},
		{"too long", "[2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:1]:80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address, before;
		memset(&address, 0xa5, sizeof(address));
		before = address;
		if (!address_parse(cases[i].text, &address))
			fail_msg("%s: accepted", cases[i].what);
		assert_memory_equal(&before, &address, sizeof(before));
	}
}

static int parse(const char *text, struct line *line, char error[256], json_t **object)
{
	json_error_t wrong;

	*object = json_loads(text, JSON_DECODE_ANY, &wrong);
	assert_non_null(*object);
	return line_parse(*object, line, error);
}

static void test_whole_line(void **state)
{
	struct line line;
	char error[256];
	json_t *object;

	(void)state;
	int status = parse("{\"service\":\"infer\",\"servers\":8,\"service_time_s\":0.02,"
			   "\"service_scv\":1.5,\"in_flight\":5,\"queued\":2,"
			   "\"arrivals_per_s\":100.5,\"completions_per_s\":99,"
			   "\"arrivals\":9007199254740993,\"completions\":41,"
			   "\"cpu_utilisation\":0.5,\"labels\":[\"ai\",\"edge\"],"
			   "\"price_per_hour\":0.8,\"pue\":1.2,\"valid_for_ms\":700,"
			   "\"measured_at_us\":1700000000000000}",
			   &line, error, &object);
	if (status != 0)
		fail_msg("%s", error);
	assert_string_equal(line.load.service, "infer");
	assert_int_equal(line.load.servers, 8);
	assert_true(line.load.service_time_s == 0.02);
	assert_true(line.load.service_scv == 1.5);
	assert_int_equal(line.load.in_flight, 5);
	assert_int_equal(line.load.queued, 2);
	assert_true(line.load.arrivals_per_s == 100.5);
	assert_true(line.load.completions_per_s == 99);
	assert_true(line.load.arrivals == 9007199254740993); /* 2^53 + 1: no double has it */
	assert_int_equal(line.load.completions, 41);
	assert_true(line.load.cpu_utilisation == 0.5);
	assert_int_equal(line.report.labels, 2);
	assert_string_equal(line.report.label[1], "edge");
	assert_true(line.report.price_per_hour == 0.8);
	assert_true(line.report.pue == 1.2);
	assert_int_equal(line.report.valid_for_ms, 700);
	assert_true(line.report.measured_at_us == 1700000000000000);
	assert_ptr_equal(line.report.load, &line.load);
	assert_int_equal(line.report.loads, 1);
	json_decref(object);
}

static void test_short_line(void **state)
{
	struct line line;
	char error[256];
	json_t *object;

	(void)state;
	assert_int_equal(parse("{\"service\":\"s\"}", &line, error, &object), 0);
	assert_int_equal(line.load.servers, 0);
	assert_true(line.load.service_scv < 0 && line.load.cpu_utilisation < 0); /* unknown */
	assert_int_equal(line.report.labels, 0);
	json_decref(object);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{"7", "object"},
		{"[]", "object"},
		{"{}", "service"},
		{"{\"servers\":2}", "service"},
		{"{\"service\":\"\"}", "service"},
		{"{\"service\":7}", "service"},
		{"{\"service\":\"a-name-that-is-longer-than-thirty-one\"}", "service"},
		{"{\"service\":\"s\",\"server\":2}", "server"},
		{"{\"service\":\"s\",\"servers\":-1}", "servers"},
		{"{\"service\":\"s\",\"servers\":1.5}", "servers"},
		{"{\"service\":\"s\",\"servers\":\"2\"}", "servers"},
		{"{\"service\":\"s\",\"servers\":4294967296}", "servers"},
		{"{\"service\":\"s\",\"servers\":null}", "servers"},
		{"{\"service\":\"s\",\"queued\":true}", "queued"},
		{"{\"service\":\"s\",\"arrivals\":-1}", "arrivals"},
		{"{\"service\":\"s\",\"service_time_s\":-0.1}", "service_time_s"},
		{"{\"service\":\"s\",\"service_time_s\":[1]}", "service_time_s"},
		{"{\"service\":\"s\",\"cpu_utilisation\":1.5}", "cpu_utilisation"},
		{"{\"service\":\"s\",\"labels\":\"ai\"}", "labels"},
		{"{\"service\":\"s\",\"labels\":[1]}", "labels"},
		{"{\"service\":\"s\",\"labels\":[\"\"]}", "labels"},
		{"{\"service\":\"s\",\"labels\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
		 "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}",
		 "labels"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line line;
		char error[256] = "";
		json_t *object;
		if (parse(cases[i].text, &line, error, &object) != -EINVAL)
			fail_msg("%s: accepted", cases[i].text);
		if (!strstr(error, cases[i].names))
			fail_msg("%s: '%s' does not name %s", cases[i].text, error, cases[i].names);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),  cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_whole_line), cmocka_unit_test(test_short_line),
		cmocka_unit_test(test_bad_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
