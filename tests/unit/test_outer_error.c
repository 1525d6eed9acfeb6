/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/encap.h"
#include "dataplane/outer_error.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Made by scapy 2.5: ICMP messages without their IP header, "too big, 1400" of a router about
 * packets of fc00:e::1 to fc00:a:0:4::, fc00:a:0:6:: and (two segments) fc00:2::, and by VXLAN of
 * 10.0.0.1 to 10.0.0.7. The inner packets are of 1,500 bytes, 203.0.113.5:40000 to 192.0.2.80:80
 * and 2001:db8:1::5 to 2001:db8:80::80; flow label 0x12345, UDP source port 50001.
 */
static const uint8_t srv6_ipv4[] = {
	0x02, 0x00, 0x4b, 0xd1, 0x00, 0x00, 0x05, 0x78, 0x60, 0x01, 0x23, 0x45, 0x05, 0xdc, 0x04,
	0x3f, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x01, 0xfc, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x45, 0x00, 0x05, 0xdc, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0x36, 0xc5,
	0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xef, 0x38, 0x00, 0x00,
};

static const uint8_t srv6_ipv6[] = {
	0x02, 0x00, 0xb6, 0xbb, 0x00, 0x00, 0x05, 0x78, 0x60, 0x01, 0x23, 0x45, 0x05, 0xdc,
	0x29, 0x3f, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x06, 0x40,
	0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0x96, 0xcb, 0x00, 0x00,
};

static const uint8_t srv6_srh[] = {
	0x02, 0x00, 0x20, 0x9b, 0x00, 0x00, 0x05, 0x78, 0x60, 0x01, 0x23, 0x45, 0x05, 0xf4,
	0x2b, 0x3f, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x02, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00,
	0xfc, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x45, 0x00, 0x05, 0xdc, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0x36, 0xc5,
	0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xef, 0x38, 0x00, 0x00,
};

static const uint8_t vxlan_ipv4[] = {
	0x03, 0x04, 0xef, 0xb9, 0x00, 0x00, 0x05, 0x78, 0x45, 0x00, 0x06, 0x0e, 0x00, 0x00,
	0x40, 0x00, 0x3f, 0x11, 0x21, 0xd8, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x07,
	0xc3, 0x51, 0x12, 0xb5, 0x05, 0xfa, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x02, 0x73, 0x0a, 0x00, 0x00, 0x07, 0x02, 0x73, 0x0a, 0x00, 0x00, 0x01,
	0x08, 0x00, 0x45, 0x00, 0x05, 0xdc, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0x36, 0xc5,
	0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xef, 0x38, 0x00, 0x00,
};

#define LABEL 0x12345
#define PORT 50001

static const struct about {
	const char *what;
	uint8_t family;
	const uint8_t *icmp;
	size_t bytes;
	const char *source, *destination;
	uint32_t label;
	unsigned inner; /* offset */
	uint8_t inner_family;
} abouts[] = {
	{"SRv6, IPv4 inside", 6, srv6_ipv4, sizeof(srv6_ipv4), "fc00:e::1", "fc00:a:0:4::", LABEL,
	 8 + 40, 4},
	{"SRv6, IPv6 inside", 6, srv6_ipv6, sizeof(srv6_ipv6), "fc00:e::1", "fc00:a:0:6::", LABEL,
	 8 + 40, 6},
	{"two segments", 6, srv6_srh, sizeof(srv6_srh), "fc00:e::1", "fc00:2::", LABEL, 8 + 40 + 24,
	 4},
	{"VXLAN", 4, vxlan_ipv4, sizeof(vxlan_ipv4), "::ffff:10.0.0.1", "::ffff:10.0.0.7", PORT,
	 8 + 20 + 8 + 8 + 14, 4},
};
#define ABOUTS (sizeof(abouts) / sizeof(abouts[0]))

/* From memory of exactly this size. */
static bool read_copy(const struct about *a, const uint8_t *icmp, size_t bytes,
		      struct outer_error *out)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	bool read;

	memcpy(copy, icmp, bytes);
	read = outer_error_read(a->family, copy, bytes, out);
	free(copy);
	return read;
}

static bool is_address(const struct in6_addr *address, const char *text)
{
	struct in6_addr expected;

	assert_int_equal(inet_pton(AF_INET6, text, &expected), 1);
	return memcmp(address, &expected, sizeof(expected)) == 0;
}

static void test_golden(void **state)
{
	for (unsigned i = 0; i < ABOUTS; i++) {
		const struct about *a = &abouts[i];
		struct packet inner = {.data = (uint8_t *)a->icmp + a->inner, .bytes = 1500};
		uint8_t whole[1500] = {0};
		struct outer_error error;

		print_message("%s\n", a->what);
		assert_true(read_copy(a, a->icmp, a->bytes, &error));
		assert_true(is_address(&error.source, a->source));
		assert_true(is_address(&error.destination, a->destination));
		assert_int_equal(error.mtu_bytes, 1400);
		assert_int_equal(error.label, a->label);
		/* the flow as a worker reads it */
		memcpy(whole, a->icmp + a->inner, a->bytes - a->inner);
		inner.data = whole;
		assert_int_equal(parse_ip(&inner), PARSE_OK);
		assert_memory_equal(&error.flow, &inner.key, sizeof(inner.key));
	}
	(void)state;
}

/* Known up to the ports, and no more is needed. */
static void test_truncated(void **state)
{
	for (unsigned i = 0; i < ABOUTS; i++) {
		const struct about *a = &abouts[i];
		unsigned ports = a->inner + (a->inner_family == 4 ? 20 : 40) + 4;
		struct outer_error error;

		for (size_t bytes = 0; bytes <= a->bytes; bytes++)
			assert_int_equal(read_copy(a, a->icmp, bytes, &error), bytes >= ports);
	}
	(void)state;
}

/* Each byte to each value: never read past the end, and what is taken was well-formed. */
static void test_corrupted(void **state)
{
	for (unsigned i = 0; i < ABOUTS; i++) {
		const struct about *a = &abouts[i];
		uint8_t icmp[256];

		for (size_t at = 0; at < a->bytes; at++)
			for (unsigned value = 0; value < 256; value++) {
				struct outer_error error = {.mtu_bytes = 1};

				memcpy(icmp, a->icmp, a->bytes);
				icmp[at] = value;
				if (!read_copy(a, icmp, a->bytes, &error)) {
					assert_int_equal(error.mtu_bytes, 1);
					continue;
				}
				assert_true(error.mtu_bytes >= (a->family == 4 ? 576 : 1280));
				assert_true(error.mtu_bytes < 1550);
				assert_int_equal(error.flow.family, a->inner_family);
			}
	}
	(void)state;
}

static void test_fields(void **state)
{
	static const struct {
		const char *what;
		unsigned about, at;
		uint16_t value; /* 16 bits there */
	} refused[] = {
		{"not too big: unreachable", 0, 0, 0x0100},
		{"code of too big", 0, 0, 0x0201},
		{"an MTU of 65,536 and more", 0, 4, 1},
		{"less than the least MTU of IPv6", 0, 6, 1279},
		{"an MTU that the packet did not exceed", 0, 6, 1540},
		{"version of the quoted header", 0, 8, 0x4000},
		{"neither a tunnel nor a routing header", 0, 8 + 6, 0x063f},
		{"a routing header of another type", 2, 8 + 40 + 2, 0x0201},
		{"a routing header past the quote", 2, 8 + 40, 0x04ff},
		{"after it nothing of ours", 2, 8 + 40, 0x0602},
		{"a later fragment inside", 0, 8 + 40 + 6, 0x0001},
		{"ICMP inside", 0, 8 + 40 + 8, 0x4001},
		{"the other family inside", 1, 8 + 40, 0x4500},
		{"VXLAN: port unreachable", 3, 0, 0x0303},
		{"VXLAN: less than the least of IPv4", 3, 6, 575},
		{"VXLAN: an MTU that the packet did not exceed", 3, 6, 1550},
		{"VXLAN: options in the outer header", 3, 8, 0x4600},
		{"VXLAN: not UDP", 3, 8 + 8, 0x4006},
		{"VXLAN: another port", 3, 8 + 20 + 2, 4790},
		{"VXLAN: IPv6 by type, IPv4 inside", 3, 8 + 20 + 16 + 12, 0x86dd},
	};

	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct about *a = &abouts[refused[i].about];
		struct outer_error error;
		uint8_t icmp[256];

		memcpy(icmp, a->icmp, a->bytes);
		icmp[refused[i].at] = refused[i].value >> 8;
		icmp[refused[i].at + 1] = refused[i].value & 0xff;
		print_message("%s\n", refused[i].what);
		assert_false(read_copy(a, icmp, a->bytes, &error));
	}
	(void)state;
}

/* What encap_write gives a flow is recognised, and nothing else. */
static void test_label(void **state)
{
	uint64_t hash = (uint64_t)LABEL << 44 | 0x123456789ab, port = (uint64_t)(PORT - 49152)
								      << 50;
	struct outer_error error;

	assert_true(read_copy(&abouts[0], srv6_ipv4, sizeof(srv6_ipv4), &error));
	assert_true(outer_error_is_ours(&error, hash));
	for (unsigned bit = 44; bit < 64; bit++)
		assert_false(outer_error_is_ours(&error, hash ^ 1ull << bit));
	error.label = 1;
	assert_true(outer_error_is_ours(&error, 0)); /* a label of 0 is never sent */
	assert_true(read_copy(&abouts[3], vxlan_ipv4, sizeof(vxlan_ipv4), &error));
	assert_true(outer_error_is_ours(&error, port));
	for (unsigned bit = 50; bit < 64; bit++)
		assert_false(outer_error_is_ours(&error, port ^ 1ull << bit));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	  cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_corrupted), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
