/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/parse.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/*
 * Made by scapy 2.5: Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ..., IPv4
 * 203.0.113.5 to 192.0.2.80, IPv6 2001:db8:1::5 to 2001:db8:80::80. The chain is hop-by-hop,
 * destination options, segment routing, atomic fragment, destination options, TCP.
 */
static const uint8_t ipv4_tcp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
	0xb9, 0x00, 0x2c, 0x00, 0x01, 0x00, 0x00, 0x40, 0x06, 0x7b, 0xbc, 0xcb, 0x00, 0x71, 0x05,
	0xc0, 0x00, 0x02, 0x50, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x60, 0x02, 0x20, 0x00, 0xdd, 0x3e, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4,
};

static const uint8_t ipv4_udp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
	0x00, 0x00, 0x1f, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x7c, 0x77, 0xcb, 0x00, 0x71, 0x05,
	0xc0, 0x00, 0x02, 0x50, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x0b, 0xa0, 0xa8, 0x61, 0x62, 0x63,
};

static const uint8_t ipv4_options_tcp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08,
	0x00, 0x47, 0x00, 0x00, 0x30, 0x00, 0x01, 0x00, 0x00, 0x40, 0x06, 0xe5, 0x6b,
	0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x94, 0x04, 0x00, 0x00, 0x01,
	0x01, 0x00, 0x00, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x50, 0x10, 0x20, 0x00, 0xf4, 0xed, 0x00, 0x00,
};

static const uint8_t ipv4_icmp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,
	0x45, 0x00, 0x00, 0x1c, 0x00, 0x01, 0x00, 0x00, 0x40, 0x01, 0x7c, 0x8a, 0xcb, 0x00,
	0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x08, 0x00, 0xf7, 0xfd, 0x00, 0x01, 0x00, 0x01,
};

static const uint8_t ipv6_tcp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86,
	0xdd, 0x6b, 0x91, 0x23, 0x45, 0x00, 0x18, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20,
	0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x80, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x60, 0x02, 0x20, 0x00, 0x7f, 0x1d, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4,
};

static const uint8_t ipv6_udp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86,
	0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20,
	0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x80, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x0b, 0x42, 0x87, 0x61, 0x62, 0x63,
};

static const uint8_t ipv6_chain_tcp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
	0x60, 0x00, 0x00, 0x00, 0x00, 0x54, 0x00, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3c, 0x00,
	0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x2b, 0x01, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x02, 0x04, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x80, 0x3c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x06, 0x00,
	0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x50, 0x11, 0x20, 0x00, 0x96, 0xcb, 0x00, 0x00,
};

static const uint8_t vlan_ipv4_udp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	0x81, 0x00, 0x00, 0x07, 0x08, 0x00, 0x45, 0x00, 0x00, 0x1c, 0x00, 0x01,
	0x00, 0x00, 0x40, 0x11, 0x7c, 0x7a, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00,
	0x02, 0x50, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x08, 0x65, 0x11,
};

static const uint8_t qinq_ipv6_udp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0xa8,
	0x00, 0x07, 0x81, 0x00, 0x00, 0x08, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x08,
	0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x08, 0x06, 0xf0,
};

static const uint8_t padded_ipv4_udp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
	0x00, 0x00, 0x1c, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x7c, 0x7a, 0xcb, 0x00, 0x71, 0x05,
	0xc0, 0x00, 0x02, 0x50, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x08, 0x65, 0x11, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const uint8_t srv6_ipv4_tcp[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x86, 0xdd,
	0x6b, 0x90, 0x00, 0x00, 0x00, 0x44, 0x2b, 0x40, 0xfc, 0x00, 0x00, 0x0e, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xfc, 0x00, 0x00, 0x0c,
	0x00, 0x00, 0x00, 0x46, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x02,
	0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfc, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x46,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x45, 0xba, 0x00, 0x2c, 0x00, 0x01,
	0x00, 0x00, 0x40, 0x06, 0x7b, 0xbb, 0xcb, 0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50,
	0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x60, 0x02,
	0x20, 0x00, 0xdd, 0x3e, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4,
};

static const uint8_t ipv4_udp_options[] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
	0x00, 0x00, 0x1e, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x7c, 0x78, 0xcb, 0x00, 0x71, 0x05,
	0xc0, 0x00, 0x02, 0x50, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x08, 0x64, 0x0e, 0x01, 0x01,
};

/* The textbook header: its checksum is 0xb861. */
static const uint8_t known_checksum[] = {
	0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
	0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
};

#define FRAME(name) name, sizeof name

static const struct valid {
	const char *what;
	const uint8_t *frame;
	size_t bytes;
	unsigned l3, l4, l3_bytes, srh;
	unsigned family, protocol, source_port, destination_port;
	unsigned tcp_flags, traffic_class;
} valid[] = {
	{"IPv4 TCP", FRAME(ipv4_tcp), 14, 34, 44, 0, 4, 6, 40000, 80, 0x02, 0xb9},
	{"IPv4 UDP", FRAME(ipv4_udp), 14, 34, 31, 0, 4, 17, 40001, 53, 0, 0},
	{"IPv4 options, TCP", FRAME(ipv4_options_tcp), 14, 42, 48, 0, 4, 6, 40000, 80, 0x10, 0},
	{"IPv4 ICMP", FRAME(ipv4_icmp), 14, 34, 28, 0, 4, 1, 0, 0, 0, 0},
	{"IPv6 TCP", FRAME(ipv6_tcp), 14, 54, 64, 0, 6, 6, 40000, 80, 0x02, 0xb9},
	{"IPv6 UDP", FRAME(ipv6_udp), 14, 54, 51, 0, 6, 17, 40001, 53, 0, 0},
	{"IPv6 chain, TCP", FRAME(ipv6_chain_tcp), 14, 118, 124, 78, 6, 6, 40000, 80, 0x11, 0},
	{"802.1Q, IPv4 UDP", FRAME(vlan_ipv4_udp), 18, 38, 28, 0, 4, 17, 40001, 53, 0, 0},
	{"802.1ad and 802.1Q, IPv6 UDP", FRAME(qinq_ipv6_udp), 22, 62, 48, 0, 6, 17, 40001, 53, 0,
	 0},
	{"padded IPv4 UDP", FRAME(padded_ipv4_udp), 14, 34, 28, 0, 4, 17, 40001, 53, 0, 0},
	{"SRv6, IPv4 inside", FRAME(srv6_ipv4_tcp), 14, 78, 108, 54, 6, 4, 0, 0, 0, 0xb9},
	{"UDP with options", FRAME(ipv4_udp_options), 14, 34, 30, 0, 4, 17, 40001, 53, 0, 0},
};
#define VALID (sizeof valid / sizeof valid[0])

static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* Word by word as RFC 1071 says, unlike the code under test. */
static uint16_t naive_sum(const uint8_t *bytes, size_t count)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void set_ipv4_checksum(uint8_t *ip)
{
	uint16_t sum;

	ip[10] = ip[11] = 0;
	sum = ~naive_sum(ip, (ip[0] & 15) * 4);
	ip[10] = sum >> 8;
	ip[11] = sum & 0xff;
}

/* What parse promises of any packet that it accepts. */
static void assert_inside(const struct packet *packet)
{
	uint32_t end = packet->l3 + packet->l3_bytes;
	unsigned upper = packet->key.protocol == IPPROTO_TCP   ? 20
			 : packet->key.protocol == IPPROTO_UDP ? 8
							       : 0;

	assert_true(end <= packet->bytes);
	assert_true(packet->l4 + upper <= end);
	assert_true(packet->l4 >= packet->l3 + 20);
	assert_true(packet->srh == 0 || packet->srh + 8 <= packet->l4);
	assert_true(packet->key.family == 4 || packet->key.family == 6);
}

/* Parses a copy of exactly that size, so that the sanitizer sees any byte read past it. */
static enum sl_verdict parse_copy(const uint8_t *frame, size_t bytes,
				  enum sl_verdict (*how)(struct packet *), struct packet *out)
{
	uint8_t *copy = malloc(bytes == 0 ? 1 : bytes);
	struct packet packet = {.data = bytes == 0 ? copy + 1 : copy, .bytes = bytes};
	enum sl_verdict verdict;

	memset(&packet.l3, 0xa5, sizeof packet - offsetof(struct packet, l3));
	if (bytes != 0)
		memcpy(copy, frame, bytes);
	verdict = how(&packet);
	if (verdict == PARSE_OK)
		assert_inside(&packet);
	if (out != NULL)
		*out = packet;
	free(copy);
	return verdict;
}

static void assert_addresses(const struct valid *v, const struct packet *packet)
{
	unsigned bytes = v->family == 4 ? 4 : 16;
	const uint8_t *source = v->frame + v->l3 + (v->family == 4 ? 12 : 8);
	uint8_t zero[16] = {0};

	assert_memory_equal(packet->key.source, source, bytes);
	assert_memory_equal(packet->key.destination, source + bytes, bytes);
	assert_memory_equal(packet->key.source + bytes, zero, 16 - bytes);
	assert_memory_equal(packet->key.destination + bytes, zero, 16 - bytes);
	assert_memory_equal(packet->key.zero, zero, sizeof packet->key.zero);
}

static void assert_parsed(const struct valid *v, const struct packet *packet, unsigned base)
{
	assert_int_equal(packet->l3, v->l3 - base);
	assert_int_equal(packet->l4, v->l4 - base);
	assert_int_equal(packet->l3_bytes, v->l3_bytes);
	assert_int_equal(packet->srh, v->srh == 0 ? 0 : v->srh - base);
	assert_int_equal(packet->tcp_flags, v->tcp_flags);
	assert_int_equal(packet->traffic_class, v->traffic_class);
	assert_int_equal(packet->key.family, v->family);
	assert_int_equal(packet->key.protocol, v->protocol);
	assert_int_equal(ntohs(packet->key.source_port), v->source_port);
	assert_int_equal(ntohs(packet->key.destination_port), v->destination_port);
	assert_addresses(v, packet);
}

static void test_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];
		struct packet packet;

		print_message("  %s\n", v->what);
		assert_int_equal(parse_copy(v->frame, v->bytes, parse, &packet), PARSE_OK);
		assert_parsed(v, &packet, 0);
		assert_int_equal(parse_copy(v->frame + v->l3, v->bytes - v->l3, parse_ip, &packet),
				 PARSE_OK);
		assert_parsed(v, &packet, v->l3);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];

		for (size_t bytes = 0; bytes < v->l3 + v->l3_bytes; bytes++)
			assert_int_equal(parse_copy(v->frame, bytes, parse, NULL),
					 SL_VERDICT_TRUNCATED);
		for (size_t bytes = 0; bytes < v->l3_bytes; bytes++)
			assert_int_equal(parse_copy(v->frame + v->l3, bytes, parse_ip, NULL),
					 SL_VERDICT_TRUNCATED);
	}
}

/* The IP length agrees with what is present, so that each later check has to see for itself. */
static enum sl_verdict parse_shortened(const struct valid *v, size_t bytes)
{
	uint8_t frame[256];
	uint8_t *ip = frame + v->l3;
	uint16_t length = bytes - v->l3 - (v->family == 6 ? 40 : 0);

	memcpy(frame, v->frame, bytes);
	ip[v->family == 4 ? 2 : 4] = length >> 8;
	ip[v->family == 4 ? 3 : 5] = length & 0xff;
	if (v->family == 4)
		set_ipv4_checksum(ip);
	return parse_copy(frame, bytes, parse, NULL);
}

static void test_shortened(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];
		const uint8_t *l4 = v->frame + v->l4;
		size_t header = v->family == 4 ? (v->frame[v->l3] & 15) * 4 : 40;
		size_t upper = v->protocol == 6	   ? (l4[12] >> 4) * 4
			       : v->protocol == 17 ? l4[4] << 8 | l4[5]
						   : 0;

		for (size_t bytes = v->l3 + header; bytes <= v->l3 + v->l3_bytes; bytes++)
			assert_int_equal(parse_shortened(v, bytes),
					 bytes < v->l4 + upper ? SL_VERDICT_TRUNCATED : PARSE_OK);
	}
}

static void test_corrupted(void **state)
{
	enum { ASIS = 0, REPAIR = 1 }; /* the IPv4 checksum, after the change */
	static const struct {
		const char *what;
		const uint8_t *frame;
		size_t bytes;
		unsigned at, value, repair;
		enum sl_verdict verdict;
	} row[] = {
		{"type ARP", FRAME(ipv4_tcp), 13, 0x06, ASIS, SL_VERDICT_NOT_IP},
		{"type length field", FRAME(ipv4_tcp), 12, 0x00, ASIS, SL_VERDICT_NOT_IP},
		{"type 0x8600", FRAME(ipv4_tcp), 12, 0x86, ASIS, SL_VERDICT_NOT_IP},
		{"type after the tag", FRAME(vlan_ipv4_udp), 17, 0x06, ASIS, SL_VERDICT_NOT_IP},
		{"a third tag", FRAME(qinq_ipv6_udp), 20, 0x81, ASIS, SL_VERDICT_NOT_IP},
		{"IPv4 version 5", FRAME(ipv4_tcp), 14, 0x55, REPAIR, SL_VERDICT_BAD_HEADER},
		{"IPv4 version 6", FRAME(ipv4_tcp), 14, 0x65, REPAIR, SL_VERDICT_BAD_HEADER},
		{"IPv4 version 0", FRAME(ipv4_tcp), 14, 0x05, REPAIR, SL_VERDICT_BAD_HEADER},
		{"IHL 4", FRAME(ipv4_tcp), 14, 0x44, REPAIR, SL_VERDICT_BAD_HEADER},
		{"IHL 0", FRAME(ipv4_tcp), 14, 0x40, REPAIR, SL_VERDICT_BAD_HEADER},
		{"IHL 15 past the end", FRAME(ipv4_udp), 14, 0x4f, ASIS, SL_VERDICT_TRUNCATED},
		{"total length below the header's", FRAME(ipv4_tcp), 17, 0x13, REPAIR,
		 SL_VERDICT_BAD_HEADER},
		{"total length 0", FRAME(ipv4_tcp), 17, 0, REPAIR, SL_VERDICT_BAD_HEADER},
		{"total length below the header's, options", FRAME(ipv4_options_tcp), 17, 0x1b,
		 REPAIR, SL_VERDICT_BAD_HEADER},
		{"total length over", FRAME(ipv4_tcp), 17, 0x2d, REPAIR, SL_VERDICT_TRUNCATED},
		{"total length far over", FRAME(ipv4_tcp), 16, 0xff, REPAIR, SL_VERDICT_TRUNCATED},
		{"total length, checksum not", FRAME(ipv4_tcp), 17, 0x2d, ASIS,
		 SL_VERDICT_BAD_CHECKSUM},
		{"identification", FRAME(ipv4_tcp), 19, 0xff, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"more fragments", FRAME(ipv4_tcp), 20, 0x20, REPAIR, SL_VERDICT_FRAGMENT},
		{"fragment offset 1", FRAME(ipv4_tcp), 21, 0x01, REPAIR, SL_VERDICT_FRAGMENT},
		{"fragment offset 4096", FRAME(ipv4_tcp), 20, 0x10, REPAIR, SL_VERDICT_FRAGMENT},
		{"do not fragment", FRAME(ipv4_tcp), 20, 0x40, REPAIR, PARSE_OK},
		{"TTL", FRAME(ipv4_tcp), 22, 63, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"TTL 0 is not for parse to judge", FRAME(ipv4_tcp), 22, 0, REPAIR, PARSE_OK},
		{"protocol", FRAME(ipv4_tcp), 23, 17, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"checksum high", FRAME(ipv4_tcp), 24, 0, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"checksum low", FRAME(ipv4_tcp), 25, 0, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"source", FRAME(ipv4_tcp), 26, 0, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"destination", FRAME(ipv4_tcp), 33, 0, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"option", FRAME(ipv4_options_tcp), 38, 0x42, ASIS, SL_VERDICT_BAD_CHECKSUM},
		{"TCP data offset 4", FRAME(ipv4_tcp), 46, 0x40, ASIS, SL_VERDICT_BAD_HEADER},
		{"TCP data offset 0", FRAME(ipv4_tcp), 46, 0x00, ASIS, SL_VERDICT_BAD_HEADER},
		{"TCP data offset past the end", FRAME(ipv4_tcp), 46, 0x70, ASIS,
		 SL_VERDICT_TRUNCATED},
		{"UDP length 7", FRAME(ipv4_udp), 39, 7, ASIS, SL_VERDICT_BAD_HEADER},
		{"UDP length 0", FRAME(ipv6_udp), 59, 0, ASIS, SL_VERDICT_BAD_HEADER},
		{"UDP length over", FRAME(ipv4_udp), 39, 12, ASIS, SL_VERDICT_TRUNCATED},
		{"UDP length into padding", FRAME(padded_ipv4_udp), 39, 9, ASIS,
		 SL_VERDICT_TRUNCATED},
		{"IPv6 version 4", FRAME(ipv6_tcp), 14, 0x4b, ASIS, SL_VERDICT_BAD_HEADER},
		{"IPv6 version 7", FRAME(ipv6_tcp), 14, 0x7b, ASIS, SL_VERDICT_BAD_HEADER},
		{"payload length over", FRAME(ipv6_tcp), 19, 0x19, ASIS, SL_VERDICT_TRUNCATED},
		{"payload length 0", FRAME(ipv6_tcp), 19, 0, ASIS, SL_VERDICT_TRUNCATED},
		{"hop-by-hop twice", FRAME(ipv6_chain_tcp), 54, 0, ASIS, SL_VERDICT_BAD_HEADER},
		{"extension past the end", FRAME(ipv6_chain_tcp), 55, 0xff, ASIS,
		 SL_VERDICT_TRUNCATED},
		{"SRH past the end", FRAME(ipv6_chain_tcp), 79, 6, ASIS, SL_VERDICT_TRUNCATED},
		{"SRH before a done routing header", FRAME(ipv6_chain_tcp), 78, 43, ASIS, PARSE_OK},
		{"routing type 0, no segments left", FRAME(ipv6_chain_tcp), 80, 0, ASIS, PARSE_OK},
		{"more fragments, IPv6", FRAME(ipv6_chain_tcp), 105, 0x01, ASIS,
		 SL_VERDICT_FRAGMENT},
		{"fragment offset 1, IPv6", FRAME(ipv6_chain_tcp), 105, 0x08, ASIS,
		 SL_VERDICT_FRAGMENT},
		{"fragment reserved bits", FRAME(ipv6_chain_tcp), 105, 0x06, ASIS, PARSE_OK},
		{"fragment reserved byte", FRAME(ipv6_chain_tcp), 103, 0xff, ASIS, PARSE_OK},
		{"no next header", FRAME(ipv6_chain_tcp), 54, 59, ASIS, PARSE_OK},
		{"ESP, not walked", FRAME(ipv6_chain_tcp), 54, 50, ASIS, PARSE_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t frame[256];

		memcpy(frame, row[i].frame, row[i].bytes);
		frame[row[i].at] = row[i].value;
		if (row[i].repair)
			set_ipv4_checksum(frame + 14);
		print_message("  %s\n", row[i].what);
		assert_int_equal(parse_copy(frame, row[i].bytes, parse, NULL), row[i].verdict);
	}
}

/* n destination options headers of 8 bytes, then UDP. */
static size_t put_chain(uint8_t *ip, unsigned n)
{
	size_t bytes = 40 + n * 8 + 8;

	memset(ip, 0, bytes);
	ip[0] = 0x60;
	ip[5] = bytes - 40;
	ip[6] = n == 0 ? IPPROTO_UDP : IPPROTO_DSTOPTS;
	for (unsigned i = 0; i < n; i++) {
		ip[40 + i * 8] = i + 1 == n ? IPPROTO_UDP : IPPROTO_DSTOPTS;
		ip[40 + i * 8 + 2] = 1; /* PadN */
		ip[40 + i * 8 + 3] = 4;
	}
	ip[bytes - 3] = 8;
	return bytes;
}

/* Two tags are skipped, a third is not. */
static void test_tags(void **state)
{
	uint8_t frame[128];
	size_t bytes = sizeof ipv4_udp;

	(void)state;
	memcpy(frame, ipv4_udp, bytes);
	for (unsigned tags = 0; tags <= 4; tags++) {
		struct packet packet;
		enum sl_verdict due = tags <= 2 ? PARSE_OK : SL_VERDICT_NOT_IP;

		assert_int_equal(parse_copy(frame, bytes, parse, &packet), due);
		if (due == PARSE_OK)
			assert_int_equal(packet.l3, 14 + 4 * tags);
		memmove(frame + 16, frame + 12, bytes - 12);
		memcpy(frame + 12, tags % 2 ? "\x88\xa8\x00\x07" : "\x81\x00\x00\x07", 4);
		bytes += 4;
	}
}

static void test_extension_bound(void **state)
{
	uint8_t ip[256];

	(void)state;
	for (unsigned n = 0; n <= 12; n++) {
		size_t bytes = put_chain(ip, n);

		assert_int_equal(parse_copy(ip, bytes, parse_ip, NULL),
				 n <= 8 ? PARSE_OK : SL_VERDICT_BAD_HEADER);
	}
}

static void test_routing_headers(void **state)
{
	static const struct {
		const char *what;
		uint8_t type[2], left[2];
		enum sl_verdict verdict;
		unsigned srh;
	} row[] = {
		{"SRH, then another type done", {4, 3}, {1, 0}, PARSE_OK, 40},
		{"another type done, then SRH", {3, 4}, {0, 2}, PARSE_OK, 48},
		{"two SRH", {4, 4}, {0, 0}, SL_VERDICT_BAD_HEADER, 0},
		{"type 0 with segments left", {0, 4}, {1, 0}, SL_VERDICT_BAD_HEADER, 0},
		{"type 2 with segments left", {4, 2}, {0, 1}, SL_VERDICT_BAD_HEADER, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t ip[256];
		size_t bytes = put_chain(ip, 2);
		struct packet packet;

		ip[6] = ip[40] = IPPROTO_ROUTING;
		for (unsigned n = 0; n < 2; n++) {
			ip[40 + n * 8 + 2] = row[i].type[n];
			ip[40 + n * 8 + 3] = row[i].left[n];
		}
		print_message("  %s\n", row[i].what);
		assert_int_equal(parse_copy(ip, bytes, parse_ip, &packet), row[i].verdict);
		if (row[i].verdict == PARSE_OK)
			assert_int_equal(packet.srh, row[i].srh);
	}
}

static void test_not_ip(void **state)
{
	uint8_t ip[64];
	uint8_t *jumbo = calloc(1, 65536 + 40);

	(void)state;
	memcpy(ip, known_checksum, sizeof known_checksum);
	for (unsigned version = 0; version < 16; version++) {
		ip[0] = version << 4 | 5;
		if (version != 4 && version != 6)
			assert_int_equal(parse_copy(ip, 60, parse_ip, NULL), SL_VERDICT_NOT_IP);
	}
	jumbo[0] = 0x60;
	jumbo[4] = jumbo[5] = 0xff;
	jumbo[6] = IPPROTO_NONE;
	assert_int_equal(parse_copy(jumbo, 65535 + 40, parse_ip, NULL), SL_VERDICT_TOO_BIG);
	jumbo[5] = 0xff - 40;
	assert_int_equal(parse_copy(jumbo, 65535 + 40, parse_ip, NULL), PARSE_OK);
	free(jumbo);
}

static void test_known_checksum(void **state)
{
	uint8_t ip[0x73] = {0};

	(void)state;
	memcpy(ip, known_checksum, sizeof known_checksum);
	ip[25] = 0x73 - 20;
	assert_int_equal(parse_copy(ip, sizeof ip, parse_ip, NULL), PARSE_OK);
	for (unsigned bit = 0; bit < 160; bit++) {
		if (bit < 8)
			continue; /* version and IHL: their own errors */
		ip[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(parse_copy(ip, sizeof ip, parse_ip, NULL),
				 SL_VERDICT_BAD_CHECKSUM);
		ip[bit / 8] ^= 1 << bit % 8;
	}
}

/* Valid packets with a few random bytes changed: whatever is accepted lies inside. */
static void test_mutated(void **state)
{
	uint64_t random = seed;
	unsigned accepted = 0;

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < 300000; i++) {
		const struct valid *v = &valid[next_random(&random) % VALID];
		unsigned changes = next_random(&random) % 4;
		uint8_t frame[256];
		size_t bytes = v->bytes - next_random(&random) % 4 % v->bytes;

		memcpy(frame, v->frame, v->bytes);
		for (unsigned n = 0; n < changes; n++)
			frame[12 + next_random(&random) % (v->bytes - 12)] = next_random(&random);
		if (v->family == 4 && next_random(&random) % 2)
			set_ipv4_checksum(frame + v->l3);
		accepted += parse_copy(frame, bytes, parse, NULL) == PARSE_OK;
	}
	assert_true(accepted > 10000);
}

static void random_header(uint8_t *ip, unsigned ttl, uint64_t *random)
{
	for (unsigned i = 0; i < 60; i++)
		ip[i] = next_random(random);
	ip[0] = 0x40 | (5 + next_random(random) % 11);
	ip[8] = ttl;
	set_ipv4_checksum(ip);
}

static void test_forward_hop_ipv4(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned ttl = 0; ttl < 256; ttl++) {
		for (unsigned i = 0; i < 2000; i++) {
			uint8_t ip[60], expected[60];

			random_header(ip, ttl, &random);
			memcpy(expected, ip, sizeof ip);
			if (ttl > 1) {
				expected[8]--;
				set_ipv4_checksum(expected);
			}
			assert_int_equal(parse_forward_hop(ip), ttl > 1);
			assert_memory_equal(ip, expected, sizeof ip);
		}
	}
}

/* Every checksum value, 0xfeff among them: RFC 1141 arithmetic would turn it into 0xffff. */
static void test_forward_hop_every_checksum(void **state)
{
	uint8_t ip[20], expected[20];
	unsigned seen = 0;

	(void)state;
	memcpy(ip, known_checksum, sizeof ip);
	for (unsigned id = 0; id < 65536; id++) {
		ip[4] = id >> 8;
		ip[5] = id & 0xff;
		ip[8] = 64;
		set_ipv4_checksum(ip);
		seen += ip[10] == 0xfe && ip[11] == 0xff;
		memcpy(expected, ip, sizeof ip);
		expected[8] = 63;
		set_ipv4_checksum(expected);
		assert_true(parse_forward_hop(ip));
		assert_memory_equal(ip, expected, sizeof ip);
	}
	assert_int_equal(seen, 1);
}

static void test_forward_hop_ipv6(void **state)
{
	(void)state;
	for (unsigned hops = 0; hops < 256; hops++) {
		uint8_t ip[40], expected[40];

		memcpy(ip, ipv6_tcp + 14, sizeof ip);
		ip[7] = hops;
		memcpy(expected, ip, sizeof ip);
		expected[7] = hops > 1 ? hops - 1 : hops;
		assert_int_equal(parse_forward_hop(ip), hops > 1);
		assert_memory_equal(ip, expected, sizeof ip);
	}
}

static void test_set_ecn(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		uint8_t ip[60], expected[60], ecn = i & 3;

		random_header(ip, 64, &random);
		memcpy(expected, ip, sizeof ip);
		expected[1] = (expected[1] & 0xfc) | ecn;
		set_ipv4_checksum(expected);
		parse_set_ecn(ip, ecn);
		assert_memory_equal(ip, expected, sizeof ip);

		ip[0] = expected[0] = 0x60 | (i >> 2 & 15);
		memcpy(expected, ip, sizeof ip);
		expected[1] = (expected[1] & 0xcf) | ecn << 4;
		parse_set_ecn(ip, ecn);
		assert_memory_equal(ip, expected, sizeof ip);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_shortened),
		cmocka_unit_test(test_corrupted),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_extension_bound),
		cmocka_unit_test(test_routing_headers),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_known_checksum),
		cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_forward_hop_ipv4),
		cmocka_unit_test(test_forward_hop_every_checksum),
		cmocka_unit_test(test_forward_hop_ipv6),
		cmocka_unit_test(test_set_ecn),
	};

	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
