/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams as fast as asked for, from many source ports: the attacker of bench-attack.sh.
 *
 *	flood ADDRESS PORT PER_SECOND SECONDS [--vary] <DATAGRAMS
 *
 * The datagrams come on standard input, one a line in hexadecimal, and are sent in turn. With
 * --vary eight bytes of each (the first of a report's tag, and what follows) differ from every one
 * before it, so that nothing can be refused for having been seen. Prints what it sent:
 * {"sent": N, "per_s": R}.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DATAGRAMS 256
#define DATAGRAM_BYTES 2048
#define BATCH 64
#define SOCKETS 16
#define VARY_AT 12
#define NS_PER_S 1000000000ull

static struct {
	unsigned bytes;
	uint8_t data[DATAGRAM_BYTES];
} datagram[DATAGRAMS];

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static unsigned read_datagrams(void)
{
	static char line[2 * DATAGRAM_BYTES + 2];
	unsigned count = 0;

	while (count < DATAGRAMS && fgets(line, sizeof(line), stdin)) {
		unsigned bytes = 0, value;

		while (sscanf(line + 2 * bytes, "%2x", &value) == 1)
			datagram[count].data[bytes++] = (uint8_t)value;
		datagram[count++].bytes = bytes;
	}
	if (count == 0)
		error(1, 0, "no datagrams on standard input");
	return count;
}

static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (void *)out;
	struct sockaddr_in *v4 = (void *)out;

	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof(*v6);
	}
	if (inet_pton(AF_INET, text, &v4->sin_addr) != 1)
		error(1, 0, "%s: not an address", text);
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	return sizeof(*v4);
}

static void sockets_open(int fd[SOCKETS], const char *address, uint16_t port)
{
	struct sockaddr_storage to = {};
	socklen_t bytes = parse_address(address, port, &to);

	for (unsigned i = 0; i < SOCKETS; i++) {
		fd[i] = socket(to.ss_family, SOCK_DGRAM, 0);
		if (fd[i] < 0 || connect(fd[i], (struct sockaddr *)&to, bytes) < 0)
			error(1, errno, "%s", address);
	}
}

/* A batch of the datagrams whose turn it is; returns how many went out. */
static unsigned send_batch(int fd, unsigned count, uint64_t number, bool vary)
{
	static uint8_t copy[BATCH][DATAGRAM_BYTES];
	struct mmsghdr message[BATCH] = {};
	struct iovec part[BATCH];
	int sent;

	for (unsigned i = 0; i < BATCH; i++) {
		unsigned at = (unsigned)((number + i) % count), bytes = datagram[at].bytes;
		uint64_t different = (number + i) * 0x9e3779b97f4a7c15;

		memcpy(copy[i], datagram[at].data, bytes);
		if (vary && bytes >= VARY_AT + sizeof(different))
			memcpy(copy[i] + VARY_AT, &different, sizeof(different));
		part[i] = (struct iovec){copy[i], bytes};
		message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
	}
	sent = sendmmsg(fd, message, BATCH, 0);
	return sent > 0 ? (unsigned)sent : 0; /* full, or an ICMP error: it goes on */
}

int main(int argc, char **argv)
{
	bool vary = argc == 6 && strcmp(argv[5], "--vary") == 0;
	uint64_t start_ns, end_ns, now, sent = 0, per_s;
	int fd[SOCKETS];
	unsigned count;

	if (argc != 5 && !vary)
		error(1, 0, "usage: flood ADDRESS PORT PER_SECOND SECONDS [--vary] <DATAGRAMS");
	per_s = strtoull(argv[3], NULL, 10);
	count = read_datagrams();
	sockets_open(fd, argv[1], (uint16_t)atoi(argv[2]));
	start_ns = now_ns();
	end_ns = start_ns + strtoull(argv[4], NULL, 10) * NS_PER_S;
	for (unsigned turn = 0; (now = now_ns()) < end_ns; turn++) {
		uint64_t due = (now - start_ns) * per_s / NS_PER_S;

		if (sent + BATCH > due) {
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
			continue;
		}
		sent += send_batch(fd[turn % SOCKETS], count, sent, vary);
	}
	printf("{\"sent\": %lu, \"per_s\": %.0f}\n", (unsigned long)sent,
	       (double)sent * 1e9 / (double)(now - start_ns));
	return 0;
}
