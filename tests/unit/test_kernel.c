/* SPDX-License-Identifier: BSD-3-Clause */
/* Our BPF programs in the running kernel, on real sockets. Skipped where they are not allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/agent/kernel.h"
#include "control/agent/resync.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* A dual-stack listener on a free port. */
static int listen_on(uint16_t *port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	socklen_t bytes = sizeof(any);
	int fd = socket(AF_INET6, SOCK_STREAM, 0), off = 0;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	assert_int_equal(bind(fd, (struct sockaddr *)&any, bytes), 0);
	assert_int_equal(listen(fd, 64), 0);
	getsockname(fd, (struct sockaddr *)&any, &bytes);
	*port = ntohs(any.sin6_port);
	return fd;
}

static int connect_to(uint16_t port, bool ipv6)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(port),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, ipv6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
				 ipv6 ? sizeof(v6) : sizeof(v4)),
			 0);
	return fd;
}

static struct kernel *open_or_skip(uint16_t port, uint32_t servers, bool requests)
{
	const struct kernel_service service[2] = {{0, 1}, {port, servers}};
	struct kernel *kernel;
	char why[160] = "";

	if (kernel_open(&kernel, service, 2, requests, why) < 0) {
		print_message("skipped: %s\n", why);
		assert_true(geteuid() != 0 || strstr(why, "BTF") || strstr(why, "CAP_BPF"));
		skip();
	}
	return kernel;
}

static struct kernel_counts counts(struct kernel *kernel)
{
	struct kernel_counts count;

	assert_int_equal(kernel_read(kernel, 1, &count), 0);
	return count;
}

static void times_connections(void **state)
{
	uint16_t port;
	int listener = listen_on(&port);
	struct kernel *kernel = open_or_skip(port, 1, false);
	struct kernel_histogram histogram;
	struct kernel_counts count;

	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		int client = connect_to(port, ipv6), server;

		assert_int_equal(kernel_present(kernel, 1), 1);
		assert_int_equal(counts(kernel).arrivals, ipv6 + 1);
		server = accept(listener, NULL, NULL);
		usleep(50000);
		/* closed by the client is still work; closed by the server is not */
		close(ipv6 ? client : server);
		assert_int_equal(kernel_present(kernel, 1), ipv6);
		close(ipv6 ? server : client);
		assert_int_equal(kernel_present(kernel, 1), 0);
	}
	count = counts(kernel);
	assert_int_equal(count.completions, 2);
	assert_int_equal(count.sojourns, 2);
	assert_int_equal(count.alone, 2);
	assert_in_range(count.sojourn_us, 100000, 400000);
	assert_int_equal(kernel_histogram(kernel, 1, &histogram), 0);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (histogram.bucket[i])
			assert_in_range(i, histogram_bucket(49000), histogram_bucket(300000));
	kernel_close(kernel);
	close(listener);
}

/* The second finds the only server busy: it waits, and is not taken for service time. */
static void tells_waiting_from_service(void **state)
{
	uint16_t port;
	int listener = listen_on(&port), client[2], server[2];
	struct kernel *kernel = open_or_skip(port, 1, false);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		client[i] = connect_to(port, false);
	for (unsigned i = 0; i < 2; i++)
		server[i] = accept(listener, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		close(server[i]);
		close(client[i]);
	}
	assert_int_equal(counts(kernel).sojourns, 2);
	assert_int_equal(counts(kernel).alone, 1);
	kernel_close(kernel);
	close(listener);
}

static void sees_only_its_own(void **state)
{
	uint16_t port, other;
	int listener = listen_on(&port), stranger = listen_on(&other), client, server;
	struct kernel *kernel = open_or_skip(port, 1, false);
	struct kernel_counts count;

	(void)state;
	client = connect_to(other, false);
	server = accept(stranger, NULL, NULL);
	close(server);
	close(client);
	assert_int_equal(counts(kernel).arrivals, 0);
	assert_int_equal(kernel_read(kernel, 0, &count), 0);
	assert_int_equal(count.arrivals, 0);
	kernel_close(kernel);
	close(listener);
	close(stranger);
}

/* Of very many only a part is timed, and every one counted. */
static void times_a_part_of_many(void **state)
{
	uint16_t port;
	int listener = listen_on(&port);
	struct kernel *kernel = open_or_skip(port, 1, false);

	(void)state;
	kernel_time(kernel, 1, 9000); /* each fourth */
	for (unsigned i = 0; i < 400; i++) {
		int client = connect_to(port, false), server = accept(listener, NULL, NULL);

		close(server);
		close(client);
	}
	assert_int_equal(counts(kernel).arrivals, 400);
	assert_int_equal(counts(kernel).completions, 400);
	assert_in_range(counts(kernel).sojourns, 60, 140);
	assert_int_equal(kernel_present(kernel, 1), 0);
	kernel_close(kernel);
	close(listener);
}

static bool readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 50) == 1;
}

static void wakes_when_load_jumps(void **state)
{
	uint16_t port;
	int listener = listen_on(&port), client[4];
	struct kernel *kernel = open_or_skip(port, 1, false);
	int fd = kernel_wake_fd(kernel);

	(void)state;
	client[0] = connect_to(port, false);
	assert_false(readable(fd)); /* nobody wanted to be woken yet */
	kernel_wake_at(kernel, 1, 2, INT64_MIN);
	kernel_wake_again(kernel);
	client[1] = connect_to(port, false);
	assert_false(readable(fd));
	client[2] = connect_to(port, false);
	assert_true(readable(fd));
	kernel_wake_at(kernel, 1, 10, 3);
	kernel_wake_again(kernel);
	assert_false(readable(fd));
	client[3] = connect_to(port, false);
	assert_false(readable(fd));
	for (unsigned i = 0; i < 2; i++)
		close(accept(listener, NULL, NULL));
	assert_true(readable(fd)); /* two are left */
	for (unsigned i = 0; i < 4; i++)
		close(client[i]);
	kernel_close(kernel);
	close(listener);
}

static void exchange(int from, int to)
{
	char byte = 'x';

	assert_int_equal(write(from, &byte, 1), 1);
	assert_int_equal(read(to, &byte, 1), 1);
}

static void counts_requests_within(void **state)
{
	uint16_t port;
	int listener = listen_on(&port);
	struct kernel *kernel = open_or_skip(port, 1, true);
	int client = connect_to(port, false), server = accept(listener, NULL, NULL);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		exchange(client, server);
		exchange(client, server); /* more of the same request */
		exchange(server, client);
	}
	assert_int_equal(counts(kernel).requests, 3);
	close(client);
	close(server);
	kernel_close(kernel);
	close(listener);
}

static int service_of(void *context, uint16_t port)
{
	return port == *(uint16_t *)context ? 1 : -1;
}

/* Connections from before us, and ones whose end was missed. */
static void falls_in_line_with_a_dump(void **state)
{
	uint16_t port;
	int listener = listen_on(&port), client = connect_to(port, false);
	int server = accept(listener, NULL, NULL);
	struct kernel *kernel = open_or_skip(port, 4, false);
	struct source *source;

	(void)state;
	assert_int_equal(source_open_dump(&source, &port, 1), 0);
	assert_int_equal(kernel_present(kernel, 1), 0);
	assert_int_equal(resync(kernel, source, service_of, &port), 1);
	assert_int_equal(kernel_present(kernel, 1), 1);
	assert_int_equal(resync(kernel, source, service_of, &port), 0);
	kernel_correct(kernel, 1, 1); /* as if an end had been missed */
	assert_int_equal(kernel_present(kernel, 1), 2);
	assert_int_equal(resync(kernel, source, service_of, &port), 1);
	assert_int_equal(kernel_present(kernel, 1), 1);
	close(server);
	close(client);
	/* its end counts, its time is unknown */
	assert_int_equal(kernel_present(kernel, 1), 0);
	assert_int_equal(counts(kernel).completions, 1);
	assert_int_equal(counts(kernel).sojourns, 0);
	source_close(source);
	kernel_close(kernel);
	close(listener);
}

/* Connections come and go as fast as they can while a dump is compared, again and again. */
static void stays_in_line_under_load(void **state)
{
	uint16_t port;
	int listener = listen_on(&port), fd[2];
	struct kernel *kernel = open_or_skip(port, 4, false);
	struct source *source;
	unsigned compared = 0, wrong = 0;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(source_open_dump(&source, &port, 1), 0);
	assert_int_equal(pipe(fd), 0);
	child = fork();
	if (child == 0) {
		close(fd[0]);
		for (unsigned i = 0; i < 3000; i++) {
			int client = connect_to(port, i % 2), server = accept(listener, NULL, NULL);

			close(i % 3 ? client : server);
			close(i % 3 ? server : client);
		}
		_exit(0);
	}
	close(fd[1]);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	while (read(fd[0], &byte, 1) < 0) { /* until the child ends */
		int changes = resync(kernel, source, service_of, &port);

		assert_true(changes >= 0);
		wrong += changes > 0;
		compared++;
	}
	print_message("%u of %u dumps put something right\n", wrong, compared);
	/* an event may have been under way on another CPU, and the next dump takes that back */
	assert_true(wrong * 10 <= compared);
	waitpid(child, NULL, 0);
	assert_int_equal(counts(kernel).arrivals, 3000);
	assert_int_equal(kernel_present(kernel, 1), 0);
	assert_int_equal(resync(kernel, source, service_of, &port), 0);
	close(fd[0]);
	source_close(source);
	kernel_close(kernel);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_connections),
		cmocka_unit_test(tells_waiting_from_service),
		cmocka_unit_test(sees_only_its_own),
		cmocka_unit_test(times_a_part_of_many),
		cmocka_unit_test(wakes_when_load_jumps),
		cmocka_unit_test(counts_requests_within),
		cmocka_unit_test(falls_in_line_with_a_dump),
		cmocka_unit_test(stays_in_line_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
