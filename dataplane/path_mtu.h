/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hears what routers of the underlay say about packets that we encapsulated (outer_error.h), and
 * makes the ways over them narrower (nexthop.h), so that the next packet that is too big
 * for them is answered with what its sender can use. The messages come to the kernel, to
 * which our outer source address belongs; two raw sockets get copies. Main thread only.
 */
#pragma once

#include "nexthop.h"
#include "workers.h"

struct path_mtu {
	int socket[2]; /* ICMPv6, ICMP */
	struct nexthop *nexthop;
	const struct workers *workers; /* know the flow's hash */
	unsigned left;		       /* messages to look at in this second */
};

/* 0 or -errno, said on stderr. */
int path_mtu_open(struct path_mtu *path_mtu, struct nexthop *nexthop,
		  const struct workers *workers);
void path_mtu_close(struct path_mtu *path_mtu);

/* Reads what has come to one of the sockets, at most a turn's worth. */
void path_mtu_read(struct path_mtu *path_mtu, unsigned which);

/* Once a second. */
void path_mtu_tick(struct path_mtu *path_mtu);
