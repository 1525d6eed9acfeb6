/* SPDX-License-Identifier: BSD-3-Clause */
/* Route messages: good ones pass, and each single wrong field is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/route_check.h"

#define CANDIDATES 2

struct message {
	struct sl_msg_service head;
	struct sl_candidate candidate[CANDIDATES];
};

static struct message good(void)
{
	struct message m = {
		.head = {.header = {SL_ROUTE_VERSION, SL_MSG_SERVICE, sizeof(m), 1},
			 .service = "infer",
			 .port = 80,
			 .protocol = IPPROTO_TCP,
			 .idle_s = 3600,
			 .candidates = CANDIDATES,
			 .draws = 3},
		.candidate = {{.site = "a", .weight = 1}, {.site = "b", .weight = 0}},
	};

	inet_pton(AF_INET, "192.0.2.80", &m.head.ipv4);
	inet_pton(AF_INET6, "2001:db8:80::80", &m.head.ipv6);
	for (unsigned i = 0; i < CANDIDATES; i++) {
		m.candidate[i].via[SL_INNER_IPV4] =
			(struct sl_via){.kind = SL_VIA_SRV6, .segments = 1};
		inet_pton(AF_INET6, "fc00:a::4", &m.candidate[i].via[SL_INNER_IPV4].segment[0]);
	}
	m.candidate[1].via[SL_INNER_IPV6] = (struct sl_via){.kind = SL_VIA_L2, .segments = 1};
	inet_pton(AF_INET6, "::ffff:10.3.0.2", &m.candidate[1].via[SL_INNER_IPV6].segment[0]);
	return m;
}

static void accepts_a_good_message(void **state)
{
	struct message m = good();
	char field[SL_NAME_MAX] = "";

	(void)state;
	assert_int_equal(route_check_header(&m.head.header, sizeof(m), field), SL_ACK_DONE);
	assert_int_equal(route_check_service(&m.head, sizeof(m), field), SL_ACK_DONE);
	assert_string_equal(field, "");
}

static void names_each_wrong_field(void **state)
{
	static const struct {
		const char *what, *field;
		size_t offset;
		const void *bytes;
		size_t n;
	} cases[] = {
#define AT(member) offsetof(struct message, member)
#define BYTES(literal) (literal), sizeof(literal) - 1
		{"empty service name", "service", AT(head.service), BYTES("\0")},
		{"blank in a name", "service", AT(head.service), BYTES("in fer")},
		{"control character", "service", AT(head.service), BYTES("in\x1b")},
		{"name not ended", "service", AT(head.service),
		 BYTES("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
		{"multicast IPv4", "ipv4", AT(head.ipv4), BYTES("\xe0\0\0\1")},
		{"multicast IPv6", "ipv6", AT(head.ipv6), BYTES("\xff\x02")},
		{"port 0", "port", AT(head.port), BYTES("\0\0")},
		{"protocol ICMP", "protocol", AT(head.protocol), BYTES("\x01")},
		{"affinity 3", "affinity", AT(head.affinity), BYTES("\x03")},
		{"idle 0", "idle_s", AT(head.idle_s), BYTES("\0\0\0\0")},
		{"idle 16384", "idle_s", AT(head.idle_s), BYTES("\0\x40\0\0")},
		{"too many candidates", "candidates", AT(head.candidates), BYTES("\x41\0")},
		{"fewer candidates than sent", "length", AT(head.candidates), BYTES("\1\0")},
		{"more candidates than sent", "length", AT(head.candidates), BYTES("\3\0")},
		{"no draws", "draws", AT(head.draws), BYTES("\0\0")},
		{"too many draws", "draws", AT(head.draws), BYTES("\x0b\0")},
		{"empty site", "candidate.site", AT(candidate[1].site), BYTES("\0")},
		{"site named twice", "candidate.site twice", AT(candidate[1].site), BYTES("a\0")},
		{"unknown kind of via", "candidate.via", AT(candidate[0].via[0].kind), BYTES("\7")},
		{"segments without kind", "candidate.via", AT(candidate[0].via[0].kind),
		 BYTES("\0")},
		{"no segment", "candidate.via", AT(candidate[0].via[0].segments), BYTES("\0")},
		{"four segments", "candidate.via", AT(candidate[0].via[0].segments), BYTES("\4")},
		{"second segment is ::", "candidate.via", AT(candidate[0].via[0].segments),
		 BYTES("\2")},
		{"multicast segment", "candidate.via", AT(candidate[0].via[0].segment[0]),
		 BYTES("\xff")},
		{"two neighbours", "candidate.via", AT(candidate[1].via[1].segments), BYTES("\2")},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message m = good();
		char field[SL_NAME_MAX] = "";
		memcpy((uint8_t *)&m + cases[i].offset, cases[i].bytes, cases[i].n);
		if (route_check_service(&m.head, sizeof(m), field) != SL_ACK_FIELD ||
		    strcmp(field, cases[i].field) != 0)
			fail_msg("%s: field '%s', expected '%s'", cases[i].what, field,
				 cases[i].field);
	}
}

static void needs_an_address(void **state)
{
	struct message m = good();
	char field[SL_NAME_MAX] = "";

	(void)state;
	m.head.ipv4.s_addr = 0;
	assert_int_equal(route_check_service(&m.head, sizeof(m), field), SL_ACK_DONE);
	m.head.ipv6 = in6addr_any;
	assert_int_equal(route_check_service(&m.head, sizeof(m), field), SL_ACK_FIELD);
	assert_string_equal(field, "ipv4, ipv6");
}

/* In memory of just that size, so that the sanitizer sees a read past the end. */
static void refuses_every_truncation(void **state)
{
	struct message m = good();

	(void)state;
	for (size_t n = 0; n < sizeof(m); n++) {
		void *copy = malloc(n ? n : 1);
		char field[SL_NAME_MAX] = "";
		memcpy(copy, &m, n);
		assert_int_equal(route_check_header(copy, n, field), SL_ACK_VERSION);
		assert_int_equal(route_check_service(copy, n, field), SL_ACK_FIELD);
		free(copy);
	}
}

static void refuses_another_version_or_length(void **state)
{
	struct message m = good();
	char field[SL_NAME_MAX] = "";

	(void)state;
	m.head.header.version++;
	assert_int_equal(route_check_header(&m.head.header, sizeof(m), field), SL_ACK_VERSION);
	m = good();
	m.head.header.bytes--;
	assert_int_equal(route_check_header(&m.head.header, sizeof(m), field), SL_ACK_VERSION);
}

static void checks_withdrawals(void **state)
{
	struct sl_msg_withdraw m = {.service = "infer"};
	char field[SL_NAME_MAX] = "";

	(void)state;
	assert_int_equal(route_check_withdraw(&m, sizeof(m), field), SL_ACK_DONE);
	assert_int_equal(route_check_withdraw(&m, sizeof(m) - 1, field), SL_ACK_FIELD);
	assert_string_equal(field, "length");
	m.service[0] = 0;
	assert_int_equal(route_check_withdraw(&m, sizeof(m), field), SL_ACK_FIELD);
	assert_string_equal(field, "service");
}

static void checks_the_node(void **state)
{
	static const struct {
		const char *what;
		const char *address, *prefix;
		uint32_t sids;
		uint8_t bits;
		const char *field; /* NULL: good */
	} node[] = {
		{"good", "fc00:e::1", "fc00:c:0:46::", 1, 64, NULL},
		{"no address, no SIDs", "::", "::", 0, 0, NULL},
		{"multicast address", "ff02::1", "fc00::", 1, 64, "address"},
		{"too many", "fc00:e::1", "fc00:c:0:46::", SL_SIDS_MAX + 1, 64, "sids"},
		{"long prefix", "fc00:e::1", "fc00:c:0:46::", 1, 129, "sid"},
		{"multicast prefix", "fc00:e::1", "ff02::", 1, 16, "sid"},
		{"set past its length", "fc00:e::1", "fc00:c:0:46::1", 1, 127, "sid"},
		{"whole address", "fc00:e::1", "fc00:c:0:46::1", 1, 128, NULL},
	};
	char field[SL_NAME_MAX] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(node) / sizeof(*node); i++) {
		struct sl_msg_node m = {.sids = node[i].sids, .sid[0].bits = node[i].bits};

		print_message("%s\n", node[i].what);
		inet_pton(AF_INET6, node[i].address, &m.address);
		inet_pton(AF_INET6, node[i].prefix, &m.sid[0].prefix);
		assert_int_equal(route_check_node(&m, sizeof(m), field),
				 node[i].field ? SL_ACK_FIELD : SL_ACK_DONE);
		assert_string_equal(field, node[i].field ?: "");
		assert_int_equal(route_check_node(&m, sizeof(m) - 1, field), SL_ACK_FIELD);
		assert_string_equal(field, "length");
		field[0] = '\0';
	}
}

static void checks_paths(void **state)
{
	static const struct {
		const char *what, *field;
		size_t offset;
		uint8_t value;
	} wrong[] = {
		{"no end", "name", offsetof(struct sl_msg_path, name.end), 0},
		{"a blank in a transit node", "name", offsetof(struct sl_msg_path, name.transit[0]),
		 ' '},
		{"the second transit node without a first", "name",
		 offsetof(struct sl_msg_path, name.transit[1]), 'x'},
		{"a name without end", "name", offsetof(struct sl_msg_path, name.transit[1][31]),
		 'x'},
		{"a group as reflector", "reflector", offsetof(struct sl_msg_path, reflector),
		 0xff},
		{"an unknown kind of way", "via", offsetof(struct sl_msg_path, via[1].kind), 9},
		{"no segment", "via", offsetof(struct sl_msg_path, via[1].segments), 0},
	};
	struct sl_msg_path good = {.name = {.end = "a"},
				   .via = {{0}, {.kind = SL_VIA_SRV6, .segments = 1}}};
	char field[SL_NAME_MAX] = "";

	(void)state;
	inet_pton(AF_INET6, "fc00:a::1", &good.reflector);
	inet_pton(AF_INET6, "fc00:a::6", &good.via[1].segment[0]);
	assert_int_equal(route_check_path(&good, sizeof(good), field), SL_ACK_DONE);
	assert_int_equal(route_check_path(&good, sizeof(good) - 1, field), SL_ACK_FIELD);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct sl_msg_path m = good;

		print_message("%s\n", wrong[i].what);
		((uint8_t *)&m)[wrong[i].offset] = wrong[i].value;
		assert_int_equal(route_check_path(&m, sizeof(m), field), SL_ACK_FIELD);
		assert_string_equal(field, wrong[i].field);
	}
	memcpy(good.name.transit, (char[2][SL_NAME_MAX]){"t1", "t2"}, sizeof(good.name.transit));
	assert_int_equal(route_check_path(&good, sizeof(good), field), SL_ACK_DONE);
}

static void checks_a_nodes_vnis(void **state)
{
	static const struct {
		uint32_t address, vnis, vni;
		const char *field;
	} node[] = {
		{0x0a060001, 1, 0xffffff, ""},
		{0xe0000001, 1, 7, "address4"},
		{0, 1, 7, "vnis"},
		{0x0a060001, 1, 1 << 24, "vni"},
		{0x0a060001, SL_VNIS_MAX + 1, 7, "vnis"},
		{0x0a060001, 0, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(node) / sizeof(node[0]); i++) {
		struct sl_msg_node m = {.address4.s_addr = htonl(node[i].address),
					.vnis = node[i].vnis,
					.vni[0] = node[i].vni};
		char field[SL_NAME_MAX] = "";

		route_check_node(&m, sizeof(m), field);
		assert_string_equal(field, node[i].field);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_good_message),
		cmocka_unit_test(names_each_wrong_field),
		cmocka_unit_test(needs_an_address),
		cmocka_unit_test(checks_a_nodes_vnis),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(refuses_another_version_or_length),
		cmocka_unit_test(checks_withdrawals),
		cmocka_unit_test(checks_the_node),
		cmocka_unit_test(checks_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
