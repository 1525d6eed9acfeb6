/* SPDX-License-Identifier: BSD-3-Clause */
#include "path_mtu.h"
#include "header.h"
#include "outer_error.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ICMPV6_SOCKET, ICMP_SOCKET };

/*
 * A guess at the label succeeds once in 2^20 (VXLAN: 2^14) messages, so no more are looked at than
 * this; it is a few hundred times what many ways need after each ten minutes.
 */
#define LOOKED_AT_PER_S 50
#define TURN 64
#define MESSAGE_MAX 1500

static int open_icmpv6(void)
{
	struct icmp6_filter filter;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &filter);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	return fd;
}

static int open_icmp(void)
{
	struct icmp_filter filter = {~(1u << ICMP_DEST_UNREACH)};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd >= 0)
		setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
	return fd;
}

/* An address that is nobody's here sends the routers' messages elsewhere. */
static void check_source(const struct in6_addr *source)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = *source};
	char text[INET6_ADDRSTRLEN];
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!IN6_IS_ADDR_UNSPECIFIED(source) && fd >= 0 &&
	    bind(fd, (void *)&address, sizeof(address)) < 0 && errno == EADDRNOTAVAIL) {
		inet_ntop(AF_INET6, source, text, sizeof(text));
		warnx("warning: address %s is not this host's, so it does not hear of paths too "
		      "narrow for its packets: ip addr add %s dev lo",
		      text, text);
	}
	if (fd >= 0)
		close(fd);
}

int path_mtu_open(struct path_mtu *path_mtu, struct nexthop *nexthop, const struct workers *workers)
{
	path_mtu->nexthop = nexthop;
	path_mtu->workers = workers;
	path_mtu->socket[ICMPV6_SOCKET] = open_icmpv6();
	path_mtu->socket[ICMP_SOCKET] = open_icmp();
	if (path_mtu->socket[ICMPV6_SOCKET] < 0 || path_mtu->socket[ICMP_SOCKET] < 0) {
		int ret = -errno;
		warn("cannot hear ICMP");
		return ret;
	}
	check_source(&nexthop->routes->address);
	check_source(&nexthop->routes->address4);
	path_mtu_tick(path_mtu);
	return 0;
}

void path_mtu_close(struct path_mtu *path_mtu)
{
	for (unsigned i = 0; i < 2; i++)
		if (path_mtu->socket[i] >= 0)
			close(path_mtu->socket[i]);
}

void path_mtu_tick(struct path_mtu *path_mtu)
{
	path_mtu->left = LOOKED_AT_PER_S;
}

/* IPv6 sockets give the message, its checksum verified (RFC 3542 section 3.1); IPv4 the packet. */
static bool read_message(uint8_t family, const uint8_t *data, uint32_t bytes,
			 struct outer_error *error)
{
	struct header header;

	if (family == 6)
		return outer_error_read(family, data, bytes, error);
	if (header_read(data, bytes, &header) != PARSE_OK || header.total_bytes > bytes)
		return false;
	data += header.l4;
	bytes = header.total_bytes - header.l4;
	return header_checksum(header_sum(0, data, bytes)) == 0 &&
	       outer_error_read(family, data, bytes, error);
}

static void tell(const struct outer_error *error, const struct sockaddr_storage *from)
{
	const void *router = from->ss_family == AF_INET
				     ? (const void *)&((const struct sockaddr_in *)from)->sin_addr
				     : &((const struct sockaddr_in6 *)from)->sin6_addr;
	char who[INET6_ADDRSTRLEN], where[INET6_ADDRSTRLEN];

	inet_ntop(from->ss_family, router, who, sizeof(who));
	inet_ntop(AF_INET6, &error->destination, where, sizeof(where));
	warnx("path MTU to %s is %u, says %s", where, error->mtu_bytes, who);
}

static void take(struct path_mtu *path_mtu, const struct outer_error *error,
		 const struct sockaddr_storage *from)
{
	struct worker_way way;

	if ((!IN6_ARE_ADDR_EQUAL(&error->source, &path_mtu->nexthop->routes->address) &&
	     !IN6_ARE_ADDR_EQUAL(&error->source, &path_mtu->nexthop->routes->address4)) ||
	    path_mtu->left == 0)
		return;
	path_mtu->left--;
	way = worker_way(&path_mtu->workers->worker[0], &error->flow);
	if (way.service && outer_error_is_ours(error, way.hash) &&
	    nexthop_path_mtu(path_mtu->nexthop, &error->destination, error->mtu_bytes))
		tell(error, from);
}

void path_mtu_read(struct path_mtu *path_mtu, unsigned which)
{
	for (unsigned i = 0; i < TURN; i++) {
		struct sockaddr_storage from;
		socklen_t from_bytes = sizeof(from);
		uint8_t data[MESSAGE_MAX];
		struct outer_error error;
		ssize_t n = recvfrom(path_mtu->socket[which], data, sizeof(data), 0, (void *)&from,
				     &from_bytes);
		if (n < 0)
			return;
		if (read_message(which == ICMPV6_SOCKET ? 6 : 4, data, n, &error))
			take(path_mtu, &error, &from);
	}
}
