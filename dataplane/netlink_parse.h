/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a netlink answer says: one message in, fields out. Pure; bounds are the
 * message's own, once netlink_parse_sound has seen them. Called by netlink.c.
 */
#pragma once

#include "netlink.h"
#include <libmnl/libmnl.h>

struct netlink_neighbour {
	struct rte_ether_addr mac;
	bool usable; /* mac is set */
	bool failed; /* it did not answer */
};

/*
 * Does each message end within the `bytes` read, with its padding? To be asked before mnl_cb_run:
 * mnl_nlmsg_ok takes a length of 2 GiB or more for a negative one and lets it pass, and
 * attributes are looked for up to the padding's end.
 */
bool netlink_parse_sound(const void *messages, size_t bytes);

/* For mnl_cb_run; data is a struct netlink_route. MNL_CB_ERROR with errno: no way for packets. */
int netlink_parse_route(const struct nlmsghdr *answer, void *data);

/* For mnl_cb_run; data is a struct netlink_neighbour. */
int netlink_parse_neighbour(const struct nlmsghdr *answer, void *data);

/* For mnl_cb_run; data is a struct netlink_link. */
int netlink_parse_link(const struct nlmsghdr *answer, void *data);

/* Of one notification. What is not understood may have changed all. */
struct netlink_change netlink_parse_change(const struct nlmsghdr *message);
