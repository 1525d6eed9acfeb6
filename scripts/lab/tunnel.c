/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel.h"
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SERVER 0x0a090001u /* 10.9.0.1 */
#define CLIENTS 0x0a090100u
#define PORT_FIRST 1024u
#define PORTS 60000u /* a multiple of the batch */
#define REQUEST_BYTES (sizeof(TUNNEL_REQUEST) - 1)
#define PATIENCE_MS 1000

struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	char data[64];
};

struct client {
	uint32_t sequence, acknowledged; /* next of ours; next of theirs */
	bool established, closed;
};

struct tunnel {
	int fd;
	uint16_t port;
	uint64_t connections; /* ever */
	struct client client[TUNNEL_BATCH];
};

/* The kernel takes up to a second to see that somebody is there, and drops packets until then. */
static void wait_running(const char *interface)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	struct ifreq request = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	do {
		nanosleep(&moment, NULL);
		if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
			error(1, errno, "%s", interface);
	} while (!(request.ifr_flags & IFF_RUNNING));
	nanosleep(&moment, NULL);
	close(fd);
}

struct tunnel *tunnel_open(const char *interface, uint16_t port)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (!tunnel)
		error(1, ENOMEM, "tunnel");
	tunnel->port = port;
	tunnel->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	if (tunnel->fd < 0 || ioctl(tunnel->fd, TUNSETIFF, &request) < 0)
		error(1, errno, "%s", interface);
	wait_running(interface);
	return tunnel;
}

/* RFC 1071; bytes may be odd. */
static uint32_t sum(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint32_t total = 0;

	for (; bytes > 1; at += 2, bytes -= 2)
		total += (uint32_t)at[0] << 8 | at[1];
	return bytes ? total + ((uint32_t)at[0] << 8) : total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons((uint16_t)~total);
}

/* The batch's i-th client: ports come round after 60,000, with other addresses. */
static uint32_t address_of(const struct tunnel *tunnel)
{
	return CLIENTS + (uint32_t)(tunnel->connections / PORTS % 0xf000);
}

static uint16_t port_of(const struct tunnel *tunnel, unsigned i)
{
	return (uint16_t)(PORT_FIRST + tunnel->connections % PORTS + i);
}

static void send_packet(struct tunnel *tunnel, unsigned i, struct tcphdr flags, size_t bytes)
{
	struct client *client = &tunnel->client[i];
	const size_t tcp_bytes = sizeof(struct tcphdr) + bytes;
	struct packet packet = {
		.ip = {.version = 4,
		       .ihl = 5,
		       .tot_len = htons((uint16_t)(sizeof(struct iphdr) + tcp_bytes)),
		       .ttl = 64,
		       .protocol = IPPROTO_TCP,
		       .saddr = htonl(address_of(tunnel)),
		       .daddr = htonl(SERVER)},
		.tcp = flags,
	};

	packet.tcp.source = htons(port_of(tunnel, i));
	packet.tcp.dest = htons(tunnel->port);
	packet.tcp.seq = htonl(client->sequence);
	packet.tcp.ack_seq = htonl(client->acknowledged);
	packet.tcp.doff = 5;
	packet.tcp.window = htons(65535);
	memcpy(packet.data, TUNNEL_REQUEST, bytes);
	packet.ip.check = fold(sum(&packet.ip, sizeof(packet.ip)));
	packet.tcp.check = fold(sum(&packet.ip.saddr, 8) + IPPROTO_TCP + (uint32_t)tcp_bytes +
				sum(&packet.tcp, tcp_bytes));
	if (write(tunnel->fd, &packet, sizeof(struct iphdr) + tcp_bytes) < 0)
		error(1, errno, "packet");
	client->sequence += (uint32_t)bytes + flags.syn + flags.fin;
}

/* The next packet to one of the batch, and to which; others are passed over. */
static unsigned read_packet(struct tunnel *tunnel, const char *what, struct packet *packet)
{
	for (;;) {
		struct pollfd wait = {.fd = tunnel->fd, .events = POLLIN};
		ssize_t bytes = read(tunnel->fd, packet, sizeof(*packet));
		unsigned i;

		if (bytes < 0 && errno == EAGAIN && poll(&wait, 1, PATIENCE_MS) > 0)
			continue;
		if (bytes < 0)
			error(1, errno, "connection %lu: no %s", (unsigned long)tunnel->connections,
			      what);
		i = (unsigned)ntohs(packet->tcp.dest) - port_of(tunnel, 0);
		if (bytes < (ssize_t)(sizeof(struct iphdr) + sizeof(struct tcphdr)) ||
		    packet->ip.protocol != IPPROTO_TCP || i >= TUNNEL_BATCH ||
		    ntohl(packet->ip.daddr) != address_of(tunnel))
			continue;
		if (packet->tcp.rst)
			error(1, 0, "connection %u was reset", i);
		return i;
	}
}

/* What the answer says is not looked at: its end acknowledges all before it. */
static void take_end(struct client *client, const struct packet *packet)
{
	const unsigned data =
		ntohs(packet->ip.tot_len) - 4u * packet->ip.ihl - 4u * packet->tcp.doff;

	client->acknowledged = ntohl(packet->tcp.seq) + data + 1;
	client->closed = true;
}

/* RFC 9293, 3.4.1: a clock, so that a port's next connection is newer than its last. */
static uint32_t first_sequence(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 250000 + (uint64_t)now.tv_nsec / 4000);
}

void tunnel_connect(struct tunnel *tunnel)
{
	const struct tcphdr syn = {.syn = 1}, request = {.ack = 1, .psh = 1};
	struct packet packet;

	for (unsigned i = 0; i < TUNNEL_BATCH; i++) {
		tunnel->client[i] = (struct client){.sequence = first_sequence()};
		send_packet(tunnel, i, syn, 0);
	}
	for (unsigned done = 0; done < TUNNEL_BATCH;) {
		unsigned i = read_packet(tunnel, "SYN-ACK", &packet);

		if (!packet.tcp.syn || tunnel->client[i].established)
			continue;
		tunnel->client[i].established = true;
		tunnel->client[i].acknowledged = ntohl(packet.tcp.seq) + 1;
		send_packet(tunnel, i, request, REQUEST_BYTES);
		done++;
	}
}

void tunnel_close(struct tunnel *tunnel)
{
	const struct tcphdr fin = {.ack = 1, .fin = 1};
	struct packet packet;

	for (unsigned done = 0; done < TUNNEL_BATCH;) {
		unsigned i = read_packet(tunnel, "FIN", &packet);

		if (!packet.tcp.fin || tunnel->client[i].closed)
			continue;
		take_end(&tunnel->client[i], &packet);
		send_packet(tunnel, i, fin, 0);
		done++;
	}
	tunnel->connections += TUNNEL_BATCH;
}
