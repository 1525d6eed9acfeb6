/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/header.h"
#include "dataplane/icmp.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Made by scapy 2.5: client 203.0.113.5 and 2001:db8:1::5, service 192.0.2.80 and
 * 2001:db8:80::80, router 198.51.100.1 and 2001:db8:ff::1. Answers are whole frames; of the two
 * "too big" ones (about 1,500 bytes, x after the TCP header) the first 24 quoted bytes past IP.
 */
static const uint8_t frag_needed[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0x45,
	0xc0, 0x02, 0x40, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x39, 0xa7, 0xc0, 0x00, 0x02, 0x50,
	0xcb, 0x00, 0x71, 0x05, 0x03, 0x04, 0xfb, 0x6c, 0x00, 0x00, 0x05, 0xb4, 0x45, 0x00, 0x05,
	0xdc, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0x36, 0xc5, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00,
	0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x50,
	0x10, 0x20, 0x00, 0x67, 0xb1, 0x00, 0x00, 0x78, 0x78, 0x78, 0x78,
};

static const uint8_t too_big[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x04, 0xd8, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x02, 0x00,
	0x3f, 0x96, 0x00, 0x00, 0x05, 0xb4, 0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x06, 0x40,
	0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xbe, 0x58, 0x00, 0x00, 0x78, 0x78, 0x78, 0x78,
};

static const uint8_t exceeded4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00,
	0x45, 0xc0, 0x00, 0x44, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x3b, 0xa3, 0xc0, 0x00,
	0x02, 0x50, 0xcb, 0x00, 0x71, 0x05, 0x0b, 0x00, 0xf3, 0x70, 0x00, 0x00, 0x00, 0x00,
	0x45, 0x00, 0x00, 0x28, 0x00, 0x01, 0x40, 0x00, 0x01, 0x06, 0x7b, 0x79, 0xcb, 0x00,
	0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x50, 0x02, 0x20, 0x00, 0xf4, 0xfa, 0x00, 0x00,
};

static const uint8_t exceeded6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x44, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x03, 0x00,
	0x3a, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x00, 0x14, 0x06, 0x01,
	0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x50, 0x02, 0x20, 0x00, 0x96, 0xd9, 0x00, 0x00,
};

static const uint8_t ping4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08,
	0x00, 0x45, 0x28, 0x00, 0x23, 0x00, 0x4d, 0x00, 0x00, 0x3c, 0x01, 0x80, 0x0f,
	0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x08, 0x00, 0x54, 0x97, 0x12,
	0x34, 0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
};

static const uint8_t pong4[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08,
	0x00, 0x45, 0x28, 0x00, 0x23, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0x3c, 0x5c,
	0xc0, 0x00, 0x02, 0x50, 0xcb, 0x00, 0x71, 0x05, 0x00, 0x00, 0x5c, 0x97, 0x12,
	0x34, 0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
};

static const uint8_t ping6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x3a, 0x3c, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x80, 0x00,
	0x7f, 0xd5, 0x12, 0x34, 0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
};

static const uint8_t pong6[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x3a, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x81, 0x00,
	0x7e, 0xd5, 0x12, 0x34, 0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
};

static const uint8_t needed_about[] = {
	0x45, 0x00, 0x00, 0x38, 0x00, 0x01, 0x00, 0x00, 0x3c, 0x01, 0x92, 0x3f, 0xc6, 0x33,
	0x64, 0x01, 0xc0, 0x00, 0x02, 0x50, 0x03, 0x04, 0xbd, 0x55, 0x00, 0x00, 0x05, 0x78,
	0x45, 0x00, 0x05, 0xdc, 0x00, 0x09, 0x40, 0x00, 0x32, 0x06, 0x44, 0xbd, 0xc0, 0x00,
	0x02, 0x50, 0xcb, 0x00, 0x71, 0x05, 0x00, 0x50, 0x9c, 0x40, 0xde, 0xad, 0xbe, 0xef,
};

static const uint8_t unreachable_options_udp[] = {
	0x45, 0x00, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0x3c, 0x01, 0x92, 0x37, 0xc6,
	0x33, 0x64, 0x01, 0xc0, 0x00, 0x02, 0x50, 0x03, 0x03, 0x01, 0x25, 0x00, 0x00,
	0x00, 0x00, 0x47, 0x00, 0x05, 0xdc, 0x00, 0x01, 0x00, 0x00, 0x32, 0x11, 0x77,
	0xb3, 0xc0, 0x00, 0x02, 0x50, 0xcb, 0x00, 0x71, 0x05, 0x07, 0x07, 0x04, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x35, 0x9c, 0x41, 0x05, 0x78, 0x59, 0xe9,
};

static const uint8_t too_big_about[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x44, 0x3a, 0x3c, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0xff,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x02, 0x00,
	0x2e, 0xcb, 0x00, 0x00, 0x05, 0x78, 0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x06, 0x32,
	0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x80, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x05, 0x00, 0x50, 0x9c, 0x40, 0xde, 0xad, 0xbe, 0xef, 0x00, 0x00,
	0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xf9, 0x2e, 0x00, 0x00,
};

static const uint8_t exceeded_chain_udp[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x50, 0x3a, 0x3c, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0xff, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x03, 0x00, 0xbf, 0xa6, 0x00,
	0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x00, 0x32, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x3c, 0x00,
	0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x11,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x35, 0x9c, 0x41, 0x05, 0x78, 0x00, 0x01,
};

#define ETHER 14
#define ROOM 2048

static const uint8_t to_us[ETHER] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

/* A frame in memory of exactly its size. */
struct frame {
	uint8_t *data;
	uint32_t bytes;
};

static struct frame frame_of(const uint8_t *ip, uint32_t bytes, uint32_t total_bytes)
{
	struct frame frame = {malloc(ETHER + total_bytes), ETHER + total_bytes};

	memcpy(frame.data, to_us, ETHER);
	frame.data[12] = ip[0] >> 4 == 4 ? 0x08 : 0x86;
	frame.data[13] = ip[0] >> 4 == 4 ? 0x00 : 0xdd;
	memset(frame.data + ETHER, 'x', total_bytes);
	memcpy(frame.data + ETHER, ip, bytes);
	return frame;
}

static struct icmp_received received(const struct frame *frame, unsigned l3)
{
	return (struct icmp_received){frame->data, frame->bytes, frame->data + l3,
				      frame->bytes - l3};
}

static unsigned answer(const struct frame *frame, enum icmp_error error, uint16_t mtu, uint8_t *out)
{
	struct icmp_received about = received(frame, ETHER);

	return icmp_error(out, ROOM, &about, error, mtu);
}

/* The packets that the golden answers quote. */
static struct frame quoted_by(const uint8_t *golden, size_t bytes, uint32_t total_bytes)
{
	unsigned quote = ETHER + 8 + (golden[12] == 0x08 ? 20 : 40);

	return frame_of(golden + quote, bytes - quote, total_bytes);
}

static void test_golden_errors(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *golden;
		size_t bytes;
		uint32_t about_bytes;
		unsigned expected_bytes;
		enum icmp_error error;
	} rows[] = {
		{"Fragmentation Needed, 576 bytes of IP", frag_needed, sizeof frag_needed, 1500,
		 ETHER + 576, ICMP_ERROR_TOO_BIG},
		{"Packet Too Big, 1280 bytes of IP", too_big, sizeof too_big, 1500, ETHER + 1280,
		 ICMP_ERROR_TOO_BIG},
		{"Time Exceeded, IPv4", exceeded4, sizeof exceeded4, 40, sizeof exceeded4,
		 ICMP_ERROR_HOP_LIMIT},
		{"Time Exceeded, IPv6", exceeded6, sizeof exceeded6, 60, sizeof exceeded6,
		 ICMP_ERROR_HOP_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct frame frame = quoted_by(rows[i].golden, rows[i].bytes, rows[i].about_bytes);
		uint8_t out[ROOM];
		unsigned n = answer(&frame, rows[i].error, icmp_mtu(1500, 40), out);

		if (n != rows[i].expected_bytes || memcmp(out, rows[i].golden, rows[i].bytes) != 0)
			fail_msg("%s: %u bytes", rows[i].what, n);
		free(frame.data);
	}
}

static void test_mtu_bounds(void **state)
{
	struct frame four = quoted_by(frag_needed, sizeof frag_needed, 1500);
	struct frame six = quoted_by(too_big, sizeof too_big, 1500);
	uint8_t out[ROOM];

	(void)state;
	assert_int_equal(icmp_mtu(1500, 80), 1420);
	assert_int_equal(icmp_mtu(40, 80), 0);
	assert_true(answer(&four, ICMP_ERROR_TOO_BIG, 20, out) > 0);
	assert_int_equal(out[ETHER + 26] << 8 | out[ETHER + 27], 68);
	assert_true(answer(&six, ICMP_ERROR_TOO_BIG, 1240, out) > 0);
	assert_int_equal(out[ETHER + 46] << 8 | out[ETHER + 47], 1280);
	free(four.data);
	free(six.data);
}

static void sum_ipv4(uint8_t *ip)
{
	rte_be16_t sum;

	memset(ip + 10, 0, 2);
	sum = header_checksum(header_sum(0, ip, (ip[0] & 0xf) * 4));
	memcpy(ip + 10, &sum, 2);
}

/* What must never be answered: one change each to a packet that is. */
static void test_silence(void **state)
{
	static const struct {
		const char *what;
		uint8_t family;
		int at; /* in the frame */
		uint8_t bytes;
		uint8_t to[16];
	} rows[] = {
		{"without DF", 4, ETHER + 6, 1, {0x00}},
		{"a later fragment", 4, ETHER + 6, 2, {0x40, 0x01}},
		{"an ICMP error", 4, ETHER + 9, 1, {1}},
		{"from 0.0.0.0", 4, ETHER + 12, 4, {0, 0, 0, 0}},
		{"from 127.0.0.1", 4, ETHER + 12, 4, {127, 0, 0, 1}},
		{"from 224.0.0.1", 4, ETHER + 12, 4, {224, 0, 0, 1}},
		{"from 240.0.0.1", 4, ETHER + 12, 4, {240, 0, 0, 1}},
		{"from 255.255.255.255", 4, ETHER + 12, 4, {255, 255, 255, 255}},
		{"from its destination", 4, ETHER + 12, 4, {192, 0, 2, 80}},
		{"to 224.0.0.1", 4, ETHER + 16, 4, {224, 0, 0, 1}},
		{"to 255.255.255.255", 4, ETHER + 16, 4, {255, 255, 255, 255}},
		{"to a group on the link", 4, 0, 1, {3}},
		{"from a group on the link", 4, 6, 1, {3}},
		{"IHL 4", 4, ETHER, 1, {0x44}},
		{"longer than is present", 4, ETHER + 2, 2, {0xff, 0xff}},
		{"version 5", 4, ETHER, 1, {0x55}},
		{"from ::", 6, ETHER + 8, 16, {0}},
		{"from ::1", 6, ETHER + 8, 16, {[15] = 1}},
		{"from ff02::1", 6, ETHER + 8, 1, {0xff}},
		{"to ff02::1", 6, ETHER + 24, 1, {0xff}},
		{"an ICMPv6 error", 6, ETHER + 6, 1, {58}},
		{"segments left", 6, ETHER + 6, 1, {43}},
		{"longer than is present, IPv6", 6, ETHER + 4, 2, {0xff, 0xff}},
		{"to 33:33::", 6, 0, 2, {0x33, 0x33}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool four = rows[i].family == 4;
		struct frame frame = four ? quoted_by(frag_needed, sizeof frag_needed, 1500)
					  : quoted_by(too_big, sizeof too_big, 1500);
		uint8_t out[ROOM];
		if (four)
			frame.data[ETHER + 20] = 3; /* ICMP type, should it be ICMP */
		else
			frame.data[ETHER + 40] = 1;
		assert_true(answer(&frame, ICMP_ERROR_TOO_BIG, 1460, out) > 0);
		memcpy(frame.data + rows[i].at, rows[i].to, rows[i].bytes);
		if (four && i != 0)
			sum_ipv4(frame.data + ETHER);
		if (answer(&frame, ICMP_ERROR_TOO_BIG, 1460, out) != 0)
			fail_msg("%s: answered", rows[i].what);
		free(frame.data);
	}
}

static void test_without_df_hop_limit(void **state)
{
	struct frame frame = quoted_by(exceeded4, sizeof exceeded4, 40);
	uint8_t out[ROOM];

	(void)state;
	assert_false(icmp_may_fragment(frame.data + ETHER));
	frame.data[ETHER + 6] = 0;
	assert_true(icmp_may_fragment(frame.data + ETHER));
	assert_int_equal(answer(&frame, ICMP_ERROR_HOP_LIMIT, 0, out), sizeof exceeded4);
	assert_int_equal(answer(&frame, ICMP_ERROR_TOO_BIG, 1460, out), 0);
	free(frame.data);
}

static void test_vlan(void **state)
{
	const unsigned l3 = ETHER + 8;
	struct frame frame = {malloc(l3 + 40), l3 + 40};
	struct icmp_received about = received(&frame, l3);
	uint8_t out[ROOM];
	unsigned n;

	(void)state;
	memcpy(frame.data, to_us, 12);
	memcpy(frame.data + 12, "\x88\xa8\x00\x07\x81\x00\x00\x08\x08\x00", 10);
	memcpy(frame.data + l3, exceeded4 + ETHER + 28, 40);
	n = icmp_error(out, ROOM, &about, ICMP_ERROR_HOP_LIMIT, 0);
	assert_int_equal(n, sizeof exceeded4 + 8);
	assert_memory_equal(out, exceeded4, 12);
	assert_memory_equal(out + 12, frame.data + 12, 10);
	assert_memory_equal(out + l3, exceeded4 + ETHER, sizeof exceeded4 - ETHER);
	for (unsigned room = 0; room < n; room++)
		assert_int_equal(icmp_error(out, room, &about, ICMP_ERROR_HOP_LIMIT, 0), 0);
	for (unsigned bytes = 0; bytes < l3; bytes++) {
		about.frame_bytes = bytes;
		assert_int_equal(icmp_error(out, ROOM, &about, ICMP_ERROR_HOP_LIMIT, 0), 0);
	}
	free(frame.data);
}

/* Of a decapsulated packet: the frame is the overlay's (IPv6), the answer is IPv4. */
static void test_decapsulated(void **state)
{
	struct frame outer = frame_of(too_big + ETHER, 40, 200);
	struct frame inner = quoted_by(exceeded4, sizeof exceeded4, 40);
	struct icmp_received about = {outer.data, outer.bytes, inner.data + ETHER, 40};
	uint8_t out[ROOM];

	(void)state;
	assert_int_equal(icmp_error(out, ROOM, &about, ICMP_ERROR_HOP_LIMIT, 0), sizeof exceeded4);
	assert_memory_equal(out, exceeded4, sizeof exceeded4);
	free(outer.data);
	free(inner.data);
}

static unsigned echo(const uint8_t *frame, size_t bytes, uint8_t *out, unsigned room)
{
	struct frame copy = frame_of(frame + ETHER, bytes - ETHER, bytes - ETHER);
	struct icmp_received request = received(&copy, ETHER);
	unsigned n;

	memcpy(copy.data, frame, ETHER);
	n = icmp_echo_reply(out, room, &request);
	free(copy.data);
	return n;
}

static const struct {
	const char *what;
	const uint8_t *ping, *pong;
	size_t bytes;
	unsigned icmp;
} pings[] = {
	{"IPv4", ping4, pong4, sizeof ping4, ETHER + 20},
	{"IPv6", ping6, pong6, sizeof ping6, ETHER + 40},
};

static void test_echo(void **state)
{
	uint8_t out[ROOM];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(echo(pings[i].ping, pings[i].bytes, out, ROOM), pings[i].bytes);
		assert_memory_equal(out, pings[i].pong, pings[i].bytes);
		assert_int_equal(echo(pings[i].pong, pings[i].bytes, out, ROOM), 0);
		for (size_t n = ETHER; n < pings[i].bytes; n++) {
			if (echo(pings[i].ping, n, out, ROOM) != 0)
				fail_msg("%s cut to %zu bytes is answered", pings[i].what, n);
			assert_int_equal(echo(pings[i].ping, pings[i].bytes, out, n), 0);
		}
	}
}

/* Every bit of the message is under its checksum. */
static void test_echo_corrupted(void **state)
{
	uint8_t out[ROOM], frame[ROOM];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (size_t bit = 8 * pings[i].icmp; bit < 8 * pings[i].bytes; bit++) {
			memcpy(frame, pings[i].ping, pings[i].bytes);
			frame[bit / 8] ^= 1 << bit % 8;
			if (echo(frame, pings[i].bytes, out, ROOM) != 0)
				fail_msg("%s: bit %zu", pings[i].what, bit);
		}
}

#define MESSAGE(name) name, sizeof name
static const struct about {
	const char *what;
	const uint8_t *ip;
	size_t bytes;
	unsigned icmp, quote, ports; /* offsets */
	unsigned family, protocol, client_port, service_port;
} abouts[] = {
	{"Fragmentation Needed, 8 bytes of TCP", MESSAGE(needed_about), 20, 28, 48, 4, 6, 40000,
	 80},
	{"unreachable, options, UDP", MESSAGE(unreachable_options_udp), 20, 28, 56, 4, 17, 40001,
	 53},
	{"Packet Too Big", MESSAGE(too_big_about), 40, 48, 88, 6, 6, 40000, 80},
	{"Time Exceeded, extension headers, UDP", MESSAGE(exceeded_chain_udp), 40, 48, 112, 6, 17,
	 40001, 53},
};
#define ABOUTS (sizeof abouts / sizeof abouts[0])

static enum sl_verdict flow_of(const uint8_t *ip, size_t bytes, struct flow_key *key)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	enum sl_verdict verdict;

	if (bytes)
		memcpy(copy, ip, bytes);
	verdict = icmp_flow(copy, bytes, key);
	free(copy);
	return verdict;
}

/* The checksum field of a message, anew. */
static void sum_message(uint8_t *ip, size_t bytes, unsigned icmp)
{
	uint64_t sum = 0;
	rte_be16_t checksum;

	memset(ip + icmp + 2, 0, 2);
	if (ip[0] >> 4 == 6)
		sum = header_sum(58 + bytes - icmp, ip + 8, 32);
	checksum = header_checksum(header_sum(sum, ip + icmp, bytes - icmp));
	memcpy(ip + icmp + 2, &checksum, 2);
}

static void test_flow(void **state)
{
	(void)state;
	for (size_t i = 0; i < ABOUTS; i++) {
		const struct about *a = &abouts[i];
		bool four = a->family == 4;
		unsigned bytes = four ? 4 : 16, source = four ? 12 : 8;
		struct flow_key key, expected = {.protocol = a->protocol, .family = a->family};

		memset(&key, 0xaa, sizeof key);
		memcpy(expected.source, a->ip + a->quote + source + bytes, bytes);
		memcpy(expected.destination, a->ip + a->quote + source, bytes);
		expected.source_port = htons(a->client_port);
		expected.destination_port = htons(a->service_port);
		if (flow_of(a->ip, a->bytes, &key) != PARSE_OK)
			fail_msg("%s: verdict %d", a->what, flow_of(a->ip, a->bytes, &key));
		assert_memory_equal(&key, &expected, sizeof key);
	}
}

/* The key is that of parse for the client's own packet. */
static void test_flow_is_parsed_one(void **state)
{
	uint8_t ip[20] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 203, 0, 113, 5, 192, 0, 2, 80};
	uint8_t all[40] = {0};
	struct packet packet = {.data = all, .bytes = sizeof all};
	struct flow_key key;

	(void)state;
	memcpy(all, ip, sizeof ip);
	sum_ipv4(all);
	memcpy(all + 20, "\x9c\x40\x00\x50", 4);
	all[32] = 0x50;
	assert_int_equal(parse_ip(&packet), PARSE_OK);
	assert_int_equal(flow_of(needed_about, sizeof needed_about, &key), PARSE_OK);
	assert_memory_equal(&key, &packet.key, sizeof key);
}

/* Cut short as a frame, and as a message whose lengths and checksum say so themselves. */
static void test_flow_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ABOUTS; i++) {
		const struct about *a = &abouts[i];
		for (size_t n = 0; n < a->bytes; n++) {
			struct flow_key key, before;
			uint8_t ip[256];
			enum sl_verdict verdict;
			memset(&key, 0xaa, sizeof key);
			before = key;
			assert_int_equal(flow_of(a->ip, n, &key), SL_VERDICT_TRUNCATED);
			if (n < a->icmp + 8)
				continue;
			memcpy(ip, a->ip, n);
			ip[a->family == 4 ? 3 : 5] = a->family == 4 ? n : n - 40;
			sum_message(ip, n, a->icmp);
			verdict = flow_of(ip, n, &key);
			if (verdict != (n < a->ports + 8 ? SL_VERDICT_TRUNCATED : PARSE_OK))
				fail_msg("%s, %zu bytes: %d", a->what, n, verdict);
			if (verdict != PARSE_OK)
				assert_memory_equal(&key, &before, sizeof key);
		}
	}
}

static void test_flow_fields(void **state)
{
	static const struct {
		const char *what;
		unsigned about, at;
		uint8_t to;
		enum sl_verdict verdict;
	} rows[] = {
		{"outer IHL 4", 0, 0, 0x44, SL_VERDICT_BAD_HEADER},
		{"outer version", 0, 0, 0x55, SL_VERDICT_NOT_IP},
		{"outer longer than present", 0, 3, 0xff, SL_VERDICT_TRUNCATED},
		{"outer more fragments", 0, 6, 0x20, SL_VERDICT_FRAGMENT},
		{"outer protocol", 0, 9, 6, SL_VERDICT_NOT_TRANSPORT},
		{"outer destination", 0, 19, 81, SL_VERDICT_BAD_HEADER},
		{"echo reply", 0, 20, 0, SL_VERDICT_NOT_TRANSPORT},
		{"source quench, RFC 6633", 0, 20, 4, SL_VERDICT_NOT_TRANSPORT},
		{"redirect", 0, 20, 5, SL_VERDICT_NOT_TRANSPORT},
		{"echo", 0, 20, 8, SL_VERDICT_NOT_TRANSPORT},
		{"time exceeded", 0, 20, 11, PARSE_OK},
		{"parameter problem", 0, 20, 12, PARSE_OK},
		{"quoted version 6", 0, 28, 0x65, SL_VERDICT_TRUNCATED},
		{"quoted version 0", 0, 28, 0x05, SL_VERDICT_BAD_HEADER},
		{"quoted IHL 4", 0, 28, 0x44, SL_VERDICT_BAD_HEADER},
		{"quoted IHL 15", 0, 28, 0x4f, SL_VERDICT_TRUNCATED},
		{"quoted length 220", 0, 30, 0, PARSE_OK},
		{"quoted later fragment", 0, 35, 1, SL_VERDICT_FRAGMENT},
		{"quoted first fragment", 0, 34, 0x20, PARSE_OK},
		{"quoted TTL 0", 0, 36, 0, PARSE_OK},
		{"quoted protocol", 0, 37, 1, SL_VERDICT_NOT_TRANSPORT},
		{"quoted checksum", 0, 38, 0x55, PARSE_OK},
		{"quoted source", 0, 43, 81, SL_VERDICT_BAD_HEADER},
		{"option bytes", 1, 48, 0xff, PARSE_OK},
		{"ICMPv6 type 0", 2, 40, 0, SL_VERDICT_NOT_TRANSPORT},
		{"ICMPv6 unreachable", 2, 40, 1, PARSE_OK},
		{"ICMPv6 problem", 2, 40, 4, PARSE_OK},
		{"ICMPv6 type 5", 2, 40, 5, SL_VERDICT_NOT_TRANSPORT},
		{"ICMPv6 redirect", 2, 40, 137, SL_VERDICT_NOT_TRANSPORT},
		{"quoted IPv4 in ICMPv6", 2, 48, 0x45, SL_VERDICT_BAD_HEADER},
		{"quoted source, IPv6", 2, 71, 0x81, SL_VERDICT_BAD_HEADER},
		{"quoted next header", 2, 54, 58, SL_VERDICT_NOT_TRANSPORT},
		{"quoted payload 0", 2, 52, 0, PARSE_OK},
		{"chain: hop-by-hop too long", 3, 89, 200, SL_VERDICT_TRUNCATED},
		{"chain: hop-by-hop twice", 3, 88, 0, SL_VERDICT_BAD_HEADER},
		{"chain: routing, segments left", 3, 88, 43, SL_VERDICT_BAD_HEADER},
		{"chain: later fragment", 3, 107, 9, SL_VERDICT_FRAGMENT},
		{"chain: a second fragment header", 3, 104, 44, SL_VERDICT_BAD_HEADER},
		{"chain: ends in ESP", 3, 104, 50, SL_VERDICT_NOT_TRANSPORT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct about *a = &abouts[rows[i].about];
		struct flow_key key, before;
		uint8_t ip[256];
		enum sl_verdict verdict;

		memset(&key, 0xaa, sizeof key);
		before = key;
		memcpy(ip, a->ip, a->bytes);
		ip[rows[i].at] = rows[i].to;
		sum_message(ip, a->bytes, a->icmp);
		verdict = flow_of(ip, a->bytes, &key);
		if (verdict != rows[i].verdict)
			fail_msg("%s: %d, not %d", rows[i].what, verdict, rows[i].verdict);
		if (verdict != PARSE_OK)
			assert_memory_equal(&key, &before, sizeof key);
	}
}

/* The quoted packet itself has no place for ports. */
static void test_flow_quoted_length(void **state)
{
	(void)state;
	for (unsigned length = 0; length < 40; length++) {
		struct flow_key key;
		uint8_t ip[sizeof needed_about];
		memcpy(ip, needed_about, sizeof ip);
		ip[30] = 0;
		ip[31] = length;
		sum_message(ip, sizeof ip, 20);
		assert_int_equal(flow_of(ip, sizeof ip, &key),
				 length < 28 ? SL_VERDICT_BAD_HEADER : PARSE_OK);
	}
}

static void test_flow_corrupted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ABOUTS; i++)
		for (size_t bit = 8 * abouts[i].icmp; bit < 8 * abouts[i].bytes; bit++) {
			struct flow_key key;
			uint8_t ip[256];
			memcpy(ip, abouts[i].ip, abouts[i].bytes);
			ip[bit / 8] ^= 1 << bit % 8;
			assert_int_equal(flow_of(ip, abouts[i].bytes, &key),
					 SL_VERDICT_BAD_CHECKSUM);
		}
}

#define MS 1000000ULL

static void test_limiter(void **state)
{
	struct icmp_limiter limiter;
	uint64_t now_ns = 5000 * MS;
	unsigned allowed = 0;

	(void)state;
	icmp_limiter_init(&limiter, 1000, 50, 10, 5);
	for (unsigned i = 0; i < 20; i++)
		allowed += icmp_allow(&limiter, 7, now_ns);
	assert_int_equal(allowed, 5); /* its group's burst */
	for (unsigned i = 0; i < 200; i++)
		allowed += icmp_allow(&limiter, 1000 + i, now_ns);
	assert_int_equal(allowed, 50); /* all together */
	assert_false(icmp_allow(&limiter, 7, now_ns + 99 * MS));
	assert_true(icmp_allow(&limiter, 7, now_ns + 100 * MS));
	for (unsigned t = 0; t < 10000; t++)
		for (unsigned i = 0; i < 4; i++)
			allowed += icmp_allow(&limiter, t * 4 + i, now_ns + (200 + t) * MS);
	assert_in_range(allowed, 2500, 10 * 256 * 10 + 5 * 256 + 51); /* groups: 10/s x 256 */
}

/* Over any span the promise of icmp.h holds, against a naive count. */
static void test_limiter_promise(void **state)
{
	struct icmp_limiter limiter;
	uint64_t now_ns = 0, allowed_ns[4096];
	unsigned seed = 20261123, allowed = 0;

	(void)state;
	print_message("seed %u\n", seed);
	icmp_limiter_init(&limiter, 100, 10, 1000, 1000);
	while (allowed < 4096) {
		now_ns += rand_r(&seed) % (20 * MS) * (rand_r(&seed) % 8 == 0);
		if (icmp_allow(&limiter, rand_r(&seed), now_ns))
			allowed_ns[allowed++] = now_ns;
	}
	for (unsigned i = 0; i < allowed; i += 7)
		for (unsigned j = i; j < allowed; j++)
			assert_true(j - i + 1 <= (allowed_ns[j] - allowed_ns[i]) / (10 * MS) + 11);
	assert_true(allowed >= now_ns / (10 * MS) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_errors),
		cmocka_unit_test(test_mtu_bounds),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_without_df_hop_limit),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_decapsulated),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_corrupted),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_flow_is_parsed_one),
		cmocka_unit_test(test_flow_truncated),
		cmocka_unit_test(test_flow_fields),
		cmocka_unit_test(test_flow_quoted_length),
		cmocka_unit_test(test_flow_corrupted),
		cmocka_unit_test(test_limiter),
		cmocka_unit_test(test_limiter_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
