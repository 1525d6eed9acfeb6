/* SPDX-License-Identifier: BSD-3-Clause */
#include "netlink_parse.h"

#include <errno.h>
#include <linux/if.h>
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

static void take_address(const struct nlattr *attr, uint8_t family, struct netlink_address *out)
{
	size_t bytes = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != bytes)
		return;
	*out = (struct netlink_address){.family = family};
	memcpy(&out->address, mnl_attr_get_payload(attr), bytes);
}

/* A gateway of the other family: IPv4 by an IPv6 neighbour (RFC 5549). */
static void take_via(const struct nlattr *attr, struct netlink_address *out)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t bytes = mnl_attr_get_payload_len(attr);

	if (bytes != sizeof(*via) + 16 || via->rtvia_family != AF_INET6)
		return;
	*out = (struct netlink_address){.family = AF_INET6};
	memcpy(&out->address, via->rtvia_addr, 16);
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
			take_address(attr, rtm->rtm_family, &route->gateway);
			break;
		case RTA_VIA:
			take_via(attr, &route->gateway);
			break;
		case RTA_ENCAP:
			route->encapsulates = true;
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

	if (answer->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(answer) < sizeof(*ndm))
		return MNL_CB_OK;
	neighbour->failed = ndm->ndm_state & NUD_FAILED;
	if (!(ndm->ndm_state &
	      (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)))
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

int netlink_parse_link(const struct nlmsghdr *answer, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
	struct netlink_link *link = data;
	const struct nlattr *attr;

	if (answer->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(answer) < sizeof(*info))
		return MNL_CB_OK;
	link->up = info->ifi_flags & IFF_UP;
	link->carrier = info->ifi_flags & IFF_RUNNING;
	mnl_attr_for_each (attr, answer, sizeof(*info)) {
		if (mnl_attr_get_type(attr) == IFLA_MTU && holds_u32(attr))
			link->mtu_bytes = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == IFLA_ADDRESS &&
		    mnl_attr_get_payload_len(attr) == RTE_ETHER_ADDR_LEN)
			memcpy(&link->mac, mnl_attr_get_payload(attr), RTE_ETHER_ADDR_LEN);
	}
	return MNL_CB_OK;
}

static struct netlink_change neighbour_change(const struct nlmsghdr *message)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(message);
	struct netlink_change change = {.what = NETLINK_CHANGE_NOTHING};
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*ndm) ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6)) /* a bridge's table */
		return change;
	change.ifindex = ndm->ndm_ifindex;
	mnl_attr_for_each (attr, message, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			take_address(attr, ndm->ndm_family, &change.address);
	}
	if (change.address.family)
		change.what = NETLINK_CHANGE_NEIGHBOUR;
	return change;
}

static struct netlink_change route_change(const struct nlmsghdr *message)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
	struct netlink_change change = {.what = NETLINK_CHANGE_NOTHING};
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*rtm) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return change;
	change.what = NETLINK_CHANGE_ROUTE;
	change.bits = rtm->rtm_dst_len;
	change.address.family = rtm->rtm_family;
	mnl_attr_for_each (attr, message, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_DST)
			take_address(attr, rtm->rtm_family, &change.address);
	}
	return change;
}

struct netlink_change netlink_parse_change(const struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return neighbour_change(message);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_change(message);
	default:
		return (struct netlink_change){.what = NETLINK_CHANGE_ALL};
	}
}
