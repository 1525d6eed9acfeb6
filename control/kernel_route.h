/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host routes of ours in the kernel (rtnetlink, libmnl). All carry KERNEL_ROUTE_PROTOCOL, by
 * which they are found again after a crash and by which a routing daemon can pick them.
 *
 * Blackhole routes by default: FRR and BIRD both take them over, and packets that reach the
 * kernel because no XDP program took them vanish without an ICMP error, so that clients send
 * again. Of the other types, a `local` route is not redistributed and would answer for the
 * service, an `unreachable` one breaks connections, and one on `lo` makes packets circle.
 *
 * Changes need CAP_NET_ADMIN, of who opens and of who sends. Calls answer at once: it is
 * our own kernel. Control's loop only.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define KERNEL_ROUTE_PROTOCOL 83 /* rtm_protocol; "suanlu" in iproute2's rt_protos.d */

struct kernel_route {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bits;	/* 32 or 128 but for routes that are not ours to use */
	uint8_t type;	/* RTN_BLACKHOLE or RTN_UNICAST */
	uint32_t table;
	uint32_t metric;
	unsigned ifindex;   /* 0: none */
	struct in6_addr to; /* IPv4 in the first four bytes, the rest 0 */
};

struct kernel_routes {
	struct mnl_socket *socket; /* NULL: closed */
	uint32_t sequence;
};

int kernel_routes_open(struct kernel_routes *routes); /* -errno */
void kernel_routes_close(struct kernel_routes *routes);

/* -EEXIST if the table has a route to there with that metric, whoever put it there. */
int kernel_route_add(struct kernel_routes *routes, const struct kernel_route *route);

/* -ESRCH if there is none that matches it and has our protocol. */
int kernel_route_delete(struct kernel_routes *routes, const struct kernel_route *route);

bool kernel_route_equal(const struct kernel_route *a, const struct kernel_route *b);

/* Calls `take` for every route of our protocol in any table. `take` must not use `routes`. */
typedef void kernel_route_take(const struct kernel_route *route, void *argument);
int kernel_route_list(struct kernel_routes *routes, kernel_route_take *take, void *argument);
