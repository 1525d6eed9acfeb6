/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Route updates to a dataplane, as many a second as asked for, of services of its own beside those
 * of control: flood-0.. at 198.51.100.1.., each with three sites whose weights are drawn anew each
 * time. Prints a JSON line: how many were sent, acknowledged, refused, and the time to the
 * acknowledgement; then withdraws them.
 *
 *	route_flood SOCKET PER_SECOND SECONDS SID...
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/route.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SERVICES 64
#define SITES 3
#define ON_THE_WAY 32 /* without an answer yet */
#define BUCKETS 1000  /* of 10 us */

struct message {
	struct sl_msg_service service;
	struct sl_candidate candidate[SITES];
};

static struct {
	int fd;
	uint64_t sent, acknowledged, refused;
	uint64_t sent_ns[ON_THE_WAY];
	uint64_t bucket[BUCKETS];
	struct in6_addr sid[8];
	unsigned sids;
} flood;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static struct sl_msg_header header(uint16_t type, uint32_t bytes)
{
	return (struct sl_msg_header){SL_ROUTE_VERSION, type, bytes, flood.sent + 1};
}

static void send_message(const void *message, size_t bytes)
{
	flood.sent_ns[flood.sent++ % ON_THE_WAY] = now_ns();
	if (send(flood.fd, message, bytes, MSG_NOSIGNAL) < 0)
		error(1, errno, "the dataplane is gone after %ju updates", (uintmax_t)flood.sent);
}

static void send_service(unsigned number)
{
	struct message m = {.service = {
				    .port = 80,
				    .protocol = IPPROTO_TCP,
				    .idle_s = 60,
				    .candidates = SITES,
				    .draws = 1,
			    }};

	m.service.header = header(SL_MSG_SERVICE, sizeof(m));
	snprintf(m.service.service, sizeof(m.service.service), "flood-%u", number);
	m.service.ipv4.s_addr = htonl(0xc6336401 + number);
	for (unsigned i = 0; i < SITES; i++) {
		struct sl_candidate *c = &m.candidate[i];

		snprintf(c->site, sizeof(c->site), "flood-site-%u", i);
		c->weight = random() % 1000;
		c->via[SL_INNER_IPV4].kind = SL_VIA_SRV6;
		c->via[SL_INNER_IPV4].segments = 1;
		c->via[SL_INNER_IPV4].segment[0] = flood.sid[(i + random()) % flood.sids];
	}
	send_message(&m, sizeof(m));
}

static void withdraw(unsigned number)
{
	struct sl_msg_withdraw m = {.header = header(SL_MSG_WITHDRAW, sizeof(m))};

	snprintf(m.service, sizeof(m.service), "flood-%u", number);
	send_message(&m, sizeof(m));
}

/* One answer; false: none within the time. */
static bool receive(int wait_ms)
{
	struct pollfd poll_fd = {.fd = flood.fd, .events = POLLIN};
	uint64_t bucket, answered = flood.acknowledged + flood.refused;
	struct sl_msg_ack ack;

	if (answered == flood.sent || poll(&poll_fd, 1, wait_ms) <= 0)
		return false;
	if (recv(flood.fd, &ack, sizeof(ack), 0) != sizeof(ack))
		error(1, 0, "the dataplane hung up after %ju updates", (uintmax_t)flood.sent);
	bucket = (now_ns() - flood.sent_ns[answered % ON_THE_WAY]) / 10000;
	flood.bucket[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	if (ack.status == SL_ACK_DONE)
		flood.acknowledged++;
	else
		flood.refused++;
	return true;
}

static void make_room(void)
{
	while (receive(0))
		;
	while (flood.sent - flood.acknowledged - flood.refused >= ON_THE_WAY)
		if (!receive(5000))
			error(1, 0, "no answer for 5 s");
}

static unsigned quantile_us(double q)
{
	uint64_t rank = q * (flood.acknowledged + flood.refused), seen = 0;
	unsigned i = 0;

	while (i < BUCKETS - 1 && (seen += flood.bucket[i]) <= rank)
		i++;
	return (i + 1) * 10;
}

static void run(double per_s, double seconds)
{
	uint64_t start = now_ns(), end = start + seconds * 1e9, due = start;

	while (now_ns() < end) {
		make_room();
		if (now_ns() < due) {
			receive(1);
			continue;
		}
		send_service(flood.sent % SERVICES);
		due += 1e9 / per_s;
	}
	printf("{\"sent\":%ju,\"seconds\":%.3f,", (uintmax_t)flood.sent, (now_ns() - start) / 1e9);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (argc < 5 || argc - 4 > 8)
		error(1, 0, "usage: route_flood SOCKET PER_SECOND SECONDS SID...");
	for (int i = 4; i < argc; i++)
		if (inet_pton(AF_INET6, argv[i], &flood.sid[flood.sids++]) != 1)
			error(1, 0, "%s: expected an IPv6 address", argv[i]);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	flood.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (flood.fd < 0 || connect(flood.fd, (void *)&address, sizeof(address)) < 0)
		error(1, errno, "%s", argv[1]);
	run(atof(argv[2]), atof(argv[3]));
	for (unsigned i = 0; i < SERVICES; i++) {
		make_room();
		withdraw(i);
	}
	while (receive(5000))
		;
	printf("\"acknowledged\":%ju,\"refused\":%ju,\"p50_us\":%u,\"p99_us\":%u}\n",
	       (uintmax_t)flood.acknowledged, (uintmax_t)flood.refused, quantile_us(0.5),
	       quantile_us(0.99));
	return flood.refused > 0;
}
