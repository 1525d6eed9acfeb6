/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Targets find their next hops: the kernel's route and neighbour of the first segment (or of the
 * instance) become the outer Ethernet header. Kept current by netlink notifications; nobody
 * configures a MAC address. Main thread only.
 */
#pragma once

#include "netlink.h"
#include "port.h"
#include "routes.h"

struct nexthop {
	struct netlink *netlink;
	const struct ports *ports;
	struct routes *routes;
};

/* Targets that have not been looked up yet (routes.targets_changed). */
void nexthop_resolve_new(struct nexthop *nexthop);

/* The kernel's tables changed: look every target up again. */
void nexthop_resolve_all(struct nexthop *nexthop);

/*
 * A router on the way to `segment` forwards no more than `mtu_bytes`. Believed for ten minutes
 * (RFC 8201 section 4). True if that makes a way narrower than it was.
 */
bool nexthop_path_mtu(struct nexthop *nexthop, const struct in6_addr *segment, uint16_t mtu_bytes);

/* Once a second: unresolved targets again, and the kernel confirms the neighbours in use. */
void nexthop_tick(struct nexthop *nexthop);
