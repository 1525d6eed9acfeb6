/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A STAMP reflector on a UDP socket of the kernel: the dataplane's main thread for probes that come
 * to the node's own address, and `suanlu reflect` for sites and transit nodes without a dataplane.
 * Packets have the kernel's receive timestamp; the answer's own is taken before it is sent.
 */
#pragma once

#include "reflector.h"

struct reflect {
	struct reflect_rule rule;
	struct reflector reflector;
	uint64_t answered, refused;
	int64_t clock_ns; /* when rule.error was looked up */
};

/* A socket that is bound to `address`:`port`, :: for all, or -errno. */
int reflect_open(const struct in6_addr *address, uint16_t port);

/* Answers what has come in. */
void reflect_turn(struct reflect *reflect, int fd);

/* How far the kernel believes that our clock is off, as a STAMP error estimate. */
uint16_t reflect_clock_error(void);

/* The kernel's receive timestamp in a message's control data, Unix time; 0: there is none. */
struct msghdr;
int64_t reflect_received_ns(struct msghdr *message);
