/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines on standard input: what is good is known while it is valid, what is bad changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/agent/feed.h"
#include <fcntl.h>
#include <time.h>

#define S 1000000000ull

static struct agent_service service[] = {
	{.name = "own", .servers = 4, .source = AGENT_SOURCE_STDIN},
	{.name = "web", .servers = 9, .source = AGENT_SOURCE_AUTO, .port = 80},
	{.name = "more", .servers = 7, .source = AGENT_SOURCE_STDIN},
};
static struct agent_config config = {.service = service, .services = 3};
static struct event_base *base;
static struct feed *feed;
static int writer;
static unsigned told;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * S + (uint64_t)time.tv_nsec;
}

static void count_told(void *context)
{
	(void)context;
	told++;
}

static int setup(void **state)
{
	struct config_error error;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	writer = ends[1];
	base = event_base_new();
	return feed_open(&feed, &config, base, count_told, NULL, &error);
}

static int teardown(void **state)
{
	(void)state;
	feed_close(feed);
	event_base_free(base);
	libevent_global_shutdown();
	if (writer >= 0)
		close(writer);
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(write(writer, text, strlen(text)), strlen(text));
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void good_lines_count(void **state)
{
	struct sl_load load;

	(void)state;
	assert_false(feed_read(feed, 0, now(), &load));
	told = 0;
	say("{\"service\": \"own\", \"in_flight\": 3, \"service_time_s\": 0.02}\r\n");
	assert_int_equal(told, 1);
	assert_true(feed_read(feed, 0, now(), &load));
	assert_string_equal(load.service, "own");
	assert_int_equal(load.in_flight, 3);
	assert_int_equal(load.servers, 4); /* of the configuration */
	assert_true(load.service_time_s == 0.02 && load.service_scv < 0 &&
		    load.cpu_utilisation < 0);
	assert_false(feed_read(feed, 2, now(), &load));
	/* in pieces, and two at once */
	say("\n{\"service\": \"more\", \"servers\"");
	assert_false(feed_read(feed, 2, now(), &load));
	say(": 5}\n{\"service\": \"own\", \"queued\": 8, \"valid_for_ms\": 60000}\n");
	assert_true(feed_read(feed, 2, now(), &load));
	assert_int_equal(load.servers, 5);
	/* each as long as it says, or 3 s */
	assert_true(feed_read(feed, 2, now() + 2 * S, &load));
	assert_false(feed_read(feed, 2, now() + 3 * S, &load));
	assert_true(feed_read(feed, 0, now() + 59 * S, &load));
	assert_int_equal(load.queued, 8);
	assert_int_equal(load.in_flight, 0); /* a line is whole */
	assert_false(feed_read(feed, 0, now() + 60 * S, &load));
}

static void bad_lines_change_nothing(void **state)
{
	static const char *const line[] = {
		"x",
		"[1]",
		"{\"service\": \"own\"",
		"{}",
		"{\"in_flight\": 3}",
		"{\"service\": \"web\", \"in_flight\": 3}", /* is watched */
		"{\"service\": \"nobody\"}",
		"{\"service\": 1}",
		"{\"service\": \"\"}",
		"{\"service\": \"own\", \"in_flight\": -1}",
		"{\"service\": \"own\", \"in_flight\": 1.5}",
		"{\"service\": \"own\", \"in_flight\": NaN}",
		"{\"service\": \"own\", \"in_flight\": 4000000000}",
		"{\"service\": \"own\", \"service_time_s\": 1e300}",
		"{\"service\": \"own\", \"service_time_s\": \"1\"}",
		"{\"service\": \"own\", \"cpu_utilisation\": 1.5}",
		"{\"service\": \"own\", \"servers\": 2000000}",
		"{\"service\": \"own\", \"valid_for_ms\": 70000}",
		"{\"service\": \"own\", \"price_per_hour\": 1}",
		"{\"service\": \"own\", \"labels\": [\"ai\"]}",
		"{\"service\": \"own\", \"measured_at_us\": 1}",
		"{\"service\": \"own\", \"colour\": 1}",
		"{\"service\": \"own\", \"service\": \"own\"}",
		"{\"service\": \"own\"} {}",
		"\x1b[31m\xff\xfe",
	};
	struct sl_load load;

	(void)state;
	say("{\"service\": \"own\", \"in_flight\": 2, \"queued\": 1}\n");
	for (size_t i = 0; i < sizeof(line) / sizeof(*line); i++) {
		say(line[i]);
		say("\n");
		assert_true(feed_read(feed, 0, now(), &load));
		if (load.in_flight != 2 || load.queued != 1)
			fail_msg("%s: %u, %u", line[i], load.in_flight, load.queued);
		assert_false(feed_read(feed, 2, now(), &load));
	}
	feed_summary(feed); /* 26 lines, 25 bad */
}

/* It is dropped up to its end, however long; what follows counts. */
static void long_lines_are_dropped(void **state)
{
	static char text[50001];
	struct sl_load load;

	(void)state;
	memset(text, 'x', 50000);
	for (unsigned i = 0; i < 20; i++)
		say(text);
	say("{\"service\": \"own\"}\n");
	assert_false(feed_read(feed, 0, now(), &load));
	say("{\"service\": \"own\", \"in_flight\": 1}\n");
	assert_true(feed_read(feed, 0, now(), &load));
}

static void end_is_noticed(void **state)
{
	struct sl_load load;

	(void)state;
	say("{\"service\": \"more\"}\n{\"service\": \"own\", \"in_flight\": 6}");
	close(writer);
	writer = -1;
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(feed_read(feed, 0, now(), &load)); /* the last needs no end of line */
	assert_int_equal(load.in_flight, 6);
	assert_false(feed_ended(feed, now()));
	assert_true(feed_ended(feed, now() + 4 * S));
}

static void wants_a_pipe(void **state)
{
	static const char *const file[] = {"/dev/null", "/proc/self/exe"};
	struct config_error error;
	struct feed *none;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int fd = open(file[i], O_RDONLY);

		dup2(fd, STDIN_FILENO);
		close(fd);
		assert_true(feed_open(&none, &config, base, count_told, NULL, &error) < 0);
		assert_non_null(strstr(error.text, "PROGRAM | suanlu-agent"));
		assert_null(none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_lines_count, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_lines_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(end_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(wants_a_pipe, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
