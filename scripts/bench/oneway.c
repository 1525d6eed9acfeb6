/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oneway FROM_NS FROM_IF TO_NS TO_IF TO_MAC COUNT: one-way delay of a 64-byte UDP request, from
 * the moment before it is sent in one network namespace to the moment when it is seen in the
 * other, one request after the other. Prints one delay a line, in ns; a request that does not
 * arrive within 20 ms prints "lost".
 *
 * One thread enters both namespaces and spins on the receiving socket, so that no wake-up of a
 * sleeping receiver is measured. What arrives may be encapsulated: the number is at its end.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES 64
#define LOST_NS 20000000ULL
#define GAP_NS 30000ULL /* so that no request meets another one */

struct request {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t padding[FRAME_BYTES - 14 - 20 - 8 - 8];
	uint64_t number;
} __attribute__((packed));
_Static_assert(sizeof(struct request) == FRAME_BYTES, "64 bytes");

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int packet_socket(const char *ns, const char *interface)
{
	char path[64];
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int file, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || setns(file, CLONE_NEWNET) < 0)
		err(1, "%s", path);
	close(file);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address.sll_ifindex = if_nametoindex(interface);
	if (fd < 0 || !address.sll_ifindex || bind(fd, (void *)&address, sizeof(address)) < 0)
		err(1, "%s in %s", interface, ns);
	return fd;
}

static uint16_t checksum(const void *header, unsigned words)
{
	uint16_t word[32];
	uint32_t sum = 0;

	memcpy(word, header, words * sizeof(*word));
	for (unsigned i = 0; i < words; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static struct request request_to(const char *mac)
{
	struct request request = {
		.eth.ether_type = htons(ETHERTYPE_IP),
		.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
		.udp = {.source = htons(40000), .dest = htons(80)},
	};
	unsigned byte[6];

	if (sscanf(mac, "%x:%x:%x:%x:%x:%x", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
		   &byte[5]) != 6)
		errx(1, "not a MAC address: %s", mac);
	for (unsigned i = 0; i < 6; i++)
		request.eth.ether_dhost[i] = byte[i];
	request.eth.ether_shost[0] = 2;
	request.ip.tot_len = htons(FRAME_BYTES - sizeof(request.eth));
	request.ip.saddr = inet_addr("10.0.0.2");
	request.ip.daddr = inet_addr("192.0.2.80");
	request.ip.check = checksum(&request.ip, 10);
	request.udp.len = htons(FRAME_BYTES - sizeof(request.eth) - sizeof(request.ip));
	return request;
}

static bool is_it(const uint8_t *frame, ssize_t n, uint64_t number)
{
	return n >= FRAME_BYTES && memcmp(frame + n - sizeof(number), &number, sizeof(number)) == 0;
}

/* The delay, 0 if it was lost. */
static uint64_t send_one(int from, int to, const struct request *request)
{
	uint8_t frame[2048];
	uint64_t start = now_ns(), now;

	if (send(from, request, sizeof(*request), 0) < 0)
		err(1, "send");
	do {
		ssize_t n = recv(to, frame, sizeof(frame), 0);
		now = now_ns();
		if (is_it(frame, n, request->number))
			return now - start;
	} while (now - start < LOST_NS);
	return 0;
}

int main(int argc, char **argv)
{
	struct request request;
	int from, to;
	uint64_t count;

	if (argc != 7)
		errx(1, "usage: oneway FROM_NS FROM_IF TO_NS TO_IF TO_MAC COUNT");
	to = packet_socket(argv[3], argv[4]);
	from = packet_socket(argv[1], argv[2]);
	request = request_to(argv[5]);
	count = strtoull(argv[6], NULL, 10);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t delay, until;
		request.number = 0x6f6e6577617900ULL << 8 ^ i;
		delay = send_one(from, to, &request);
		if (delay)
			printf("%llu\n", (unsigned long long)delay);
		else
			printf("lost\n");
		for (until = now_ns() + GAP_NS; now_ns() < until;)
			;
	}
	return 0;
}
