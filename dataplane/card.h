/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports whose driver owns the card: no interface of the kernel is left, so one takes its place, a
 * tap with the port's name and the card's MAC address, to which goes all that is not ours
 * (tap.h). ARP, ND, SSH and BGP live there; routes, MTU and addresses are set there as on any
 * interface, and the card follows. The tap stays when we end, without carrier, so that its
 * addresses are there when we come back; `ip link del` removes it. Main thread.
 *
 * Used of the card: RSS if there are several workers, by whatever it can hash (a worker finds
 * flows of others, worker_others.h), and freeing in bulk where all buffers are of one pool. No
 * checksum offload: the fast path changes no checksum but by the difference (RFC 1624). No chains:
 * one buffer holds a frame of the MTU that the tap has at the start.
 */
#pragma once

#include "port.h"

/* Before EAL: opens the tap. 0 or -errno, said on stderr. */
int card_claim(struct port *port, const char *name, const char *device);

/* Bytes of a buffer for the largest frame, headroom included. */
unsigned card_buffer_bytes(const struct port *port);

/* After EAL: configures and starts the card. `alone`: every port's buffers are of this pool. */
int card_start(struct port *port, unsigned workers, struct rte_mempool *buffers, bool alone);
void card_stop(struct port *port);

/* Once a second: its link, where the driver does not tell of changes. */
void card_tick(const struct port *port);

/* The tap's link changed: its MTU and MAC address are the card's. */
void card_follow(struct port *port, const struct netlink_link *before);
