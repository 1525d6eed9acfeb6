/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/decap.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Made by scapy 2.5: Ether / IP 10.6.0.1 to 10.2.3.2 / UDP 50000 to 4789, no checksum / VXLAN, VNI
 * 7 / Ether 02:73:0a:06:00:01 to 02:73:0a:02:03:02 / IP 203.0.113.5 to 192.0.2.80, TCP, or IPv6
 * 2001:db8:1::5 to 2001:db8:80::80, UDP.
 */
static const uint8_t vxlan_ipv4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,
	0x45, 0x00, 0x00, 0x5f, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x23, 0x84, 0x0a, 0x06,
	0x00, 0x01, 0x0a, 0x02, 0x03, 0x02, 0xc3, 0x50, 0x12, 0xb5, 0x00, 0x4b, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x02, 0x73, 0x0a, 0x02, 0x03, 0x02,
	0x02, 0x73, 0x0a, 0x06, 0x00, 0x01, 0x08, 0x00, 0x45, 0x00, 0x00, 0x2d, 0x00, 0x01,
	0x00, 0x00, 0x3f, 0x06, 0x7d, 0x74, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50,
	0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x50, 0x10,
	0x20, 0x00, 0xb1, 0x16, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
};

static const uint8_t vxlan_ipv6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
	0x00, 0x00, 0x63, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x23, 0x80, 0x0a, 0x06, 0x00, 0x01,
	0x0a, 0x02, 0x03, 0x02, 0xc3, 0x50, 0x12, 0xb5, 0x00, 0x4f, 0x00, 0x00, 0x08, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x07, 0x00, 0x02, 0x73, 0x0a, 0x02, 0x03, 0x02, 0x02, 0x73, 0x0a, 0x06,
	0x00, 0x01, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x09, 0x11, 0x3f, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01,
	0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x9c,
	0x40, 0x00, 0x50, 0x00, 0x09, 0x8e, 0xd3, 0x78,
};

#define OUTER 14
#define UDP 34
#define VXLAN 42
#define FRAME 50
#define INNER 64

static const struct valid {
	const char *what;
	const uint8_t *frame;
	size_t bytes;
	unsigned family, protocol, l4;
} valid[] = {
	{"IPv4", vxlan_ipv4, sizeof vxlan_ipv4, 4, 6, 20},
	{"IPv6", vxlan_ipv6, sizeof vxlan_ipv6, 6, 17, 40},
};
#define VALID (sizeof valid / sizeof valid[0])

static struct decap_sids ends;

/* In a buffer of exactly that size; *copy is to be freed. */
static enum sl_verdict open_copy(const uint8_t *frame, size_t bytes, struct packet *packet,
				 uint8_t **copy)
{
	enum sl_verdict verdict;

	*copy = malloc(bytes ? bytes : 1);
	memcpy(*copy, frame, bytes);
	*packet = (struct packet){.data = *copy, .bytes = bytes};
	verdict = parse(packet);
	if (verdict != PARSE_OK)
		return verdict;
	assert_true(decap_is_vxlan(&ends, packet));
	return decap(&ends, packet);
}

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];
		struct packet packet;
		uint8_t *copy;

		print_message("  %s\n", v->what);
		assert_int_equal(open_copy(v->frame, v->bytes, &packet, &copy), PARSE_OK);
		assert_ptr_equal(packet.data, copy + INNER);
		assert_int_equal(packet.bytes, v->bytes - INNER);
		assert_int_equal(packet.l3_bytes, v->bytes - INNER);
		assert_int_equal(packet.l3, 0);
		assert_int_equal(packet.l4, v->l4);
		assert_int_equal(packet.key.family, v->family);
		assert_int_equal(packet.key.protocol, v->protocol);
		assert_int_equal(packet.key.destination_port, htons(80));
		assert_memory_equal(copy, v->frame, v->bytes);
		free(copy);
	}
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static void repair(uint8_t *ip)
{
	uint32_t sum = 0;

	put16(ip + 10, 0);
	for (unsigned i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

/* Cut anywhere; and with outer lengths that agree, so that only the rest is too short. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++)
		for (size_t bytes = UDP + 8; bytes < valid[i].bytes; bytes++) {
			struct packet packet;
			uint8_t frame[160], *copy;

			memcpy(frame, valid[i].frame, bytes);
			assert_int_equal(open_copy(frame, bytes, &packet, &copy),
					 SL_VERDICT_TRUNCATED);
			free(copy);
			put16(frame + OUTER + 2, bytes - OUTER);
			put16(frame + UDP + 4, bytes - UDP);
			repair(frame + OUTER);
			assert_int_equal(open_copy(frame, bytes, &packet, &copy),
					 SL_VERDICT_TRUNCATED);
			free(copy);
		}
}

static void test_corrupted(void **state)
{
	static const struct {
		const char *what;
		unsigned at, value;
		enum sl_verdict verdict;
	} row[] = {
		{"VNI not valid", VXLAN, 0, SL_VERDICT_BAD_HEADER},
		{"reserved bits, which are ignored", VXLAN, 0xff, PARSE_OK},
		{"reserved byte", VXLAN + 7, 0xff, PARSE_OK},
		{"VNI's first byte", VXLAN + 4, 1, SL_VERDICT_NOT_LOCAL},
		{"VNI's last byte", VXLAN + 6, 6, SL_VERDICT_NOT_LOCAL},
		{"second VNI", VXLAN + 6, 9, PARSE_OK},
		{"MAC's first byte", FRAME, 0, SL_VERDICT_NOT_LOCAL},
		{"MAC's last byte", FRAME + 5, 3, SL_VERDICT_NOT_LOCAL},
		{"group address", FRAME, 0xff, SL_VERDICT_NOT_LOCAL},
		{"ARP inside", FRAME + 13, 0x06, SL_VERDICT_NOT_IP},
		{"a tag inside", FRAME + 12, 0x81, SL_VERDICT_NOT_IP},
		{"inner version", INNER, 0x65, SL_VERDICT_TRUNCATED},
		{"inner checksum", INNER + 10, 0, SL_VERDICT_BAD_CHECKSUM},
		{"UDP checksum, not verified", UDP + 6, 0x12, PARSE_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct packet packet;
		uint8_t frame[160], *copy;

		memcpy(frame, vxlan_ipv4, sizeof vxlan_ipv4);
		frame[row[i].at] = row[i].value;
		print_message("  %s\n", row[i].what);
		assert_int_equal(open_copy(frame, sizeof vxlan_ipv4, &packet, &copy),
				 row[i].verdict);
		free(copy);
	}
}

/* What ends elsewhere is no tunnel to us, whatever it carries. */
static void test_elsewhere(void **state)
{
	static const struct {
		const char *what;
		unsigned at, value;
	} row[] = {
		{"another address", OUTER + 19, 3},
		{"another port", UDP + 3, 0xb4},
		{"TCP", OUTER + 9, 6},
	};
	struct decap_sids none = {0};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t frame[sizeof vxlan_ipv4];
		struct packet packet = {.data = frame, .bytes = sizeof frame};

		memcpy(frame, vxlan_ipv4, sizeof frame);
		assert_int_equal(parse(&packet), PARSE_OK);
		assert_true(decap_is_vxlan(&ends, &packet));
		assert_false(decap_is_vxlan(&none, &packet));
		frame[row[i].at] = row[i].value;
		frame[UDP + 12] = 0x50; /* TCP's data offset */
		repair(frame + OUTER);
		packet = (struct packet){.data = frame, .bytes = sizeof frame};
		print_message("  %s\n", row[i].what);
		assert_int_equal(parse(&packet), PARSE_OK);
		assert_false(decap_is_vxlan(&ends, &packet));
	}
}

/* RFC 6040 section 4.2: congestion goes inwards, and drops who does not know it. */
static void test_congestion(void **state)
{
	uint8_t frame[sizeof vxlan_ipv6], *copy;
	struct packet packet;

	(void)state;
	memcpy(frame, vxlan_ipv6, sizeof frame);
	frame[OUTER + 1] = 3;
	repair(frame + OUTER);
	assert_int_equal(open_copy(frame, sizeof frame, &packet, &copy), SL_VERDICT_CONGESTED);
	free(copy);
	frame[INNER + 1] = 0x20;
	assert_int_equal(open_copy(frame, sizeof frame, &packet, &copy), PARSE_OK);
	assert_int_equal(copy[INNER + 1], 0x30);
	free(copy);
}

/* As xdp/steer.bpf.c sees it: by destination, port and VNI, and never a fragment. */
static void test_is_ours(void **state)
{
	static const struct {
		const char *what;
		unsigned at, value;
		bool ours;
	} row[] = {
		{"as it is", OUTER, 0x45, true},
		{"another address", OUTER + 19, 3, false},
		{"another port", UDP + 3, 0xb4, false},
		{"another VNI", VXLAN + 6, 8, false},
		{"TCP", OUTER + 9, 6, false},
		{"a first fragment", OUTER + 6, 0x20, false},
		{"a header that leaves no room", OUTER, 0x4f, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t frame[sizeof vxlan_ipv4];

		memcpy(frame, vxlan_ipv4, sizeof frame);
		frame[row[i].at] = row[i].value;
		print_message("  %s\n", row[i].what);
		assert_int_equal(decap_is_ours(&ends, frame + OUTER, sizeof frame - OUTER),
				 row[i].ours);
		for (unsigned bytes = 0; bytes < 36; bytes++) {
			uint8_t *cut = malloc(bytes ? bytes : 1);
			memcpy(cut, frame + OUTER, bytes);
			assert_false(decap_is_ours(&ends, cut, bytes));
			free(cut);
		}
	}
}

static void test_add(void **state)
{
	struct decap_sids full = {0};
	struct in_addr address = {0};

	(void)state;
	assert_int_equal(decap_add_vni(&full, &address, 1 << 24), -EINVAL);
	for (unsigned i = 0; i < SL_VNIS_MAX; i++)
		assert_int_equal(decap_add_vni(&full, &address, i), 0);
	assert_int_equal(decap_add_vni(&full, &address, 99), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),	   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_corrupted),  cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_congestion), cmocka_unit_test(test_add),
		cmocka_unit_test(test_is_ours),
	};
	struct in_addr address;

	inet_pton(AF_INET, "10.2.3.2", &address);
	decap_add_vni(&ends, &address, 7);
	decap_add_vni(&ends, &address, 9);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
