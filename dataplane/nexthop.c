/* SPDX-License-Identifier: BSD-3-Clause */
#include "nexthop.h"
#include "card.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static uint32_t boot_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint32_t)ts.tv_sec;
}

static const char *interface_name(int ifindex, char name[IF_NAMESIZE])
{
	return if_indextoname(ifindex, name) ? name : "?";
}

/* --- one target --- */

/* What went there would come back to be steered again, until its hops are used up. */
static bool is_service(const struct nexthop *nexthop, const struct netlink_address *address)
{
	bool ipv4 = address->family == AF_INET;
	struct flow_key key = {.family = ipv4 ? 4 : 6,
			       .protocol = ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6};

	memcpy(key.destination, &address->address, ipv4 ? 4 : 16);
	return classify_lookup(nexthop->routes->classify, &key) != CLASSIFY_NONE;
}

/* The port that the kernel's route leaves by; NULL with the reason in target->next_hop. */
static const struct port *find_port(const struct nexthop *nexthop, struct target *target,
				    struct netlink_route *route)
{
	struct netlink_address to = first_hop(target);
	char address[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
	const struct port *port;
	int ret;

	*route = (struct netlink_route){0};
	if (is_service(nexthop, &to)) {
		say(target, "%s is a service's address: a loop", text(&to, address));
		return NULL;
	}
	ret = netlink_route_get(nexthop->netlink, &to, route);
	port = ports_by_ifindex(nexthop->ports, route->ifindex);
	if (ret < 0)
		say(target, "no route to %s: %s", text(&to, address), strerror(-ret));
	else if (!port)
		say(target, "leaves by %s, which is not in dataplane.ports",
		    interface_name(route->ifindex, name));
	else if (route->encapsulates)
		say(target, "the route to %s has a tunnel of its own", text(&to, address));
	else if (!port->link.up || !port->link.carrier)
		say(target, "%s %s", port->name, port->link.up ? "has no carrier" : "is down");
	else
		return port;
	return NULL;
}

/* The former headers, as long as they lead out of a port that can send. */
static bool can_stay(const struct nexthop *nexthop, const struct encap *old)
{
	for (unsigned i = 0; i < nexthop->ports->ports; i++) {
		const struct port *port = &nexthop->ports->port[i];
		if (old->kind != SL_VIA_NONE && port->id == old->port)
			return port->link.up && port->link.carrier;
	}
	return false;
}

/*
 * The neighbour's address; NULL with the reason in target->next_hop. The kernel is made to look for
 * one that it does not know if packets are to be sent there. Until it has an answer or gives up
 * (3 s) the former headers stay in use, so that a route to a new neighbour loses nothing: *stays.
 */
static const struct rte_ether_addr *find_neighbour(const struct nexthop *nexthop, unsigned slot,
						   bool wanted, const struct port *port,
						   struct rte_ether_addr *mac, bool *stays)
{
	struct target *target = &nexthop->routes->target[slot];
	const struct netlink_route *route = &nexthop->way[slot].route;
	char address[INET6_ADDRSTRLEN];
	int ret = netlink_neighbour_get(nexthop->netlink, route->ifindex, &route->gateway, mac);

	if (ret == 0)
		return mac;
	if (wanted)
		netlink_neighbour_use(nexthop->netlink, route->ifindex, &route->gateway);
	*stays = ret != -EHOSTUNREACH && can_stay(nexthop, nexthop->routes->encap[slot]);
	say(target, "%s: no answer yet from %s%s", port->name, text(&route->gateway, address),
	    *stays ? ", by the former" : "");
	return NULL;
}

/* Builds the headers over the kernel's route; false with the reason in target->next_hop. */
static bool build(struct nexthop *nexthop, unsigned slot, bool wanted, struct encap *encap,
		  bool *stays)
{
	struct target *target = &nexthop->routes->target[slot];
	struct netlink_route *route = &nexthop->way[slot].route;
	const struct port *port = find_port(nexthop, target, route);
	struct rte_ether_addr mac;
	char address[INET6_ADDRSTRLEN];
	unsigned mtu_bytes;

	if (!port || !find_neighbour(nexthop, slot, wanted, port, &mac, stays))
		return false;
	mtu_bytes = port->link.mtu_bytes;
	if (route->mtu_bytes)
		mtu_bytes = RTE_MIN(mtu_bytes, route->mtu_bytes);
	if (target->path_mtu_bytes)
		mtu_bytes = RTE_MIN(mtu_bytes, target->path_mtu_bytes);
	if (encap_build(encap, &target->via, target->family,
			target->via.kind == SL_VIA_VXLAN ? &nexthop->routes->address4
							 : &nexthop->routes->address,
			&port->link.mac, &mac, mtu_bytes) < 0) {
		say(target, "cannot be encapsulated");
		return false;
	}
	encap->port = port->id;
	say(target, "%s %s " RTE_ETHER_ADDR_PRT_FMT, port->name, text(&route->gateway, address),
	    RTE_ETHER_ADDR_BYTES(&mac));
	return true;
}

static void change(struct nexthop *nexthop, unsigned slot, struct encap *encap)
{
	struct target *target = &nexthop->routes->target[slot];
	bool was = nexthop->routes->encap[slot]->kind != SL_VIA_NONE;

	if (!encap)
		warnx("warning: next hop lost: %s", target->next_hop);
	else if (!was && target->changes > 0)
		warnx("next hop back: %s", target->next_hop);
	routes_set_encap(nexthop->routes, slot, encap);
	target->changes++;
	target->changed_s = boot_s();
}

static void resolve(struct nexthop *nexthop, unsigned slot, bool wanted)
{
	const struct encap *old = nexthop->routes->encap[slot];
	struct encap *encap = rte_zmalloc("encap", sizeof(*encap), RTE_CACHE_LINE_SIZE);
	bool stays = false;

	nexthop->way[slot].stale = false;
	if (!encap)
		return;
	if (!build(nexthop, slot, wanted, encap, &stays)) {
		rte_free(encap);
		if (old->kind != SL_VIA_NONE && !stays)
			change(nexthop, slot, NULL);
	} else if (memcmp(old, encap, sizeof(*encap)) == 0) {
		rte_free(encap);
	} else {
		change(nexthop, slot, encap);
	}
}

void nexthop_resolve_new(struct nexthop *nexthop)
{
	for (unsigned i = 1; i < nexthop->routes->targets; i++)
		if (!nexthop->routes->target[i].next_hop[0])
			resolve(nexthop, i, true);
}

/* --- what changes --- */

static bool in_use(const struct nexthop *nexthop, unsigned slot)
{
	return nexthop->routes->target[slot].references > 0;
}

static bool same_address(const struct netlink_address *a, const struct netlink_address *b)
{
	return a->family == b->family && IN6_ARE_ADDR_EQUAL(&a->address, &b->address);
}

static bool covers(const struct netlink_change *prefix, const struct netlink_address *address)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	const uint8_t *a = prefix->address.address.s6_addr, *b = address->address.s6_addr;

	if (prefix->address.family != address->family || prefix->bits > 128)
		return false;
	return memcmp(a, b, whole) == 0 &&
	       (rest == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> rest) & 0xff) == 0);
}

/* A way that has no route, or not by a port, gets one by a change of routes: never a neighbour. */
static bool concerns(const struct nexthop *nexthop, unsigned slot,
		     const struct netlink_change *change)
{
	const struct netlink_route *route = &nexthop->way[slot].route;
	struct netlink_address to;

	if (change->what == NETLINK_CHANGE_NEIGHBOUR)
		return route->ifindex == change->ifindex &&
		       same_address(&route->gateway, &change->address);
	to = first_hop(&nexthop->routes->target[slot]);
	return covers(change, &to);
}

static void note_change(void *context, const struct netlink_change *change)
{
	struct nexthop *nexthop = context;

	if (change->what == NETLINK_CHANGE_NOTHING)
		return;
	nexthop->all_stale |=
		change->what == NETLINK_CHANGE_ALL || ++nexthop->changes > NEXTHOP_CHANGES_MAX;
	for (unsigned i = 1; !nexthop->all_stale && i < nexthop->routes->targets; i++)
		nexthop->way[i].stale |= concerns(nexthop, i, change);
}

/* Asking takes until a change of links under way is done with, that of their routes too. */
static void links_refresh(struct nexthop *nexthop)
{
	for (unsigned i = 0; i < nexthop->ports->ports; i++) {
		struct port *port = &nexthop->ports->port[i];
		struct netlink_link before = port->link;

		netlink_link_get(nexthop->netlink, port->ifindex, &port->link);
		if (port->device && before.mtu_bytes)
			card_follow(port, &before);
	}
}

static void resolve_stale(struct nexthop *nexthop)
{
	for (unsigned i = 1; i < nexthop->routes->targets; i++)
		if (nexthop->all_stale || nexthop->way[i].stale)
			resolve(nexthop, i, in_use(nexthop, i));
	nexthop->all_stale = false;
}

void nexthop_follow(struct nexthop *nexthop)
{
	nexthop->changes = 0;
	netlink_changes(nexthop->netlink, note_change, nexthop);
	if (nexthop->all_stale)
		links_refresh(nexthop);
	resolve_stale(nexthop);
}

void nexthop_resolve_all(struct nexthop *nexthop)
{
	nexthop->all_stale = true;
	resolve_stale(nexthop);
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
		resolve(nexthop, i, true);
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
	resolve(nexthop, slot, true);
}

/* --- each second --- */

/* The neighbours that have been confirmed in this round; most ways share a few. */
struct confirmed {
	unsigned n;
	struct netlink_route route[32];
};

static void confirm(struct nexthop *nexthop, const struct netlink_route *route,
		    struct confirmed *confirmed)
{
	unsigned i;

	for (i = 0; i < confirmed->n; i++)
		if (confirmed->route[i].ifindex == route->ifindex &&
		    same_address(&confirmed->route[i].gateway, &route->gateway))
			return;
	if (i < sizeof(confirmed->route) / sizeof(confirmed->route[0]))
		confirmed->route[confirmed->n++] = *route;
	netlink_neighbour_use(nexthop->netlink, route->ifindex, &route->gateway);
}

void nexthop_tick(struct nexthop *nexthop)
{
	struct confirmed confirmed = {0};

	for (unsigned i = 1; i < nexthop->routes->targets; i++) {
		struct netlink_address to = first_hop(&nexthop->routes->target[i]);

		if (!in_use(nexthop, i))
			continue;
		forget_path_mtu(nexthop, i);
		/* or a service may have come to its address */
		if (nexthop->routes->encap[i]->kind == SL_VIA_NONE || is_service(nexthop, &to))
			resolve(nexthop, i, true);
		else
			confirm(nexthop, &nexthop->way[i].route, &confirmed);
	}
}

void nexthop_init(struct nexthop *nexthop, struct netlink *netlink, struct ports *ports,
		  struct routes *routes)
{
	nexthop->netlink = netlink;
	nexthop->ports = ports;
	nexthop->routes = routes;
	links_refresh(nexthop);
}
