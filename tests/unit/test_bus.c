/* SPDX-License-Identifier: BSD-3-Clause */
/* A server that says what a NATS server says, up to a point: what is told of it, and the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/bus.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INFO    \
	"INFO " \
	"{\"server_id\":\"x\",\"version\":\"2.9.10\",\"max_payload\":1048576,\"proto\":1}\r\n"

static int listener;
static unsigned greeted; /* connections, that got no more than INFO */

/* The first one it serves for a moment; all others it greets, and says no more. */
static void *serve(void *argument)
{
	char text[4096];

	(void)argument;
	for (unsigned i = 0;; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		(void)!write(fd, INFO, strlen(INFO));
		if (i > 0) {
			__atomic_fetch_add(&greeted, 1, __ATOMIC_RELAXED);
			continue;
		}
		(void)!read(fd, text, sizeof(text));
		(void)!write(fd, "PONG\r\n", 6);
		usleep(200000);
		close(fd);
	}
}

static unsigned listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	return ntohs(address.sin_port);
}

static bool within_s(double s, bool (*holds)(struct bus *bus), struct bus *bus)
{
	for (double waited_s = 0; waited_s < s; waited_s += 0.01) {
		if (holds(bus))
			return true;
		usleep(10000);
	}
	return false;
}

static bool is_told(struct bus *bus)
{
	struct bus_status status;

	bus_status(bus, &status);
	return *status.error;
}

static bool was_connected(struct bus *bus)
{
	struct bus_status status;

	bus_status(bus, &status);
	return status.connects > 0;
}

static bool is_greeted(struct bus *bus)
{
	(void)bus;
	return __atomic_load_n(&greeted, __ATOMIC_RELAXED) > 0;
}

static struct bus *begin(unsigned port)
{
	char url[64], error[BUS_ERROR_TEXT];
	const char *server[] = {url};
	const struct sl_bus config = {.server = server, .servers = 1};
	struct bus *bus;

	snprintf(url, sizeof(url), "nats://user:secret@127.0.0.1:%u", port);
	assert_int_equal(bus_open(&bus, &config, "test", NULL, NULL, error), 0);
	return bus;
}

static void says_where_nobody_answers(void **state)
{
	unsigned port = listen_somewhere();
	struct bus_status status;
	struct bus *bus;
	char expected[64];

	(void)state;
	close(listener);
	bus_close(begin(port)); /* not started */
	bus = begin(port);
	assert_int_equal(bus_start(bus), 0);
	assert_true(within_s(10, is_told, bus));
	bus_status(bus, &status);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u: ", port);
	assert_memory_equal(status.error, expected, strlen(expected));
	assert_non_null(strstr(status.error, "see that nats-server runs"));
	assert_null(strstr(status.error, ".c:"));
	bus_close(bus);
}

static void ends_though_the_server_hangs(void **state)
{
	unsigned port = listen_somewhere();
	struct bus *bus = begin(port);
	struct timespec from, to;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(bus_start(bus), 0);
	assert_true(within_s(10, was_connected, bus));
	assert_true(within_s(10, is_greeted, bus));
	clock_gettime(CLOCK_MONOTONIC, &from);
	bus_close(bus);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 15);
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_where_nobody_answers),
		cmocka_unit_test(ends_though_the_server_hangs),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fflush(NULL);
	_exit(failed); /* a thread of libnats may wait for ever */
}
