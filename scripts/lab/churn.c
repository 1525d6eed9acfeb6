/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short TCP connections at a steady rate: connect, a request, an answer, close. For measuring
 * what watching them costs: it prints each quarter of a second how many there were a second, and
 * the CPU time that each took, softirq work included, since that is done in the sender's
 * system call.
 *
 *	churn PORT PER_SECOND SECONDS [TUN]
 *
 * With TUN the clients are elsewhere, as far as this host's kernel can tell: their packets come
 * in by that interface, and the least TCP that does it is here (tunnel.c). Else both ends
 * are sockets of this host.
 */
#include "tunnel.h"
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH TUNNEL_BATCH
#define NS_PER_S 1000000000ull
#define TELL_NS (NS_PER_S / 4)

static struct sockaddr_in at = {.sin_family = AF_INET};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int listener_open(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in any = at;

	any.sin_addr.s_addr = INADDR_ANY;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 4 * BATCH) < 0)
		error(1, errno, "port %d", ntohs(at.sin_port));
	return fd;
}

static void client_open(int *fd)
{
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || connect(*fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		error(1, errno, "connect");
	if (write(*fd, TUNNEL_REQUEST, sizeof(TUNNEL_REQUEST) - 1) < 0)
		error(1, errno, "request");
}

/* The server's side: it closes first, as a server of HTTP/1.0 does. */
static void serve(int listener)
{
	char text[64];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || read(fd, text, sizeof(text)) <= 0 ||
	    write(fd, "HTTP/1.1 204 \r\n\r\n", 17) != 17)
		error(1, errno, "answer");
	close(fd);
}

static void batch_here(int listener)
{
	int client[BATCH];
	char text[64];

	for (unsigned i = 0; i < BATCH; i++)
		client_open(&client[i]);
	for (unsigned i = 0; i < BATCH; i++)
		serve(listener);
	for (unsigned i = 0; i < BATCH; i++) {
		while (read(client[i], text, sizeof(text)) > 0)
			;
		close(client[i]);
	}
}

static void batch_elsewhere(int listener, struct tunnel *tunnel)
{
	tunnel_connect(tunnel);
	for (unsigned i = 0; i < BATCH; i++)
		serve(listener);
	tunnel_close(tunnel);
}

static void batch_run(int listener, struct tunnel *tunnel)
{
	if (tunnel)
		batch_elsewhere(listener, tunnel);
	else
		batch_here(listener);
}

struct told {
	uint64_t at_ns, cpu_ns, done;
};

/* Since the last line. */
static void tell(struct told *told, uint64_t now, uint64_t done)
{
	uint64_t cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	printf("%.0f %.0f\n", (double)(done - told->done) * 1e9 / (double)(now - told->at_ns),
	       (double)(cpu_ns - told->cpu_ns) / (double)(done - told->done));
	fflush(stdout);
	*told = (struct told){now, cpu_ns, done};
}

static void wait_until(uint64_t due_ns)
{
	const struct timespec due = {(time_t)(due_ns / NS_PER_S), (long)(due_ns % NS_PER_S)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

int main(int argc, char **argv)
{
	struct tunnel *tunnel = NULL;
	uint64_t due_ns, end_ns, now, done = 0;
	struct told told;
	unsigned per_s;
	int listener;

	if (argc < 4 || argc > 5 || atoi(argv[2]) < BATCH)
		error(1, 0, "usage: churn PORT PER_SECOND SECONDS [TUN]");
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	per_s = (unsigned)atoi(argv[2]);
	listener = listener_open();
	if (argc == 5)
		tunnel = tunnel_open(argv[4], (uint16_t)atoi(argv[1]));
	due_ns = now_ns(CLOCK_MONOTONIC);
	end_ns = due_ns + (uint64_t)atoi(argv[3]) * NS_PER_S;
	told = (struct told){due_ns, now_ns(CLOCK_PROCESS_CPUTIME_ID), 0};
	while ((now = now_ns(CLOCK_MONOTONIC)) < end_ns) {
		if (now - told.at_ns >= TELL_NS)
			tell(&told, now, done);
		if (now < due_ns)
			wait_until(due_ns);
		batch_run(listener, tunnel);
		done += BATCH;
		due_ns += BATCH * NS_PER_S / per_s;
		if (due_ns + NS_PER_S / 10 < now) /* too slow: no burst afterwards */
			due_ns = now;
	}
	return 0;
}
