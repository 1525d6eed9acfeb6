/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/fragment.h"
#include "dataplane/header.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Made by scapy 2.5's fragment and fragment6: 203.0.113.5 to 192.0.2.80 and 2001:db8:1::5 to
 * 2001:db8:80::80, IPv4 UDP 40001 to 53, IPv6 TCP 40000 to 80. The chain is hop-by-hop, fragment,
 * destination options, UDP.
 */
static const uint8_t udp4_first[] = {
	0x45, 0x00, 0x00, 0x34, 0xab, 0xcd, 0x20, 0x00, 0x40, 0x11, 0xb0, 0x95, 0xcb,
	0x00, 0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x38,
	0x01, 0x4e, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
	0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
};

static const uint8_t udp4_last[] = {
	0x45, 0x00, 0x00, 0x2c, 0xab, 0xcd, 0x00, 0x04, 0x40, 0x11, 0xd0, 0x99, 0xcb, 0x00, 0x71,
	0x05, 0xc0, 0x00, 0x02, 0x50, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
	0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
};

static const uint8_t options4_first[] = {
	0x46, 0x00, 0x00, 0x38, 0xab, 0xcd, 0x20, 0x00, 0x40, 0x11, 0x1b, 0x8d, 0xcb, 0x00,
	0x71, 0x05, 0xc0, 0x00, 0x02, 0x50, 0x94, 0x04, 0x00, 0x00, 0x9c, 0x41, 0x00, 0x35,
	0x00, 0x38, 0x01, 0x4e, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
	0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
};

static const uint8_t tcp6_first[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x2c, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x06, 0x00, 0x00, 0x01, 0xde,
	0xad, 0xbe, 0xef, 0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x50, 0x18, 0x20, 0x00, 0x0c, 0x15, 0x00, 0x00, 0x79, 0x79, 0x79, 0x79,
};

static const uint8_t tcp6_last[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x10, 0x2c, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x06, 0x00,
	0x00, 0x30, 0xde, 0xad, 0xbe, 0xef, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
};

static const uint8_t chain6_first[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x20, 0x01, 0x0d, 0xb8,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x2c, 0x00,
	0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x00, 0x00, 0x01, 0xde, 0xad, 0xbe, 0xef,
	0x11, 0x00, 0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x41, 0x00, 0x35, 0x00, 0x64,
	0x00, 0x01, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79, 0x79,
};

#define BYTES(name) name, sizeof name

static const struct valid {
	const char *what;
	const uint8_t *ip;
	size_t bytes;
	unsigned l4, protocol, source_port, destination_port, tcp_flags;
	bool first;
} valid[] = {
	{"IPv4, UDP, first", BYTES(udp4_first), 20, 17, 40001, 53, 0, true},
	{"IPv4, UDP, last", BYTES(udp4_last), 20, 17, 0, 0, 0, false},
	{"IPv4, options", BYTES(options4_first), 24, 17, 40001, 53, 0, true},
	{"IPv6, TCP, first", BYTES(tcp6_first), 48, 6, 40000, 80, 0x18, true},
	{"IPv6, TCP, last", BYTES(tcp6_last), 48, 6, 0, 0, 0, false},
	{"IPv6, chain, first", BYTES(chain6_first), 64, 17, 40001, 53, 0, true},
};
#define VALID (sizeof valid / sizeof valid[0])

/* From memory of exactly that size. */
static enum sl_verdict read_copy(const uint8_t *ip, size_t bytes, struct packet *packet,
				 struct fragment *fragment)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	enum sl_verdict verdict;

	if (bytes)
		memcpy(copy, ip, bytes);
	verdict = fragment_read(copy, bytes, packet, fragment);
	free(copy);
	return verdict;
}

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		const struct valid *v = &valid[i];
		bool four = v->ip[0] >> 4 == 4;
		struct packet packet = {.data = (uint8_t *)v->ip, .bytes = v->bytes};
		struct fragment fragment;

		assert_int_equal(parse_ip(&packet), SL_VERDICT_FRAGMENT);
		if (read_copy(v->ip, v->bytes, &packet, &fragment) != PARSE_OK)
			fail_msg("%s", v->what);
		assert_int_equal(fragment.first, v->first);
		assert_int_equal(packet.l3, 0);
		assert_int_equal(packet.l4, v->l4);
		assert_int_equal(packet.l3_bytes, v->bytes);
		assert_int_equal(packet.key.protocol, v->protocol);
		assert_int_equal(packet.key.family, four ? 4 : 6);
		assert_int_equal(ntohs(packet.key.source_port), v->source_port);
		assert_int_equal(ntohs(packet.key.destination_port), v->destination_port);
		assert_int_equal(packet.tcp_flags, v->tcp_flags);
		assert_memory_equal(packet.key.source, v->ip + (four ? 12 : 8), four ? 4 : 16);
		assert_memory_equal(packet.key.destination, v->ip + (four ? 16 : 24),
				    four ? 4 : 16);
		assert_memory_equal(fragment.datagram.source, packet.key.source, 32);
	}
}

/* Fragments of one datagram have one key, whatever differs but what RFCs tell them apart by. */
static void test_datagram(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *a, *b;
		size_t bytes_a, bytes_b;
		int at; /* in b, -1: nothing is changed */
		bool same;
	} rows[] = {
		{"IPv4 first, last", udp4_first, udp4_last, 52, 44, -1, true},
		{"identification", udp4_first, udp4_last, 52, 44, 5, false},
		{"identification, high", udp4_first, udp4_last, 52, 44, 4, false},
		{"protocol", udp4_first, udp4_last, 52, 44, 9, false},
		{"source", udp4_first, udp4_last, 52, 44, 15, false},
		{"destination", udp4_first, udp4_last, 52, 44, 19, false},
		{"TTL", udp4_first, udp4_last, 52, 44, 8, true},
		{"TOS", udp4_first, udp4_last, 52, 44, 1, true},
		{"IPv6 first, last", tcp6_first, tcp6_last, 72, 56, -1, true},
		{"IPv6 identification", tcp6_first, tcp6_last, 72, 56, 47, false},
		{"IPv6 identification, high", tcp6_first, tcp6_last, 72, 56, 44, false},
		{"IPv6 next header", tcp6_first, tcp6_last, 72, 56, 40, true},
		{"IPv6 hop limit", tcp6_first, tcp6_last, 72, 56, 7, true},
		{"IPv6 source", tcp6_first, tcp6_last, 72, 56, 23, false},
	};

	(void)state;
	assert_int_equal(sizeof udp4_last, 44);
	assert_int_equal(sizeof tcp6_last, 56);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t b[128];
		struct packet packet;
		struct fragment one, two;
		memcpy(b, rows[i].b, rows[i].bytes_b);
		if (rows[i].at >= 0)
			b[rows[i].at] ^= 1;
		if (b[0] >> 4 == 4) {
			rte_be16_t sum;
			memset(b + 10, 0, 2);
			sum = header_checksum(header_sum(0, b, 20));
			memcpy(b + 10, &sum, 2);
		}
		assert_int_equal(read_copy(rows[i].a, rows[i].bytes_a, &packet, &one), PARSE_OK);
		assert_int_equal(read_copy(b, rows[i].bytes_b, &packet, &two), PARSE_OK);
		if ((memcmp(&one.datagram, &two.datagram, sizeof one.datagram) == 0) !=
		    rows[i].same)
			fail_msg("%s", rows[i].what);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < VALID; i++)
		for (size_t n = 0; n < valid[i].bytes; n++) {
			struct packet packet, before;
			struct fragment fragment;
			memset(&packet, 0xaa, sizeof packet);
			before = packet;
			if (read_copy(valid[i].ip, n, &packet, &fragment) != SL_VERDICT_TRUNCATED)
				fail_msg("%s, %zu bytes", valid[i].what, n);
			assert_memory_equal(&packet, &before, sizeof packet);
		}
}

/* Whatever one byte becomes: a named verdict, and offsets that lie inside. */
static void test_corrupted(void **state)
{
	unsigned ok = 0, bad = 0;

	(void)state;
	for (size_t i = 0; i < VALID; i++)
		for (size_t at = 0; at < valid[i].bytes; at++)
			for (unsigned value = 0; value < 256; value++) {
				struct packet packet;
				struct fragment fragment;
				uint8_t ip[128];
				enum sl_verdict verdict;
				memcpy(ip, valid[i].ip, valid[i].bytes);
				ip[at] = value;
				verdict = read_copy(ip, valid[i].bytes, &packet, &fragment);
				if (verdict != PARSE_OK) {
					assert_true(verdict == SL_VERDICT_TRUNCATED ||
						    verdict == SL_VERDICT_BAD_HEADER ||
						    verdict == SL_VERDICT_BAD_CHECKSUM ||
						    verdict == SL_VERDICT_NOT_IP);
					bad++;
					continue;
				}
				assert_true(packet.l4 <= packet.l3_bytes);
				assert_true(packet.l3_bytes <= valid[i].bytes);
				ok++;
			}
	print_message("%u good, %u bad\n", ok, bad);
	assert_true(ok > 1000 && bad > 1000);
}

static void test_fields(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *ip;
		size_t bytes;
		unsigned at;
		uint8_t to[2];
		enum sl_verdict verdict;
	} rows[] = {
		{"checksum", BYTES(udp4_first), 10, {0, 0}, SL_VERDICT_BAD_CHECKSUM},
		{"whole, IPv6", BYTES(tcp6_first), 42, {0, 0}, SL_VERDICT_BAD_HEADER},
		{"ends past 65535", BYTES(tcp6_last), 42, {0xff, 0xf8}, SL_VERDICT_BAD_HEADER},
		{"last, up to 65528", BYTES(tcp6_last), 42, {0xff, 0xd0}, PARSE_OK},
		{"TCP data offset 4", BYTES(tcp6_first), 60, {0x40, 0}, SL_VERDICT_BAD_HEADER},
		{"not a multiple of 8", BYTES(tcp6_first), 4, {0, 31}, SL_VERDICT_BAD_HEADER},
		{"tiny first, RFC 1858", BYTES(tcp6_first), 4, {0, 16}, SL_VERDICT_TRUNCATED},
		{"no data", BYTES(tcp6_last), 4, {0, 8}, SL_VERDICT_BAD_HEADER},
		{"second fragment header", BYTES(tcp6_first), 40, {44, 0}, SL_VERDICT_BAD_HEADER},
		{"chain not all in the first",
		 BYTES(chain6_first),
		 56,
		 {60, 5},
		 SL_VERDICT_TRUNCATED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct packet packet;
		struct fragment fragment;
		uint8_t ip[128];
		enum sl_verdict verdict;
		memcpy(ip, rows[i].ip, rows[i].bytes);
		memcpy(ip + rows[i].at, rows[i].to, 2);
		verdict = read_copy(ip, rows[i].bytes, &packet, &fragment);
		if (verdict != rows[i].verdict)
			fail_msg("%s: %d, not %d", rows[i].what, verdict, rows[i].verdict);
	}
}

/* --- the tables --- */

static struct fragments *fragments;
static char packets[1 << 20]; /* a packet is an address in here */

static int new_fragments(void **state)
{
	(void)state;
	fragments = calloc(1, sizeof *fragments);
	return fragments ? 0 : -1;
}

static int free_fragments(void **state)
{
	(void)state;
	free(fragments);
	return 0;
}

static void test_order(void **state)
{
	const struct fragment_way to_three = {33, 3}, to_four = {44, 4};
	struct fragment_way way = {0, 0};

	(void)state;
	assert_int_equal(fragment_later(fragments, 1, &packets[1], 100, 0, &way), FRAGMENT_WAITS);
	assert_int_equal(fragment_later(fragments, 2, &packets[2], 100, 1, &way), FRAGMENT_WAITS);
	assert_int_equal(fragment_later(fragments, 1, &packets[3], 100, 2, &way), FRAGMENT_WAITS);
	assert_null(fragment_overdue(fragments, 2));
	fragment_first(fragments, 1, &to_three, 3);
	assert_ptr_equal(fragment_release(fragments, 1), &packets[1]);
	assert_ptr_equal(fragment_release(fragments, 1), &packets[3]);
	assert_null(fragment_release(fragments, 1));
	assert_int_equal(fragment_later(fragments, 1, &packets[4], 100, 4, &way), FRAGMENT_KNOWN);
	assert_int_equal(way.member, 3);
	assert_int_equal(way.flow_hash, 33);
	fragment_first(fragments, 1, &to_four, 5); /* overlapping: the latest first fragment */
	assert_int_equal(fragment_later(fragments, 1, &packets[4], 100, 6, &way), FRAGMENT_KNOWN);
	assert_int_equal(way.member, 4);
	assert_null(fragment_overdue(fragments, 1 + FRAGMENT_WAITING_MS));
	assert_ptr_equal(fragment_overdue(fragments, 2 + FRAGMENT_WAITING_MS), &packets[2]);
	assert_null(fragment_overdue(fragments, 1u << 31));
	assert_int_equal(fragments->waiting_bytes, 0);
	assert_int_equal(fragment_later(fragments, 1, &packets[5], 1, 5 + FRAGMENT_KNOWN_MS, &way),
			 FRAGMENT_KNOWN);
	assert_int_equal(fragment_later(fragments, 1, &packets[5], 1, 6 + FRAGMENT_KNOWN_MS, &way),
			 FRAGMENT_WAITS);
	assert_ptr_equal(fragment_drain(fragments), &packets[5]);
	assert_null(fragment_drain(fragments));
}

static void test_bytes(void **state)
{
	struct fragment_way way;

	(void)state;
	assert_int_equal(fragment_later(fragments, 1, packets, FRAGMENT_WAITING_BYTES + 1, 0, &way),
			 FRAGMENT_REFUSED);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(fragment_later(fragments, i, &packets[i],
						FRAGMENT_WAITING_BYTES / 8, 0, &way),
				 FRAGMENT_WAITS);
	assert_ptr_equal(fragment_overdue(fragments, 0), &packets[0]);
	assert_null(fragment_overdue(fragments, 0));
}

/* Clock that wraps: ages are differences. */
static void test_wrap(void **state)
{
	const struct fragment_way to = {1, 1};
	struct fragment_way way;

	(void)state;
	fragment_first(fragments, 0, &to, UINT32_MAX - 10);
	assert_int_equal(fragment_later(fragments, 0, packets, 1, 10, &way), FRAGMENT_KNOWN);
	assert_int_equal(fragment_later(fragments, 7, packets, 1, UINT32_MAX - 10, &way),
			 FRAGMENT_WAITS);
	assert_null(fragment_overdue(fragments, 10));
	assert_ptr_equal(fragment_overdue(fragments, FRAGMENT_WAITING_MS), packets);
}

/* The naive one: lists without bounds. Datagrams few enough that no set is ever full. */
#define DATAGRAMS 64

struct oracle {
	bool known[DATAGRAMS];
	uint32_t known_ms[DATAGRAMS];
	uint16_t member[DATAGRAMS];
	unsigned queued;
	struct {
		unsigned datagram;
		void *packet;
		uint32_t since_ms;
	} queue[4096];
};

static void *oracle_take(struct oracle *o, unsigned at)
{
	void *packet = o->queue[at].packet;

	memmove(&o->queue[at], &o->queue[at + 1], (--o->queued - at) * sizeof o->queue[0]);
	return packet;
}

static void *oracle_release(struct oracle *o, unsigned datagram)
{
	for (unsigned i = 0; i < o->queued; i++)
		if (o->queue[i].datagram == datagram)
			return oracle_take(o, i);
	return NULL;
}

static uint64_t spread(unsigned datagram)
{
	return datagram * 0x9e3779b97f4a7c15ULL; /* 0 is among them */
}

static void check_first(struct oracle *o, unsigned d, uint16_t member, uint32_t now_ms)
{
	const struct fragment_way way = {.member = member};
	void *expected;

	fragment_first(fragments, spread(d), &way, now_ms);
	o->known[d] = true;
	o->known_ms[d] = now_ms;
	o->member[d] = member;
	do {
		expected = oracle_release(o, d);
		assert_ptr_equal(fragment_release(fragments, spread(d)), expected);
	} while (expected);
}

static void check_later(struct oracle *o, unsigned d, void *packet, uint32_t now_ms)
{
	struct fragment_way way;
	enum fragment_fate fate = fragment_later(fragments, spread(d), packet, 1400, now_ms, &way);

	if (o->known[d] && now_ms - o->known_ms[d] <= FRAGMENT_KNOWN_MS) {
		assert_int_equal(fate, FRAGMENT_KNOWN);
		assert_int_equal(way.member, o->member[d]);
		return;
	}
	assert_int_equal(fate, FRAGMENT_WAITS);
	o->queue[o->queued].datagram = d;
	o->queue[o->queued].packet = packet;
	o->queue[o->queued++].since_ms = now_ms;
}

static void test_oracle(void **state)
{
	unsigned seed = 20261123, next = 0;
	struct oracle *o = calloc(1, sizeof *o);
	uint32_t now_ms = 4294960000u; /* wraps on the way */

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned step = 0; step < 400000; step++) {
		unsigned d = rand_r(&seed) % DATAGRAMS;
		now_ms += rand_r(&seed) % 8 == 0 ? rand_r(&seed) % 64 : 0;
		if (rand_r(&seed) % 50 == 0)
			check_first(o, d, rand_r(&seed), now_ms);
		else
			check_later(o, d, &packets[next++ % sizeof packets], now_ms);
		for (;;) {
			bool overdue =
				o->queued > FRAGMENT_WAITING_MAX ||
				o->queued * 1400 > FRAGMENT_WAITING_BYTES ||
				(o->queued && now_ms - o->queue[0].since_ms > FRAGMENT_WAITING_MS);
			/* a gone place counts until all before it have gone */
			void *packet = fragment_overdue(fragments, now_ms);
			if (!packet) {
				assert_false(overdue);
				break;
			}
			assert_ptr_equal(packet, oracle_take(o, 0));
		}
		assert_int_equal(fragments->packets, o->queued);
		assert_int_equal(fragments->waiting_bytes, 1400 * o->queued);
	}
	while (o->queued)
		assert_ptr_equal(fragment_drain(fragments), oracle_take(o, 0));
	free(o);
}

/* Later fragments only, each of another datagram, and nobody empties: bounded, none is lost. */
static void test_flood_waiting(void **state)
{
	unsigned waits = 0, refused = 0, back = 0;
	struct fragment_way way;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		enum fragment_fate fate =
			fragment_later(fragments, spread(i), &packets[i % 1000], 60, 0, &way);
		waits += fate == FRAGMENT_WAITS;
		refused += fate == FRAGMENT_REFUSED;
	}
	assert_int_equal(waits, FRAGMENT_WAITING_MAX + FRAGMENT_WAITING_SLACK);
	assert_int_equal(waits + refused, 100000);
	while (fragment_overdue(fragments, 0))
		back++;
	assert_int_equal(back, FRAGMENT_WAITING_SLACK);
	while (fragment_drain(fragments))
		back++;
	assert_int_equal(back, waits);
}

/*
 * Beside a flood of first and later fragments of other datagrams, one datagram a hundred packets
 * has its parts, in either order, within 20 packets of each other: all of them find their way.
 */
static void test_flood_beside(void **state)
{
	unsigned seed = 20261123, found = 0, datagrams = 2000;

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < datagrams; i++) {
		bool late_first = rand_r(&seed) % 2;
		const struct fragment_way mine = {.member = 7}, other = {.member = 8};
		struct fragment_way way = {.member = 0};
		uint64_t datagram = spread(1000000 + i);
		for (unsigned k = 0; k < 100; k++) {
			uint64_t random = (uint64_t)rand_r(&seed) << 32 | rand_r(&seed);
			if (k == 40 && !late_first)
				fragment_first(fragments, datagram, &mine, i / 10);
			if (k == 40 && late_first)
				fragment_later(fragments, datagram, &packets[1], 1400, i / 10,
					       &way);
			if (k == 60 && !late_first)
				found += fragment_later(fragments, datagram, &packets[1], 1400,
							i / 10, &way) == FRAGMENT_KNOWN &&
					 way.member == 7;
			if (k == 60 && late_first)
				found += fragment_release(fragments, datagram) == &packets[1];
			if (k % 2)
				fragment_first(fragments, random, &other, i / 10);
			else
				fragment_later(fragments, random, &packets[0], 1400, i / 10, &way);
			while (fragment_overdue(fragments, i / 10))
				;
		}
	}
	assert_int_equal(found, datagrams);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, new_fragments, free_fragments)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_datagram),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_corrupted),
		cmocka_unit_test(test_fields),
		WITH(test_order),
		WITH(test_bytes),
		WITH(test_wrap),
		WITH(test_oracle),
		WITH(test_flood_waiting),
		WITH(test_flood_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
