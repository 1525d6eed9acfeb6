/* SPDX-License-Identifier: BSD-3-Clause */
#include "netlink_parse.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Our own kernel answers at once; a lost answer must not hold the main thread. */
#define ANSWER_TIMEOUT_US 100000

struct netlink {
	struct mnl_socket *ask, *events;
	uint32_t sequence;
};

static struct mnl_socket *socket_open(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	return nl;
}

/* Addresses too: with one, routes go without a word (those that have it as their source). */
static bool listen_to_all(struct mnl_socket *events)
{
	static const int groups[] = {
		RTNLGRP_LINK,	    RTNLGRP_NEIGH,	 RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV4_RULE,  RTNLGRP_IPV6_RULE,	 RTNLGRP_NEXTHOP,
	};
	int large = 4 << 20;

	setsockopt(mnl_socket_get_fd(events), SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];
		/* next hop objects came with Linux 5.3 */
		if (mnl_socket_setsockopt(events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
			    0 &&
		    group != RTNLGRP_NEXTHOP)
			return false;
	}
	return true;
}

struct netlink *netlink_open(void)
{
	struct timeval timeout = {.tv_usec = ANSWER_TIMEOUT_US};
	int on = 1;
	struct netlink *netlink = calloc(1, sizeof(*netlink));

	if (!netlink)
		return NULL;
	netlink->ask = socket_open();
	netlink->events = socket_open();
	if (!netlink->ask || !netlink->events || !listen_to_all(netlink->events)) {
		netlink_close(netlink);
		return NULL;
	}
	setsockopt(mnl_socket_get_fd(netlink->ask), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		   sizeof(timeout));
	mnl_socket_setsockopt(netlink->ask, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return netlink;
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->events)
		mnl_socket_close(netlink->events);
	if (netlink->ask)
		mnl_socket_close(netlink->ask);
	free(netlink);
}

int netlink_fd(const struct netlink *netlink)
{
	return mnl_socket_get_fd(netlink->events);
}

void netlink_changes(struct netlink *netlink,
		     void (*take)(void *context, const struct netlink_change *change),
		     void *context)
{
	static const struct netlink_change all = {.what = NETLINK_CHANGE_ALL};
	_Alignas(NLMSG_ALIGNTO) char buffer[32768];

	for (;;) {
		ssize_t n =
			recv(netlink_fd(netlink), buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
		int left = (int)n;
		const struct nlmsghdr *message = (void *)buffer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 && errno != ENOBUFS)
			return;
		/* some were lost, or one is too long to be read */
		if (n < 0 || n > (ssize_t)sizeof(buffer) || !netlink_parse_sound(buffer, n)) {
			take(context, &all);
			continue;
		}
		for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			struct netlink_change change = netlink_parse_change(message);
			take(context, &change);
		}
	}
}

/* Sends a request; answers go to `take`. 0 or -errno of the kernel's answer. */
static int ask(struct netlink *netlink, struct nlmsghdr *request, mnl_cb_t take, void *data)
{
	char buffer[8192];
	unsigned port = mnl_socket_get_portid(netlink->ask);
	int n;

	request->nlmsg_seq = ++netlink->sequence;
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_sendto(netlink->ask, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(netlink->ask, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		if (!netlink_parse_sound(buffer, n))
			return -EBADMSG;
		n = mnl_cb_run(buffer, n, netlink->sequence, port, take, data);
		/* an answer to an earlier request that had timed out */
		if (n < 0 && errno == EPROTO)
			n = MNL_CB_OK;
	} while (n > MNL_CB_STOP);
	return n < 0 ? -errno : 0;
}

static size_t address_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

int netlink_link_get(struct netlink *netlink, int ifindex, struct netlink_link *link)
{
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;

	request->nlmsg_type = RTM_GETLINK;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifi_index = ifindex;
	*link = (struct netlink_link){0};
	return ask(netlink, request, netlink_parse_link, link);
}

int netlink_route_get(struct netlink *netlink, const struct netlink_address *to,
		      struct netlink_route *route)
{
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm;
	int ret;

	request->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));
	rtm->rtm_family = to->family;
	rtm->rtm_dst_len = 8 * address_bytes(to->family);
	mnl_attr_put(request, RTA_DST, address_bytes(to->family), &to->address);

	*route = (struct netlink_route){.gateway = *to};
	ret = ask(netlink, request, netlink_parse_route, route);
	if (ret < 0)
		return ret;
	return route->ifindex ? 0 : -ENETUNREACH;
}

static struct nlmsghdr *neighbour_request(char *buffer, uint16_t type, int ifindex,
					  const struct netlink_address *address, uint8_t flags)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ndmsg *ndm;

	request->nlmsg_type = type;
	ndm = mnl_nlmsg_put_extra_header(request, sizeof(*ndm));
	ndm->ndm_family = address->family;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_flags = flags;
	mnl_attr_put(request, NDA_DST, address_bytes(address->family), &address->address);
	return request;
}

int netlink_neighbour_get(struct netlink *netlink, int ifindex,
			  const struct netlink_address *address, struct rte_ether_addr *mac)
{
	char buffer[256];
	struct netlink_neighbour neighbour = {0};
	int ret = ask(netlink, neighbour_request(buffer, RTM_GETNEIGH, ifindex, address, 0),
		      netlink_parse_neighbour, &neighbour);

	if (ret < 0)
		return ret;
	if (!neighbour.usable)
		return neighbour.failed ? -EHOSTUNREACH : -ENOENT;
	*mac = neighbour.mac;
	return 0;
}

void netlink_neighbour_use(struct netlink *netlink, int ifindex,
			   const struct netlink_address *address)
{
	char buffer[256];
	struct nlmsghdr *request =
		neighbour_request(buffer, RTM_NEWNEIGH, ifindex, address, NTF_USE);

	request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ask(netlink, request, NULL, NULL);
}
