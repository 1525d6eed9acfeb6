/* SPDX-License-Identifier: BSD-3-Clause */
/* Against the real kernel, in a network namespace of its own; skipped if there can be none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/kernel_route.h"
#include "control/privilege.h"

static struct kernel_routes routes;

struct list {
	struct kernel_route route[16];
	unsigned count;
};

static void take(const struct kernel_route *route, void *argument)
{
	struct list *list = argument;

	assert_true(list->count < 16);
	list->route[list->count++] = *route;
}

static struct list list_now(void)
{
	struct list list = {};

	assert_int_equal(kernel_route_list(&routes, take, &list), 0);
	return list;
}

static struct kernel_route host(const char *to, uint32_t table, uint32_t metric)
{
	struct kernel_route route = {.type = RTN_BLACKHOLE, .table = table, .metric = metric};

	route.family = strchr(to, ':') ? AF_INET6 : AF_INET;
	route.bits = route.family == AF_INET ? 32 : 128;
	assert_int_equal(inet_pton(route.family, to, &route.to), 1);
	return route;
}

static const struct {
	const char *what, *to;
	uint32_t table, metric;
} cases[] = {
	{"IPv4", "192.0.2.80", 254, 1024},
	{"IPv4, the same to another table", "192.0.2.80", 83, 1024},
	{"IPv4, the same with another metric", "192.0.2.80", 254, 7},
	{"IPv4, a table of more than one byte", "192.0.2.81", 100000, 4294967295},
	{"IPv6", "2001:db8:80::80", 254, 1024},
	{"IPv6, the same to another table", "2001:db8:80::80", 1000, 1024},
	{"IPv6, the same with another metric", "2001:db8:80::80", 254, 1},
};
#define CASES (sizeof(cases) / sizeof(*cases))

static void test_add_list_delete(void **state)
{
	(void)state;
	assert_int_equal(list_now().count, 0);
	for (size_t i = 0; i < CASES; i++) {
		struct kernel_route route = host(cases[i].to, cases[i].table, cases[i].metric);
		struct list list;
		unsigned found = 0;

		if (kernel_route_add(&routes, &route) != 0)
			fail_msg("%s: not added", cases[i].what);
		assert_int_equal(kernel_route_add(&routes, &route), -EEXIST);
		list = list_now();
		assert_int_equal(list.count, i + 1);
		for (unsigned k = 0; k < list.count; k++)
			found += kernel_route_equal(&list.route[k], &route);
		if (found != 1)
			fail_msg("%s: listed %u times", cases[i].what, found);
	}
	for (size_t i = 0; i < CASES; i++) {
		struct kernel_route route = host(cases[i].to, cases[i].table, cases[i].metric);
		struct list list;

		if (kernel_route_delete(&routes, &route) != 0)
			fail_msg("%s: not deleted", cases[i].what);
		assert_int_equal(kernel_route_delete(&routes, &route), -ESRCH);
		list = list_now();
		assert_int_equal(list.count, CASES - i - 1);
		for (unsigned k = 0; k < list.count; k++)
			assert_false(kernel_route_equal(&list.route[k], &route));
	}
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static void test_others(void **state)
{
	struct kernel_route route = host("192.0.2.90", 254, 5);
	struct kernel_route route6 = host("2001:db8:80::90", 254, 5);

	(void)state;
	run("ip route add blackhole 192.0.2.90/32 metric 5 proto static");
	run("ip route add blackhole 2001:db8:80::90/128 metric 5 proto static");
	run("ip route add blackhole 192.0.2.0/24 metric 5 proto 83");
	/* Routes of others are neither listed, replaced nor deleted. */
	assert_int_equal(list_now().count, 1);
	assert_int_equal(list_now().route[0].bits, 24);
	assert_int_equal(kernel_route_add(&routes, &route), -EEXIST);
	assert_int_equal(kernel_route_add(&routes, &route6), -EEXIST);
	assert_int_equal(kernel_route_delete(&routes, &route), -ESRCH);
	assert_int_equal(kernel_route_delete(&routes, &route6), -ESRCH);
	/* What an earlier version may have left is deleted as listed. */
	route = list_now().route[0];
	assert_int_equal(kernel_route_delete(&routes, &route), 0);
	run("ip route del blackhole 192.0.2.90/32 metric 5 proto static");
	run("ip route del blackhole 2001:db8:80::90/128 metric 5 proto static");
}

static void test_interface(void **state)
{
	struct kernel_route route = host("192.0.2.80", 254, 1024);
	struct kernel_route route6 = host("2001:db8:80::80", 254, 1024);

	(void)state;
	run("ip link add d0 type veth peer name d1 && ip link set d0 up");
	route.type = route6.type = RTN_UNICAST;
	route.ifindex = 999999;
	assert_int_equal(kernel_route_add(&routes, &route), -ENODEV);
	route.ifindex = route6.ifindex = if_nametoindex("d0");
	assert_int_equal(kernel_route_add(&routes, &route), 0);
	assert_int_equal(kernel_route_add(&routes, &route6), 0);
	assert_int_equal(list_now().count, 2);
	assert_true(kernel_route_equal(&list_now().route[0], &route));
	assert_true(kernel_route_equal(&list_now().route[1], &route6));
	assert_int_equal(kernel_route_delete(&routes, &route), 0);
	assert_int_equal(kernel_route_delete(&routes, &route6), 0);
	run("ip link del d0");
}

/* Exit status of a child that became nobody: bit 0: the rights are as they should be, bit 1: the
 * kernel took a route. */
static int as_nobody(bool keep)
{
	static const cap_value_t net_admin[] = {CAP_NET_ADMIN};
	struct kernel_route route = host("192.0.2.99", 254, keep ? 1 : 2);
	const struct passwd *user = getpwnam("nobody");
	int status;
	pid_t pid;

	assert_non_null(user);
	pid = fork();
	if (pid == 0) {
		if (privilege_drop(user, net_admin, keep) != 0 || getuid() == 0 || setuid(0) == 0)
			_exit(8);
		_exit((privilege_has(CAP_NET_ADMIN) == keep) |
		      (kernel_route_add(&routes, &route) == 0) << 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_privilege(void **state)
{
	struct kernel_route route = host("192.0.2.99", 254, 1);

	(void)state;
	assert_int_equal(as_nobody(true), 3);
	assert_int_equal(as_nobody(false), 1); /* though root opened the socket */
	assert_int_equal(kernel_route_delete(&routes, &route), 0);
	assert_int_equal(list_now().count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_list_delete),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_privilege),
	};
	int failed;

	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	if (kernel_routes_open(&routes) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	kernel_routes_close(&routes);
	return failed;
}
