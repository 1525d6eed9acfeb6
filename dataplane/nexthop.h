/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Targets find their next hops: the kernel's route and neighbour of the first segment (or of the
 * instance) become the outer Ethernet header. Kept current by netlink notifications; nobody
 * configures a MAC address. Main thread only.
 *
 * A notification has only the ways looked up again that it may concern, so that neighbours and
 * routes which come and go elsewhere cost next to nothing; a link, a rule, a next hop object, many
 * changes at once or a lost notification: all of them. Each answer is the kernel's own at that
 * moment, and no state is derived from the notifications themselves.
 *
 * Packets never wait for a neighbour, there is no queue to fill: ways are resolved when routes
 * name them and tried again each second until they are. Until then a packet is NO_NEXT_HOP.
 */
#pragma once

#include "netlink.h"
#include "port.h"
#include "routes.h"

#define NEXTHOP_CHANGES_MAX 64 /* in one reading: more are not told apart */

/* How the kernel sends to a target, by its last answer. */
struct nexthop_way {
	struct netlink_route route; /* ifindex 0: not at all */
	bool stale;		    /* to be looked up again */
};

struct nexthop {
	struct netlink *netlink;
	struct ports *ports;
	struct routes *routes;
	unsigned changes; /* in this reading */
	bool all_stale;
	struct nexthop_way way[ROUTES_TARGETS_MAX]; /* of each target */
};

/* Once at the start: the ports' links. */
void nexthop_init(struct nexthop *nexthop, struct netlink *netlink, struct ports *ports,
		  struct routes *routes);

/* Targets that have not been looked up yet (routes.targets_changed). */
void nexthop_resolve_new(struct nexthop *nexthop);

/* The outer source address changed. */
void nexthop_resolve_all(struct nexthop *nexthop);

/* netlink_fd is readable: follows the kernel's tables. */
void nexthop_follow(struct nexthop *nexthop);

/*
 * A router on the way to `segment` forwards no more than `mtu_bytes`. Believed for ten minutes
 * (RFC 8201 section 4). True if that makes a way narrower than it was.
 */
bool nexthop_path_mtu(struct nexthop *nexthop, const struct in6_addr *segment, uint16_t mtu_bytes);

/* Once a second: unresolved targets again, and the kernel confirms the neighbours in use. */
void nexthop_tick(struct nexthop *nexthop);
