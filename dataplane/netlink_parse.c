/* SPDX-License-Identifier: BSD-3-Clause */
#include "netlink_parse.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

bool netlink_parse_sound(const void *messages, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct nlmsghdr header;
		size_t left = bytes - at, whole;
		if (left < sizeof(header))
			return false;
		memcpy(&header, (const char *)messages + at, sizeof(header));
		whole = ((size_t)header.nlmsg_len + NLMSG_ALIGNTO - 1) & -(size_t)NLMSG_ALIGNTO;
		if (header.nlmsg_len < sizeof(header) || whole > left)
			return false;
		at += whole;
	}
	return true;
}

/* Attributes shorter than what they should hold are left out, as the kernel's own parsers do. */
static bool holds_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t);
}

static void take_metrics(const struct nlattr *metrics, struct netlink_route *route)
{
	const struct nlattr *metric;

	mnl_attr_for_each_nested(metric, metrics)
	{
		if (mnl_attr_get_type(metric) == RTAX_MTU && holds_u32(metric))
			route->mtu_bytes = mnl_attr_get_u32(metric);
	}
}

static void take_gateway(const struct nlattr *gateway, uint8_t family, struct netlink_route *route)
{
	size_t bytes = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(gateway) == bytes)
		memcpy(&route->gateway.address, mnl_attr_get_payload(gateway), bytes);
}

int netlink_parse_route(const struct nlmsghdr *answer, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(answer);
	struct netlink_route *route = data;
	const struct nlattr *attr;

	if (answer->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(answer) < sizeof(*rtm))
		return MNL_CB_OK;
	if (rtm->rtm_type != RTN_UNICAST) {
		errno = rtm->rtm_type == RTN_LOCAL ? EADDRNOTAVAIL : EHOSTUNREACH;
		return MNL_CB_ERROR;
	}
	mnl_attr_for_each (attr, answer, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			if (holds_u32(attr))
				route->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			take_gateway(attr, rtm->rtm_family, route);
			break;
		case RTA_METRICS:
			take_metrics(attr, route);
			break;
		}
	}
	return MNL_CB_OK;
}

int netlink_parse_neighbour(const struct nlmsghdr *answer, void *data)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(answer);
	struct netlink_neighbour *neighbour = data;
	const struct nlattr *attr;

	if (answer->nlmsg_type != RTM_NEWNEIGH ||
	    mnl_nlmsg_get_payload_len(answer) < sizeof(*ndm) ||
	    !(ndm->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)))
		return MNL_CB_OK;
	mnl_attr_for_each (attr, answer, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_LLADDR &&
		    mnl_attr_get_payload_len(attr) == RTE_ETHER_ADDR_LEN) {
			memcpy(&neighbour->mac, mnl_attr_get_payload(attr), RTE_ETHER_ADDR_LEN);
			neighbour->usable = true;
		}
	}
	return MNL_CB_OK;
}
