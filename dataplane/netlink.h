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
	unsigned mtu_bytes;		/* of the route, 0: its interface's */
	struct netlink_address gateway; /* the destination itself if it is on the link */
	bool encapsulates;		/* by a tunnel of its own (lwtunnel): not for us */
};

struct netlink_link {
	unsigned mtu_bytes;
	bool up;      /* somebody wants it up */
	bool carrier; /* and it can carry packets */
	struct rte_ether_addr mac;
};

/* What a notification may have changed. */
struct netlink_change {
	enum {
		NETLINK_CHANGE_NOTHING,
		NETLINK_CHANGE_NEIGHBOUR, /* ifindex, address */
		NETLINK_CHANGE_ROUTE,	  /* address/bits */
		NETLINK_CHANGE_ALL,	  /* links, rules, next hop objects, or some were lost */
	} what;
	int ifindex;
	struct netlink_address address;
	uint8_t bits;
};

struct netlink *netlink_open(void); /* NULL: errno */
void netlink_close(struct netlink *netlink);

/* The descriptor to poll for notifications. */
int netlink_fd(const struct netlink *netlink);

/* Reads all notifications there are, and gives what each may have changed to `take`. */
void netlink_changes(struct netlink *netlink,
		     void (*take)(void *context, const struct netlink_change *change),
		     void *context);

int netlink_link_get(struct netlink *netlink, int ifindex, struct netlink_link *link);

/* How would the kernel send to this address? -errno: -ENETUNREACH and the like. */
int netlink_route_get(struct netlink *netlink, const struct netlink_address *to,
		      struct netlink_route *route);

/* A usable link-layer address of a neighbour. -ENOENT: the kernel has none now; -EHOSTUNREACH: it
 * has asked in vain. */
int netlink_neighbour_get(struct netlink *netlink, int ifindex,
			  const struct netlink_address *address, struct rte_ether_addr *mac);

/* Makes the kernel resolve a neighbour, or confirm that it is still there (NTF_USE). */
void netlink_neighbour_use(struct netlink *netlink, int ifindex,
			   const struct netlink_address *address);
