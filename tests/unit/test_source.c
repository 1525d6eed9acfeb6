/* SPDX-License-Identifier: BSD-3-Clause */
/* Against the kernel itself: real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/agent/source.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>

#define OPEN_STATES (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)

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

struct seen {
	unsigned count, accepted;
	uint16_t port;
	uint32_t queue;
	uint64_t cookie[300];
};

static void collect(void *context, const struct source_socket *socket)
{
	struct seen *seen = context;

	seen->accepted += socket->accepted;
	seen->port = socket->port;
	seen->queue = socket->queue;
	assert_int_not_equal(socket->cookie, 0);
	assert_true(seen->count < 300);
	seen->cookie[seen->count++] = socket->cookie;
}

static struct seen dump(struct source *source, uint32_t states)
{
	struct seen seen = {0};

	assert_int_equal(source_dump(source, states, collect, &seen), 0);
	return seen;
}

/* Notices come from a kernel thread: wait for them, two seconds at most. */
static struct seen ended(struct source *source, unsigned count)
{
	struct seen seen = {0};

	for (unsigned i = 0; i < 200 && seen.count < count; i++) {
		assert_int_equal(source_ended(source, collect, &seen), 0);
		usleep(10000);
	}
	assert_int_equal(source_ended(source, collect, &seen), 0);
	return seen;
}

static void follows_a_connection(void **state)
{
	uint16_t port;
	int listener = listen_on(&port);
	struct source *source;

	(void)state;
	assert_int_equal(source_open(&source, &port, 1), 0);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		int client = connect_to(port, ipv6), server;
		struct seen seen = dump(source, OPEN_STATES);
		uint64_t cookie = seen.cookie[0];

		assert_int_equal(seen.count, 1); /* the client's end has another local port */
		assert_int_equal(seen.port, port);
		assert_int_equal(seen.accepted, 0);
		assert_int_equal(dump(source, 1u << TCP_LISTEN).queue, 1);

		server = accept(listener, NULL, NULL);
		seen = dump(source, OPEN_STATES);
		assert_int_equal(seen.count, 1);
		assert_int_equal(seen.accepted, 1);
		assert_int_equal(seen.cookie[0], cookie);
		assert_int_equal(dump(source, 1u << TCP_LISTEN).queue, 0);

		/* client first or server first, one notice each, for the server's end only */
		close(ipv6 ? client : server);
		if (ipv6)
			assert_int_equal(dump(source, 1u << TCP_CLOSE_WAIT).count, 1);
		close(ipv6 ? server : client);
		seen = ended(source, 1);
		assert_int_equal(seen.count, 1);
		assert_int_equal(seen.cookie[0], cookie);
		assert_int_equal(dump(source, OPEN_STATES).count, 0);
	}
	close(listener);
	usleep(50000);
	assert_int_equal(ended(source, 0).count, 0); /* a listener is no connection */
	assert_int_equal(dump(source, 1u << TCP_LISTEN).count, 0);
	source_close(source);
}

/* No polling gap: connections that no dump ever saw are told of all the same. */
static void counts_every_end(void **state)
{
	enum { COUNT = 200 };
	uint16_t port;
	int listener = listen_on(&port);
	struct source *source;
	struct seen seen;

	(void)state;
	assert_int_equal(source_open(&source, &port, 1), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		int client = connect_to(port, i % 2), server = accept(listener, NULL, NULL);

		close(server);
		close(client);
	}
	seen = ended(source, COUNT);
	assert_int_equal(seen.count, COUNT);
	close(listener);
	source_close(source);
}

static void sees_only_its_ports(void **state)
{
	enum { PORTS = 64 };
	uint16_t port[PORTS], other;
	int listener[PORTS], stranger = listen_on(&other);
	int client = connect_to(other, false), server = accept(stranger, NULL, NULL);
	struct source *source;

	(void)state;
	for (unsigned i = 0; i < PORTS; i++)
		listener[i] = listen_on(&port[i]);
	assert_int_equal(source_open(&source, port, 65), -EINVAL);
	for (unsigned ports = 1; ports <= PORTS; ports += ports < 3 ? 1 : 61) {
		struct seen seen;

		assert_int_equal(source_open(&source, port, ports), 0);
		assert_int_equal(dump(source, 1u << TCP_LISTEN).count, ports);
		assert_int_equal(dump(source, OPEN_STATES).count, 0);
		for (unsigned i = 0; i < ports; i++) {
			int one = connect_to(port[i], true);
			int end = accept(listener[i], NULL, NULL);

			seen = dump(source, OPEN_STATES);
			assert_int_equal(seen.count, 1);
			assert_int_equal(seen.port, port[i]);
			close(end);
			close(one);
		}
		close(connect_to(other, true)); /* must not be told */
		assert_int_equal(ended(source, ports).count, ports);
		source_close(source);
	}
	for (unsigned i = 0; i < PORTS; i++)
		close(listener[i]);
	close(server);
	close(client);
	close(stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_a_connection),
		cmocka_unit_test(counts_every_end),
		cmocka_unit_test(sees_only_its_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
