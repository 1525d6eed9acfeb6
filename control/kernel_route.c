/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_route.h"
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A lost answer must not hold control's loop for good. */
#define ANSWER_TIMEOUT_US 200000

#define BUFFER_BYTES 32768 /* what the kernel fills at most in one piece of a dump */

int kernel_routes_open(struct kernel_routes *routes)
{
	struct timeval timeout = {.tv_usec = ANSWER_TIMEOUT_US};
	int on = 1, result;

	*routes = (struct kernel_routes){.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
	if (!routes->socket)
		return -errno;
	if (mnl_socket_bind(routes->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		result = -errno;
		kernel_routes_close(routes);
		return result;
	}
	setsockopt(mnl_socket_get_fd(routes->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		   sizeof(timeout));
	/* The kernel then filters dumps: a full BGP table need not pass through here. */
	mnl_socket_setsockopt(routes->socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return 0;
}

void kernel_routes_close(struct kernel_routes *routes)
{
	if (routes->socket)
		mnl_socket_close(routes->socket);
	routes->socket = NULL;
}

/* 0 or -errno of the kernel's answer; the pieces of a dump go to `take`. */
static int ask(struct kernel_routes *routes, struct nlmsghdr *request, mnl_cb_t take, void *data)
{
	unsigned port = mnl_socket_get_portid(routes->socket);
	char buffer[BUFFER_BYTES];
	int n;

	request->nlmsg_seq = ++routes->sequence;
	request->nlmsg_flags |= NLM_F_REQUEST;
	if (mnl_socket_sendto(routes->socket, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = (int)mnl_socket_recvfrom(routes->socket, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		n = mnl_cb_run(buffer, (size_t)n, routes->sequence, port, take, data);
		/* an answer to an earlier request that had timed out */
		if (n < 0 && errno == EPROTO)
			n = MNL_CB_OK;
	} while (n > MNL_CB_STOP);
	return n < 0 ? -errno : 0;
}

static size_t address_bytes(uint8_t family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static struct nlmsghdr *build(char *buffer, uint16_t type, const struct kernel_route *route)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_ACK;
	rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));
	*rtm = (struct rtmsg){
		.rtm_family = route->family,
		.rtm_dst_len = route->bits,
		.rtm_table = route->table < 256 ? (uint8_t)route->table : RT_TABLE_UNSPEC,
		.rtm_protocol = KERNEL_ROUTE_PROTOCOL,
		.rtm_type = route->type,
	};
	mnl_attr_put(request, RTA_DST, address_bytes(route->family), &route->to);
	mnl_attr_put_u32(request, RTA_TABLE, route->table);
	mnl_attr_put_u32(request, RTA_PRIORITY, route->metric);
	return request;
}

int kernel_route_add(struct kernel_routes *routes, const struct kernel_route *route)
{
	char buffer[256];
	struct nlmsghdr *request = build(buffer, RTM_NEWROUTE, route);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(request);

	request->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	if (route->type == RTN_UNICAST) {
		rtm->rtm_scope = RT_SCOPE_LINK;
		mnl_attr_put_u32(request, RTA_OIF, route->ifindex);
	}
	return ask(routes, request, NULL, NULL);
}

/* The table, address, metric and protocol name it; IPv6 keeps a blackhole on lo. */
int kernel_route_delete(struct kernel_routes *routes, const struct kernel_route *route)
{
	char buffer[256];
	struct nlmsghdr *request = build(buffer, RTM_DELROUTE, route);
	struct rtmsg *rtm = mnl_nlmsg_get_payload(request);

	rtm->rtm_scope = RT_SCOPE_NOWHERE;
	return ask(routes, request, NULL, NULL);
}

bool kernel_route_equal(const struct kernel_route *a, const struct kernel_route *b)
{
	return a->family == b->family && a->bits == b->bits && a->type == b->type &&
	       a->table == b->table && a->metric == b->metric && a->ifindex == b->ifindex &&
	       memcmp(&a->to, &b->to, sizeof(a->to)) == 0;
}

struct listing {
	kernel_route_take *take;
	void *argument;
};

static void read_attribute(const struct nlattr *attr, struct kernel_route *route)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		if (mnl_attr_get_payload_len(attr) == address_bytes(route->family))
			memcpy(&route->to, mnl_attr_get_payload(attr),
			       mnl_attr_get_payload_len(attr));
		break;
	case RTA_TABLE:
		route->table = mnl_attr_get_u32(attr);
		break;
	case RTA_PRIORITY:
		route->metric = mnl_attr_get_u32(attr);
		break;
	case RTA_OIF:
		if (route->type == RTN_UNICAST)
			route->ifindex = mnl_attr_get_u32(attr);
		break;
	}
}

static int on_route(const struct nlmsghdr *answer, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(answer);
	const struct listing *listing = data;
	const struct nlattr *attr;
	struct kernel_route route;

	if (answer->nlmsg_type != RTM_NEWROUTE || rtm->rtm_protocol != KERNEL_ROUTE_PROTOCOL ||
	    (rtm->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	route = (struct kernel_route){.family = rtm->rtm_family,
				      .bits = rtm->rtm_dst_len,
				      .type = rtm->rtm_type,
				      .table = rtm->rtm_table};
	mnl_attr_for_each (attr, answer, sizeof(*rtm))
		read_attribute(attr, &route);
	listing->take(&route, listing->argument);
	return MNL_CB_OK;
}

static int list_family(struct kernel_routes *routes, uint8_t family, struct listing *listing)
{
	char buffer[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct rtmsg *rtm;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_DUMP;
	rtm = mnl_nlmsg_put_extra_header(request, sizeof(*rtm));
	*rtm = (struct rtmsg){.rtm_family = family, .rtm_protocol = KERNEL_ROUTE_PROTOCOL};
	return ask(routes, request, on_route, listing);
}

int kernel_route_list(struct kernel_routes *routes, kernel_route_take *take, void *argument)
{
	struct listing listing = {take, argument};
	int result = list_family(routes, AF_INET, &listing);

	return result < 0 ? result : list_family(routes, AF_INET6, &listing);
}
