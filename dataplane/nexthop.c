/* SPDX-License-Identifier: BSD-3-Clause */
#include "nexthop.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>

#define PATH_MTU_S 600 /* RFC 8201 section 4: recommended, at least 300 */

/* The address that the kernel must know the way to. */
static struct netlink_address first_hop(const struct target *target)
{
	struct netlink_address to = {.family = AF_INET6, .address = target->via.segment[0]};

	if (IN6_IS_ADDR_V4MAPPED(&target->via.segment[0])) {
		to = (struct netlink_address){.family = AF_INET};
		memcpy(&to.address, &target->via.segment[0].s6_addr[12], 4);
	}
	return to;
}

static const char *text(const struct netlink_address *address, char out[INET6_ADDRSTRLEN])
{
	return inet_ntop(address->family, &address->address, out, INET6_ADDRSTRLEN);
}

#define say(target, ...) snprintf((target)->next_hop, sizeof((target)->next_hop), __VA_ARGS__)

static const char *interface_name(int ifindex, char name[IF_NAMESIZE])
{
	return if_indextoname(ifindex, name) ? name : "?";
}

/* What went there would come back to be steered again, until its hops are used up. */
static bool is_service(const struct nexthop *nexthop, const struct netlink_address *address)
{
	bool ipv4 = address->family == AF_INET;
	struct flow_key key = {.family = ipv4 ? 4 : 6,
			       .protocol = ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6};

	memcpy(key.destination, &address->address, ipv4 ? 4 : 16);
	return classify_lookup(nexthop->routes->classify, &key) != CLASSIFY_NONE;
}

/* Builds the headers over this route; 0, or -errno with the reason in target->next_hop. */
static int build(const struct nexthop *nexthop, struct target *target, struct encap *encap)
{
	struct netlink_address to = first_hop(target);
	struct netlink_route route;
	struct rte_ether_addr mac;
	char address[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	uint16_t port;
	int ret;

	if (is_service(nexthop, &to)) {
		say(target, "%s is a service's address: a loop", text(&to, address));
		return -ELOOP;
	}
	ret = netlink_route_get(nexthop->netlink, &to, &route);
	if (ret < 0)
		return say(target, "no route to %s: %s", text(&to, address), strerror(-ret)), ret;
	port = ports_by_ifindex(nexthop->ports, route.ifindex);
	if (port == PORT_NONE) {
		say(target, "leaves by %s, which is not in dataplane.ports",
		    interface_name(route.ifindex, name));
		return -ENODEV;
	}
	ret = netlink_neighbour_get(nexthop->netlink, route.ifindex, &route.gateway, &mac);
	if (ret < 0) {
		netlink_neighbour_use(nexthop->netlink, route.ifindex, &route.gateway);
		say(target, "%s: no answer yet from %s", interface_name(route.ifindex, name),
		    text(&route.gateway, address));
		return -ENOENT;
	}
	if (target->path_mtu_bytes)
		route.mtu_bytes = RTE_MIN(route.mtu_bytes, target->path_mtu_bytes);
	ret = encap_build(encap, &target->via, target->family, &nexthop->routes->address,
			  &ports_by_id(nexthop->ports, port)->mac, &mac, route.mtu_bytes);
	if (ret < 0)
		return say(target, "cannot be encapsulated"), ret;
	encap->port = port;
	say(target, "%s %s " RTE_ETHER_ADDR_PRT_FMT, interface_name(route.ifindex, name),
	    text(&route.gateway, address), RTE_ETHER_ADDR_BYTES(&mac));
	return 0;
}

static void resolve(struct nexthop *nexthop, unsigned slot)
{
	struct target *target = &nexthop->routes->target[slot];
	const struct encap *old = nexthop->routes->encap[slot];
	struct encap *encap = rte_zmalloc("encap", sizeof(*encap), RTE_CACHE_LINE_SIZE);

	if (!encap)
		return;
	if (build(nexthop, target, encap) < 0) {
		rte_free(encap);
		if (old->kind != SL_VIA_NONE) {
			warnx("warning: next hop lost: %s", target->next_hop);
			routes_set_encap(nexthop->routes, slot, NULL);
		}
	} else if (memcmp(old, encap, sizeof(*encap)) == 0) {
		rte_free(encap);
	} else {
		routes_set_encap(nexthop->routes, slot, encap);
	}
}

static bool in_use(const struct nexthop *nexthop, unsigned slot)
{
	return nexthop->routes->target[slot].references > 0;
}

void nexthop_resolve_new(struct nexthop *nexthop)
{
	for (unsigned i = 1; i < nexthop->routes->targets; i++)
		if (!nexthop->routes->target[i].next_hop[0])
			resolve(nexthop, i);
}

void nexthop_resolve_all(struct nexthop *nexthop)
{
	for (unsigned i = 1; i < nexthop->routes->targets; i++)
		if (in_use(nexthop, i))
			resolve(nexthop, i);
}

static bool leads_over(const struct target *target, const struct in6_addr *segment)
{
	for (unsigned i = 0; i < target->via.segments; i++)
		if (IN6_ARE_ADDR_EQUAL(&target->via.segment[i], segment))
			return target->via.kind != SL_VIA_L2;
	return false;
}

bool nexthop_path_mtu(struct nexthop *nexthop, const struct in6_addr *segment, uint16_t mtu_bytes)
{
	bool narrower = false;

	for (unsigned i = 1; i < nexthop->routes->targets; i++) {
		struct target *target = &nexthop->routes->target[i];
		if (!in_use(nexthop, i) || !leads_over(target, segment) ||
		    nexthop->routes->encap[i]->mtu_bytes < mtu_bytes)
			continue;
		narrower |= nexthop->routes->encap[i]->mtu_bytes > mtu_bytes;
		target->path_mtu_bytes = mtu_bytes;
		target->path_mtu_s = PATH_MTU_S;
		resolve(nexthop, i);
	}
	return narrower;
}

/* Routes change: after a while it is tried whether the way is wider again. */
static void forget_path_mtu(struct nexthop *nexthop, unsigned slot)
{
	struct target *target = &nexthop->routes->target[slot];

	if (target->path_mtu_s == 0 || --target->path_mtu_s > 0)
		return;
	target->path_mtu_bytes = 0;
	resolve(nexthop, slot);
}

/* A service may have come to its address. */
static void confirm(struct nexthop *nexthop, unsigned slot)
{
	struct netlink_address to = first_hop(&nexthop->routes->target[slot]);
	struct netlink_route route;

	if (is_service(nexthop, &to))
		resolve(nexthop, slot);
	else if (netlink_route_get(nexthop->netlink, &to, &route) == 0)
		netlink_neighbour_use(nexthop->netlink, route.ifindex, &route.gateway);
}

void nexthop_tick(struct nexthop *nexthop)
{
	for (unsigned i = 1; i < nexthop->routes->targets; i++) {
		if (!in_use(nexthop, i))
			continue;
		forget_path_mtu(nexthop, i);
		if (nexthop->routes->encap[i]->kind == SL_VIA_NONE)
			resolve(nexthop, i);
		else
			confirm(nexthop, i);
	}
}
