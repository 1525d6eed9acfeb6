/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short TCP connections at a steady rate, both ends in one thread on loopback: connect, a request,
 * an answer, close. For measuring what watching them costs: it prints each second how many
 * there were and the CPU time that each took, softirq work included, since on loopback
 * that is done in the sender's system call.
 *
 *	churn PORT PER_SECOND SECONDS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 20
#define NS_PER_S 1000000000ull

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

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4 * BATCH) < 0)
		error(1, errno, "port %d", ntohs(at.sin_port));
	return fd;
}

static void client_open(int *fd)
{
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || connect(*fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		error(1, errno, "connect");
	if (write(*fd, "GET / HTTP/1.1\r\n\r\n", 18) != 18)
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

static void batch_run(int listener)
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

int main(int argc, char **argv)
{
	uint64_t start_ns = now_ns(CLOCK_MONOTONIC), due_ns = start_ns, told_ns = start_ns, end_ns;
	uint64_t cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), done = 0;
	unsigned per_s;
	int listener;

	if (argc != 4 || atoi(argv[2]) < BATCH)
		error(1, 0, "usage: churn PORT PER_SECOND SECONDS");
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	per_s = (unsigned)atoi(argv[2]);
	end_ns = start_ns + (uint64_t)atoi(argv[3]) * NS_PER_S;
	listener = listener_open();
	while (now_ns(CLOCK_MONOTONIC) < end_ns) {
		uint64_t now = now_ns(CLOCK_MONOTONIC);

		if (now - told_ns >= NS_PER_S) {
			uint64_t used_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;

			printf("%.0f %.0f\n", (double)done * 1e9 / (double)(now - told_ns),
			       (double)used_ns / (double)done);
			fflush(stdout);
			cpu_ns += used_ns;
			told_ns = now;
			done = 0;
		}
		if (now < due_ns) {
			const struct timespec at_due = {(time_t)(due_ns / NS_PER_S),
							(long)(due_ns % NS_PER_S)};

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at_due, NULL);
		}
		batch_run(listener);
		done += BATCH;
		due_ns += BATCH * NS_PER_S / per_s;
		if (due_ns + NS_PER_S / 10 < now) /* too slow: no burst afterwards */
			due_ns = now;
	}
	return 0;
}
