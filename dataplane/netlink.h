/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel knows of routes and neighbours, asked one at a time, and its notifications.
 * Main thread only.
 */
#pragma once

#include <netinet/in.h>
#include <rte_ether.h>
#include <stdbool.h>

struct netlink;

/* IPv4 in the first four bytes. */
struct netlink_address {
	uint8_t family; /* AF_INET or AF_INET6 */
	struct in6_addr address;
};

struct netlink_route {
	int ifindex;
	unsigned mtu_bytes;		/* of the route or its interface */
	struct netlink_address gateway; /* the destination itself if it is on the link */
};

struct netlink *netlink_open(void); /* NULL: errno */
void netlink_close(struct netlink *netlink);

/* The descriptor to poll for notifications. */
int netlink_fd(const struct netlink *netlink);

/* Reads all notifications; true if a route, neighbour or link changed (or some were lost). */
bool netlink_changed(struct netlink *netlink);

/* How would the kernel send to this address? -errno: -ENETUNREACH and the like. */
int netlink_route_get(struct netlink *netlink, const struct netlink_address *to,
		      struct netlink_route *route);

/* A usable link-layer address of a neighbour; -ENOENT if the kernel has none now. */
int netlink_neighbour_get(struct netlink *netlink, int ifindex,
			  const struct netlink_address *address, struct rte_ether_addr *mac);

/* Makes the kernel resolve a neighbour, or confirm that it is still there (NTF_USE). */
void netlink_neighbour_use(struct netlink *netlink, int ifindex,
			   const struct netlink_address *address);
