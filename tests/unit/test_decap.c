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
 * Made by scapy 2.5: Ether / IPv6(src="fc00:e::1", dst="fc00:c:0:46::1") /
 * [IPv6ExtHdrSegmentRouting(addresses=["fc00:c:0:46::1"], segleft=0, lastentry=0)] /
 * IP 203.0.113.5 to 192.0.2.80 or IPv6 2001:db8:1::5 to 2001:db8:80::80 / TCP or UDP.
 */
static const uint8_t srv6_ipv4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x2d, 0x04, 0x3e, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00,
	0x46, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x45, 0x00, 0x00, 0x2d, 0x00, 0x01,
	0x00, 0x00, 0x3f, 0x06, 0x7d, 0x74, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c,
	0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x50, 0x10, 0x20, 0x00,
	0xb1, 0x16, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
};

static const uint8_t srv6_ipv6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x41, 0x29, 0x3e, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00,
	0x46, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x60, 0x00, 0x00, 0x00, 0x00, 0x19,
	0x06, 0x3f, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x50, 0x10, 0x20, 0x00, 0x52, 0xf5, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
};

static const uint8_t srv6_srh_ipv4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x35, 0x2b, 0x3e, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0c,
	0x00, 0x00, 0x00, 0x46, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x02,
	0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x46,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x45, 0x00, 0x00, 0x1d, 0x00, 0x01,
	0x00, 0x00, 0x3f, 0x11, 0x7d, 0x79, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50,
	0x9c, 0x40, 0x00, 0x50, 0x00, 0x09, 0xec, 0xf4, 0x78,
};

static const uint8_t srv6_srh_ipv6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd, 0x60,
	0x00, 0x00, 0x00, 0x00, 0x49, 0x2b, 0x3e, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00,
	0x46, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x29, 0x02, 0x04, 0x00, 0x00, 0x00,
	0x00, 0x00, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x46, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x01, 0x60, 0x00, 0x00, 0x00, 0x00, 0x09, 0x11, 0x3f, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x9c, 0x40,
	0x00, 0x50, 0x00, 0x09, 0x8e, 0xd3, 0x78,
};

#define OUTER 14 /* offset of the outer IPv6 header */
#define FRAME(name) name, sizeof name

static const struct valid {
	const char *what;
	const uint8_t *frame;
	size_t bytes;
	unsigned inner; /* offset */
	unsigned family, protocol, l4;
} valid[] = {
	{"IPv4", FRAME(srv6_ipv4), 54, 4, 6, 20},
	{"IPv6", FRAME(srv6_ipv6), 54, 6, 6, 40},
	{"SRH, IPv4", FRAME(srv6_srh_ipv4), 78, 4, 17, 20},
	{"SRH, IPv6", FRAME(srv6_srh_ipv6), 78, 6, 17, 40},
};
#define VALID (sizeof valid / sizeof valid[0])

static struct decap_sids sids;

static void add(struct decap_sids *to, const char *prefix, unsigned bits)
{
	struct in6_addr address;

	assert_int_equal(inet_pton(AF_INET6, prefix, &address), 1);
	assert_int_equal(decap_add(to, &address, bits), 0);
}

/* In a buffer of exactly that size; *copy is to be freed. */
static enum sl_verdict decap_copy(const uint8_t *frame, size_t bytes, struct packet *packet,
				  uint8_t **copy)
{
	enum sl_verdict verdict;

	*copy = malloc(bytes == 0 ? 1 : bytes);
	if (bytes != 0)
		memcpy(*copy, frame, bytes);
	*packet = (struct packet){.data = *copy, .bytes = bytes};
	verdict = parse(packet);
	return verdict == PARSE_OK ? decap(&sids, packet) : verdict;
}

static enum sl_verdict decap_verdict(const uint8_t *frame, size_t bytes)
{
	struct packet packet;
	uint8_t *copy;
	enum sl_verdict verdict = decap_copy(frame, bytes, &packet, &copy);

	if (verdict == PARSE_OK) {
		assert_true(packet.data >= copy && packet.data <= copy + bytes);
		assert_true(packet.data + packet.bytes <= copy + bytes);
		assert_true(packet.l3_bytes <= packet.bytes);
	}
	free(copy);
	return verdict;
}

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];
		struct packet packet;
		uint8_t *copy;

		print_message("  %s\n", v->what);
		assert_int_equal(decap_copy(v->frame, v->bytes, &packet, &copy), PARSE_OK);
		assert_ptr_equal(packet.data, copy + v->inner);
		assert_int_equal(packet.bytes, v->bytes - v->inner);
		assert_int_equal(packet.l3, 0);
		assert_int_equal(packet.l4, v->l4);
		assert_int_equal(packet.l3_bytes, v->bytes - v->inner);
		assert_int_equal(packet.srh, 0);
		assert_int_equal(packet.key.family, v->family);
		assert_int_equal(packet.key.protocol, v->protocol);
		assert_int_equal(packet.key.destination_port, htons(80));
		assert_memory_equal(copy, v->frame, v->bytes);
		free(copy);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++)
		for (size_t bytes = 0; bytes < valid[i].bytes; bytes++)
			assert_int_equal(decap_verdict(valid[i].frame, bytes),
					 SL_VERDICT_TRUNCATED);
}

/* The outer length agrees with what is present: the inner packet ends before its own. */
static void test_inner_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		uint8_t frame[128];

		memcpy(frame, valid[i].frame, valid[i].bytes);
		for (size_t bytes = valid[i].inner; bytes < valid[i].bytes; bytes++) {
			frame[OUTER + 5] = bytes - OUTER - 40;
			assert_int_equal(decap_verdict(frame, bytes), SL_VERDICT_TRUNCATED);
		}
	}
}

/* Ethernet padding after the outer packet does not become part of the inner one. */
static void test_padding(void **state)
{
	uint8_t frame[sizeof srv6_ipv4 + 10] = {0};
	struct packet packet;
	uint8_t *copy;

	(void)state;
	memcpy(frame, srv6_ipv4, sizeof srv6_ipv4);
	assert_int_equal(decap_copy(frame, sizeof frame, &packet, &copy), PARSE_OK);
	assert_int_equal(packet.bytes, sizeof srv6_ipv4 - 54);
	free(copy);
}

static void test_corrupted(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *frame;
		size_t bytes;
		unsigned at, value;
		enum sl_verdict verdict;
	} row[] = {
		{"SID's last bit of 64", FRAME(srv6_ipv4), OUTER + 24 + 7, 0x47,
		 SL_VERDICT_NOT_LOCAL},
		{"SID's first byte", FRAME(srv6_ipv4), OUTER + 24, 0xfd, SL_VERDICT_NOT_LOCAL},
		{"argument of the SID", FRAME(srv6_ipv4), OUTER + 24 + 8, 0x80, PARSE_OK},
		{"segments left", FRAME(srv6_srh_ipv4), 57, 2, SL_VERDICT_BAD_SEGMENTS},
		{"segments left 255", FRAME(srv6_srh_ipv6), 57, 255, SL_VERDICT_BAD_SEGMENTS},
		{"next header IPv6, IPv4 inside", FRAME(srv6_ipv4), OUTER + 6, 41,
		 SL_VERDICT_BAD_HEADER},
		{"next header IPv4, IPv6 inside", FRAME(srv6_ipv6), OUTER + 6, 4,
		 SL_VERDICT_BAD_HEADER},
		{"no next header", FRAME(srv6_ipv6), OUTER + 6, 59, SL_VERDICT_BAD_HEADER},
		{"inner version", FRAME(srv6_ipv4), 54, 0x55, SL_VERDICT_NOT_IP},
		{"inner checksum", FRAME(srv6_ipv4), 54 + 10, 0, SL_VERDICT_BAD_CHECKSUM},
		{"inner TCP data offset", FRAME(srv6_ipv6), 54 + 40 + 12, 0x40,
		 SL_VERDICT_BAD_HEADER},
		{"inner fragment", FRAME(srv6_ipv6), 54 + 6, 44, SL_VERDICT_FRAGMENT},
		{"CE outside, not-ECT inside, IPv4", FRAME(srv6_ipv4), OUTER + 1, 0x30,
		 SL_VERDICT_CONGESTED},
		{"CE outside, not-ECT inside, IPv6", FRAME(srv6_ipv6), OUTER + 1, 0x30,
		 SL_VERDICT_CONGESTED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t frame[128];

		memcpy(frame, row[i].frame, row[i].bytes);
		frame[row[i].at] = row[i].value;
		print_message("  %s\n", row[i].what);
		assert_int_equal(decap_verdict(frame, row[i].bytes), row[i].verdict);
	}
}

static uint16_t ipv4_sum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	return (sum & 0xffff) + (sum >> 16);
}

static void repair(uint8_t *ip)
{
	uint16_t sum;

	ip[10] = ip[11] = 0;
	sum = ~ipv4_sum(ip);
	ip[10] = sum >> 8;
	ip[11] = sum & 0xff;
}

/* A fragment inside: it cannot be parsed further, but has come out of its tunnel whole. */
static void test_fragment(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *frame;
		size_t bytes;
		unsigned at;
		uint8_t value;
		unsigned traffic_class; /* offset of ECN */
		uint8_t ect, ce;
	} row[] = {
		{"IPv4", FRAME(srv6_ipv4), 54 + 6, 0x20, 54 + 1, 2, 3},
		{"IPv6", FRAME(srv6_ipv6), 54 + 6, 44, 54 + 1, 0x20, 0x30},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t frame[128];
		struct packet packet = {.data = frame, .bytes = row[i].bytes};

		print_message("  %s\n", row[i].what);
		memcpy(frame, row[i].frame, row[i].bytes);
		frame[OUTER + 1] |= 0x30;
		frame[row[i].at] = row[i].value;
		frame[row[i].traffic_class] |= row[i].ect;
		if (frame[54] >> 4 == 4)
			repair(frame + 54);
		assert_int_equal(parse(&packet), PARSE_OK);
		assert_int_equal(decap(&sids, &packet), SL_VERDICT_FRAGMENT);
		assert_ptr_equal(packet.data, frame + 54);
		assert_int_equal(packet.bytes, row[i].bytes - 54);
		assert_int_equal(frame[row[i].traffic_class], row[i].ce);
		if (frame[54] >> 4 == 4)
			assert_int_equal(ipv4_sum(frame + 54), 0xffff);
	}
}

/* An outer IPv4 packet with protocol 41 is no SRv6, whatever its address bytes say. */
static void test_outer_ipv4(void **state)
{
	uint8_t ip[60] = {0x45, 0, 0, 60, 0, 0, 0, 0, 64, 41, 0, 0, 203, 0, 113, 5, 192, 0, 2, 80};
	struct packet packet = {.data = ip, .bytes = sizeof ip};
	struct decap_sids all = {0};

	(void)state;
	ip[20] = 0x60;
	repair(ip);
	add(&all, "::", 0);
	assert_int_equal(parse_ip(&packet), PARSE_OK);
	assert_int_equal(decap(&all, &packet), SL_VERDICT_NOT_LOCAL);
}

static void put_ecn(const struct valid *v, uint8_t *frame, unsigned inner, unsigned outer)
{
	frame[OUTER + 1] = outer << 4;
	if (v->family == 4) {
		frame[v->inner + 1] = 0xb8 | inner;
		repair(frame + v->inner);
	} else {
		frame[v->inner] = 0x6b;
		frame[v->inner + 1] = 0x80 | inner << 4;
	}
}

/* RFC 6040 figure 4, row by row, copied from the text: codes 00, 10, 01, 11; 4 is drop. */
static void test_ecn(void **state)
{
	static const unsigned code[] = {0, 2, 1, 3};
	static const unsigned figure[4][4] = {
		{0, 0, 0, 4}, {2, 2, 1, 3}, {1, 1, 1, 3}, {3, 3, 3, 3}};

	(void)state;
	for (unsigned cell = 0; cell < 16 * VALID; cell++) {
		const struct valid *v = &valid[cell / 16];
		unsigned inner = cell % 16 / 4, outer = cell % 4, due = figure[inner][outer];
		struct packet packet;
		uint8_t frame[128], expected[128], *copy;

		memcpy(frame, v->frame, v->bytes);
		put_ecn(v, frame, code[inner], code[outer]);
		memcpy(expected, frame, v->bytes);
		put_ecn(v, expected, due == 4 ? code[inner] : due, code[outer]);
		assert_int_equal(decap_copy(frame, v->bytes, &packet, &copy),
				 due == 4 ? SL_VERDICT_CONGESTED : PARSE_OK);
		assert_memory_equal(copy, expected, v->bytes);
		if (due != 4) {
			assert_int_equal(packet.traffic_class, 0xb8 | due);
			assert_int_equal(parse_ip(&packet), PARSE_OK);
		}
		free(copy);
	}
}

static void test_prefix_lengths(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits <= 128; bits++) {
		struct decap_sids one = {0};

		add(&one, "fc00:c:0:46::1", bits);
		for (unsigned bit = 0; bit < 128; bit++) {
			uint8_t frame[sizeof srv6_ipv4];
			struct packet packet = {.data = frame, .bytes = sizeof frame};

			memcpy(frame, srv6_ipv4, sizeof frame);
			frame[OUTER + 24 + bit / 8] ^= 0x80 >> bit % 8;
			assert_int_equal(parse(&packet), PARSE_OK);
			assert_int_equal(decap(&one, &packet),
					 bit < bits ? SL_VERDICT_NOT_LOCAL : PARSE_OK);
		}
	}
}

static void test_add(void **state)
{
	struct decap_sids full = {0};
	struct in6_addr address = {.s6_addr = {0xfc}};
	struct packet packet;
	uint8_t frame[sizeof srv6_ipv4];

	(void)state;
	assert_int_equal(decap_add(&full, &address, 129), -EINVAL);
	assert_int_equal(full.sids, 0);
	memcpy(frame, srv6_ipv4, sizeof frame);
	packet = (struct packet){.data = frame, .bytes = sizeof frame};
	assert_int_equal(parse(&packet), PARSE_OK);
	assert_int_equal(decap(&full, &packet), SL_VERDICT_NOT_LOCAL);

	for (unsigned i = 1; i < DECAP_SIDS_MAX; i++)
		add(&full, "2001:db8::", 128);
	add(&full, "fc00:c:0:46::", 64);
	assert_int_equal(decap_add(&full, &address, 64), -ENOSPC);
	assert_int_equal(full.sids, DECAP_SIDS_MAX);
	assert_int_equal(decap(&full, &packet), PARSE_OK);
}

/* A reduced SRH as encap.c writes it: two segments listed, three left to pass; the first is only in
 * the destination. Advances to each in turn (RFC 8986 section 4.1). */
static void test_advance(void **state)
{
	uint8_t frame[14 + 40 + 8 + 2 * 16 + 20] = {[12] = 0x86, [13] = 0xdd, [14] = 0x60};
	uint8_t *ip = frame + 14, *srh = ip + 40, *inner = srh + 40;
	static const uint8_t header[] = {IPPROTO_IPIP, 4, 4, 2, 1, 0, 0, 0};
	struct packet packet = {.data = frame, .bytes = sizeof(frame)};

	(void)state;
	ip[5] = 60;
	ip[6] = IPPROTO_ROUTING;
	ip[7] = 3;
	inet_pton(AF_INET6, "fc00:e::1", ip + 8);
	inet_pton(AF_INET6, "fc00:c:0:46::1", ip + 24);
	memcpy(srh, header, sizeof(header));
	inet_pton(AF_INET6, "fc00:c:0:46::2", srh + 8);
	inet_pton(AF_INET6, "fc00:b::4", srh + 24);
	inner[0] = 0x45;
	assert_int_equal(parse(&packet), PARSE_OK);
	assert_int_equal(decap(&sids, &packet), SL_VERDICT_BAD_SEGMENTS);

	srh[4] = 2; /* more entries than there are bytes */
	assert_int_equal(decap_advance(&sids, &packet), SL_VERDICT_BAD_SEGMENTS);
	srh[4] = 0; /* more left than listed and the one that is not */
	srh[3] = 3;
	assert_int_equal(decap_advance(&sids, &packet), SL_VERDICT_BAD_SEGMENTS);
	srh[4] = 1;
	srh[3] = 2;
	assert_int_equal(decap_advance(&sids, &packet), PARSE_OK);
	assert_int_equal(srh[3], 1);
	assert_int_equal(ip[7], 2);
	assert_memory_equal(ip + 24, srh + 24, 16);
	assert_memory_equal(packet.key.destination, srh + 24, 16);
	assert_int_equal(decap_advance(&sids, &packet), SL_VERDICT_NOT_LOCAL);
	memcpy(packet.key.destination, srh + 8, 16);
	assert_int_equal(decap_advance(&sids, &packet), PARSE_OK); /* to another of ours */
	assert_memory_equal(ip + 24, srh + 8, 16);
	assert_int_equal(srh[3], 0);
	assert_int_equal(decap_advance(&sids, &packet), SL_VERDICT_BAD_SEGMENTS); /* none left */
	srh[3] = 1;
	assert_int_equal(decap_advance(&sids, &packet), SL_VERDICT_HOP_LIMIT);
	assert_int_equal(srh[3], 1);
}

/* As a path to a node and then to a service of that node has them. */
static void test_own_segments(void **state)
{
	uint8_t frame[sizeof(srv6_srh_ipv4)], *copy, *ip = frame + 14, *srh = ip + 40;
	struct packet packet;

	(void)state;
	memcpy(frame, srv6_srh_ipv4, sizeof(frame));
	srh[3] = 1;
	inet_pton(AF_INET6, "fc00:c:0:46::e", ip + 24);
	assert_int_equal(decap_copy(frame, sizeof(frame), &packet, &copy), PARSE_OK);
	assert_ptr_equal(packet.data, copy + 14 + 40 + 24);
	assert_int_equal(copy[14 + 7], ip[7] - 1);
	assert_int_equal(copy[14 + 40 + 3], 0);
	free(copy);
	ip[7] = 1;
	assert_int_equal(decap_verdict(frame, sizeof(frame)), SL_VERDICT_HOP_LIMIT);
	ip[7] = 64;
	srh[8 + 1] ^= 1; /* the next is another node's */
	assert_int_equal(decap_verdict(frame, sizeof(frame)), SL_VERDICT_BAD_SEGMENTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),		cmocka_unit_test(test_advance),
		cmocka_unit_test(test_own_segments),	cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_inner_truncated), cmocka_unit_test(test_padding),
		cmocka_unit_test(test_corrupted),	cmocka_unit_test(test_fragment),
		cmocka_unit_test(test_outer_ipv4),	cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_prefix_lengths),	cmocka_unit_test(test_add),
	};

	add(&sids, "2001:db8:ffff::", 48);
	add(&sids, "fc00:c:0:46::", 64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
