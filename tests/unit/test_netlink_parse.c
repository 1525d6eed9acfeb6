/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/netlink_parse.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As the kernel answers "ip route get fc00:a:0:4::" with mtu 1400, and "ip neigh get". */
static struct nlmsghdr *make(char *buffer, uint16_t type, uint16_t header_bytes)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(message, header_bytes);
	return message;
}

static struct nlmsghdr *make_route(char *buffer, uint8_t type)
{
	struct nlmsghdr *message = make(buffer, RTM_NEWROUTE, sizeof(struct rtmsg));
	struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
	struct in6_addr gateway;
	struct nlattr *metrics;

	rtm->rtm_family = AF_INET6;
	rtm->rtm_type = type;
	inet_pton(AF_INET6, "fd00:e::2", &gateway);
	mnl_attr_put_u32(message, RTA_OIF, 3);
	mnl_attr_put(message, RTA_GATEWAY, sizeof gateway, &gateway);
	metrics = mnl_attr_nest_start(message, RTA_METRICS);
	mnl_attr_put_u32(message, RTAX_MTU, 1400);
	mnl_attr_nest_end(message, metrics);
	return message;
}

static struct nlmsghdr *make_neighbour(char *buffer, uint16_t state)
{
	struct nlmsghdr *message = make(buffer, RTM_NEWNEIGH, sizeof(struct ndmsg));
	struct ndmsg *ndm = mnl_nlmsg_get_payload(message);

	ndm->ndm_family = AF_INET6;
	ndm->ndm_state = state;
	mnl_attr_put(message, NDA_LLADDR, 6, "\2\0\0\0\0\1");
	return message;
}

static void test_route(void **state)
{
	char buffer[512], text[INET6_ADDRSTRLEN];
	struct netlink_route route = {};

	(void)state;
	assert_int_equal(netlink_parse_route(make_route(buffer, RTN_UNICAST), &route), MNL_CB_OK);
	assert_int_equal(route.ifindex, 3);
	assert_int_equal(route.mtu_bytes, 1400);
	inet_ntop(AF_INET6, &route.gateway.address, text, sizeof text);
	assert_string_equal(text, "fd00:e::2");
	assert_int_equal(netlink_parse_route(make_route(buffer, RTN_LOCAL), &route), MNL_CB_ERROR);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(netlink_parse_route(make_route(buffer, RTN_BLACKHOLE), &route),
			 MNL_CB_ERROR);
	assert_int_equal(errno, EHOSTUNREACH);
}

static void test_neighbour(void **state)
{
	char buffer[512];
	struct netlink_neighbour neighbour = {};

	(void)state;
	assert_int_equal(netlink_parse_neighbour(make_neighbour(buffer, NUD_FAILED), &neighbour),
			 MNL_CB_OK);
	assert_false(neighbour.usable);
	netlink_parse_neighbour(make_neighbour(buffer, NUD_STALE), &neighbour);
	assert_true(neighbour.usable);
	assert_memory_equal(&neighbour.mac, "\2\0\0\0\0\1", 6);
}

static struct nlmsghdr *make_link(char *buffer, uint32_t flags)
{
	struct nlmsghdr *message = make(buffer, RTM_NEWLINK, sizeof(struct ifinfomsg));
	struct ifinfomsg *info = mnl_nlmsg_get_payload(message);

	info->ifi_index = 3;
	info->ifi_flags = flags;
	mnl_attr_put_u32(message, IFLA_MTU, 9000);
	mnl_attr_put(message, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
	return message;
}

static void test_neighbour_failed(void **state)
{
	char buffer[512];
	struct netlink_neighbour neighbour = {};

	(void)state;
	netlink_parse_neighbour(make_neighbour(buffer, NUD_INCOMPLETE), &neighbour);
	assert_false(neighbour.usable || neighbour.failed);
	netlink_parse_neighbour(make_neighbour(buffer, NUD_FAILED), &neighbour);
	assert_true(!neighbour.usable && neighbour.failed);
}

static void test_link(void **state)
{
	static const struct {
		const char *what;
		uint32_t flags;
		bool up, carrier;
	} rows[] = {
		{"down", 0, false, false},
		{"no carrier", IFF_UP, true, false},
		{"up", IFF_UP | IFF_RUNNING, true, true},
	};
	char buffer[512];

	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct netlink_link link = {};
		netlink_parse_link(make_link(buffer, rows[i].flags), &link);
		if (link.up != rows[i].up || link.carrier != rows[i].carrier)
			fail_msg("%s", rows[i].what);
		assert_int_equal(link.mtu_bytes, 9000);
		assert_memory_equal(&link.mac, "\2\0\0\0\0\1", 6);
	}
}

/* IPv4 by an IPv6 gateway, and a route with a tunnel, as the kernel answers. */
static void test_route_kinds(void **state)
{
	char buffer[512];
	struct netlink_route route = {};
	struct nlmsghdr *message = make(buffer, RTM_NEWROUTE, sizeof(struct rtmsg));
	struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
	uint8_t via[18] = {AF_INET6, 0, 0xfe, 0x80, [17] = 7};
	struct nlattr *tunnel;

	(void)state;
	rtm->rtm_family = AF_INET;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(message, RTA_VIA, sizeof via, via);
	netlink_parse_route(message, &route);
	assert_int_equal(route.gateway.family, AF_INET6);
	assert_memory_equal(&route.gateway.address, via + 2, 16);
	assert_false(route.encapsulates);
	tunnel = mnl_attr_nest_start(message, RTA_ENCAP);
	mnl_attr_nest_end(message, tunnel);
	netlink_parse_route(message, &route);
	assert_true(route.encapsulates);
}

static void test_change(void **state)
{
	char buffer[512];
	struct nlmsghdr *message = make_neighbour(buffer, NUD_STALE);
	struct ndmsg *ndm = mnl_nlmsg_get_payload(message);
	struct netlink_change change = netlink_parse_change(message);
	struct rtmsg *rtm;

	(void)state;
	assert_int_equal(change.what, NETLINK_CHANGE_NOTHING); /* of no address */
	ndm->ndm_ifindex = 7;
	mnl_attr_put(message, NDA_DST, 16, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
	change = netlink_parse_change(message);
	assert_int_equal(change.what, NETLINK_CHANGE_NEIGHBOUR);
	assert_int_equal(change.ifindex, 7);
	assert_int_equal(change.address.address.s6_addr[15], 1);
	ndm->ndm_family = AF_BRIDGE;
	assert_int_equal(netlink_parse_change(message).what, NETLINK_CHANGE_NOTHING);

	message = make(buffer, RTM_DELROUTE, sizeof(struct rtmsg));
	rtm = mnl_nlmsg_get_payload(message);
	rtm->rtm_family = AF_INET;
	change = netlink_parse_change(message); /* a default route has no destination */
	assert_int_equal(change.what, NETLINK_CHANGE_ROUTE);
	assert_int_equal(change.bits, 0);
	rtm->rtm_dst_len = 24;
	mnl_attr_put(message, RTA_DST, 4, "\12\1\2\0");
	change = netlink_parse_change(message);
	assert_int_equal(change.bits, 24);
	assert_memory_equal(&change.address.address, "\12\1\2\0", 4);
	assert_int_equal(netlink_parse_change(make_link(buffer, 0)).what, NETLINK_CHANGE_ALL);
	assert_int_equal(netlink_parse_change(make(buffer, 999, 0)).what, NETLINK_CHANGE_ALL);
}

/* Cut anywhere, with the length saying so, in memory of just that size. */
static void test_truncated(void **state)
{
	char buffer[512];

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct nlmsghdr *whole =
			kind ? make_neighbour(buffer, NUD_STALE) : make_route(buffer, RTN_UNICAST);
		for (unsigned n = sizeof *whole; n < whole->nlmsg_len; n++) {
			struct nlmsghdr *message = malloc(n);
			struct netlink_route route = {};
			struct netlink_neighbour neighbour = {};
			memcpy(message, whole, n);
			assert_false(netlink_parse_sound(message, n));
			message->nlmsg_len = n;
			assert_int_equal(netlink_parse_sound(message, n), n % 4 == 0);
			if (n % 4 != 0)
				goto next;
			netlink_parse_route(message, &route);
			netlink_parse_neighbour(message, &neighbour);
			netlink_parse_change(message);
			assert_int_equal(route.mtu_bytes, 0);
			assert_false(neighbour.usable);
		next:
			free(message);
		}
	}
}

/* Attributes of another length than theirs are passed over. */
static void test_attribute_lengths(void **state)
{
	char buffer[512];

	(void)state;
	for (unsigned bytes = 0; bytes < 20; bytes++) {
		struct nlmsghdr *message = make(buffer, RTM_NEWROUTE, sizeof(struct rtmsg));
		struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
		struct netlink_route route = {};
		static const char ones[20] = {1, 1, 1, 1};
		rtm->rtm_type = RTN_UNICAST;
		rtm->rtm_family = AF_INET;
		mnl_attr_put(message, RTA_OIF, bytes, ones);
		mnl_attr_put(message, RTA_GATEWAY, bytes, ones);
		netlink_parse_route(message, &route);
		assert_int_equal(route.ifindex, bytes == 4 ? 0x01010101 : 0);
		assert_int_equal(route.gateway.address.s6_addr[0], bytes == 4);
	}
}

/* Found by fuzzing: libmnl takes a length of 2 GiB or more for a negative one, which "fits". */
static void test_sound(void **state)
{
	static const uint32_t lengths[] = {0, 15, 17, 21, 0x7fffffff, 0x80000000, 0xffffffff};
	struct nlmsghdr message[2] = {};

	(void)state;
	message[0].nlmsg_len = message[1].nlmsg_len = sizeof message[0];
	assert_true(netlink_parse_sound(message, 0));
	assert_true(netlink_parse_sound(message, sizeof message));
	assert_false(netlink_parse_sound(message, sizeof message - 1));
	for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		message[1].nlmsg_len = lengths[i];
		assert_false(netlink_parse_sound(message, sizeof message));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route),	  cmocka_unit_test(test_neighbour),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_attribute_lengths),
		cmocka_unit_test(test_sound),	  cmocka_unit_test(test_neighbour_failed),
		cmocka_unit_test(test_link),	  cmocka_unit_test(test_route_kinds),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
