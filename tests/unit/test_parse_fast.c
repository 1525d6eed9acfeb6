/* SPDX-License-Identifier: BSD-3-Clause */
/* parse() is the oracle: what is taken here it takes too, with the same result. */
#include "dataplane/decap.h"
#include "dataplane/parse_fast.h"
#include "form.h"
#include "frames.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;

/* As the worker does; true: taken. */
static bool fast(struct parse_fast *out, uint8_t *data, uint32_t bytes, bool *tunnel)
{
	unsigned version = parse_fast_version(data, bytes);

	*tunnel = version == 6 && parse_fast_is_tunnel(data);
	if (*tunnel)
		version = parse_fast_tunnel(&data, &bytes);
	if (version == 4)
		return parse_fast_ipv4(out, data, bytes, IPPROTO_TCP) ||
		       parse_fast_ipv4(out, data, bytes, IPPROTO_UDP);
	if (version == 6)
		return parse_fast_ipv6(out, data, bytes, IPPROTO_TCP) ||
		       parse_fast_ipv6(out, data, bytes, IPPROTO_UDP);
	return false;
}

/* Compares both on a copy of exactly that size. */
static bool compare(const uint8_t *frame, size_t bytes)
{
	uint8_t *copy = malloc(bytes == 0 ? 1 : bytes);
	struct packet packet = {.data = copy, .bytes = bytes};
	struct decap_sids all = {0};
	struct parse_fast out;
	bool taken, tunnel;

	memcpy(copy, frame, bytes);
	decap_add(&all, &(struct in6_addr){}, 0);
	taken = fast(&out, copy, bytes, &tunnel);
	if (taken) {
		assert_int_equal(parse(&packet), PARSE_OK);
		if (tunnel)
			assert_int_equal(decap(&all, &packet), PARSE_OK);
		assert_memory_equal(copy, frame, bytes); /* no mark was carried inwards */
		assert_ptr_equal(out.l3, packet.data + packet.l3);
		assert_int_equal(out.l3_bytes, packet.l3_bytes);
		assert_int_equal(out.tcp_flags, packet.tcp_flags);
		assert_int_equal(out.protocol, packet.key.protocol);
		assert_int_equal(packet.l4, packet.l3 + (packet.key.family == 4 ? 20 : 40));
	}
	free(copy);
	return taken;
}

/* What it is for, it takes; all others are refused. */
static void test_valid(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *frame;
		size_t bytes;
		bool taken;
	} row[] = {
		{"IPv4 TCP", FRAME(ipv4_tcp), true},
		{"IPv4 UDP", FRAME(ipv4_udp), true},
		{"IPv6 TCP", FRAME(ipv6_tcp), true},
		{"IPv6 UDP", FRAME(ipv6_udp), true},
		{"padded IPv4 UDP", FRAME(padded_ipv4_udp), true},
		{"UDP with options", FRAME(ipv4_udp_options), true},
		{"IPv4 options", FRAME(ipv4_options_tcp), false},
		{"ICMP", FRAME(ipv4_icmp), false},
		{"IPv6 extension headers", FRAME(ipv6_chain_tcp), false},
		{"a tag", FRAME(vlan_ipv4_udp), false},
		{"two tags", FRAME(qinq_ipv6_udp), false},
		{"a tunnel with SRH", FRAME(srv6_ipv4_tcp), false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		print_message("  %s\n", row[i].what);
		assert_int_equal(compare(row[i].frame, row[i].bytes), row[i].taken);
		for (size_t bytes = 0; bytes < row[i].bytes; bytes++)
			compare(row[i].frame, bytes);
	}
}

static void test_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++)
		for (size_t at = 12; at < valid[i].bytes; at++)
			for (unsigned value = 0; value < 512; value++) {
				uint8_t frame[256];

				memcpy(frame, valid[i].frame, valid[i].bytes);
				frame[at] = value;
				if (value >= 256 && valid[i].family == 4)
					set_ipv4_checksum(frame + valid[i].l3);
				compare(frame, valid[i].bytes);
			}
}

/* IPv6, then the packet of `v`; padded by `more`. */
static size_t put_tunnel(uint8_t *out, const struct valid *v, unsigned more)
{
	size_t inner = v->l3_bytes, at = 14 + 40;

	memcpy(out, ipv6_udp, at);
	memset(out + at + inner, 0, more);
	memcpy(out + at, v->frame + v->l3, inner);
	out[14 + 1] = (v->family == 4 ? out[at + 1] << 4 : out[at + 1]) & 0x30;
	out[14 + 4] = inner >> 8;
	out[14 + 5] = inner & 0xff;
	out[14 + 6] = v->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	return at + inner + more;
}

static void test_tunnel(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (size_t i = 0; i < VALID; i++) {
		uint8_t whole[512], frame[512];
		bool plain = compare(valid[i].frame, valid[i].bytes);
		size_t bytes = put_tunnel(whole, &valid[i], i % 3);

		assert_int_equal(compare(whole, bytes), plain || valid[i].l3 != 14);
		for (size_t n = 0; n < bytes; n++)
			taken += compare(whole, n);
		for (size_t at = 14; at < bytes; at++)
			for (unsigned value = 0; value < 512; value++) {
				memcpy(frame, whole, bytes);
				frame[at] = value;
				if (value >= 256 && valid[i].family == 4)
					set_ipv4_checksum(frame + 54);
				taken += compare(frame, bytes);
			}
	}
	assert_true(taken > 10000);
}

/* Many valid ones with random content, so that any sum and any length is met. */
static void test_random(void **state)
{
	uint64_t random = seed;
	unsigned taken = 0;

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < 300000; i++) {
		const struct valid *v = &valid[next_random(&random) % 2 * 4];
		unsigned changes = next_random(&random) % 4;
		uint8_t frame[256];

		memcpy(frame, v->frame, v->bytes);
		for (unsigned n = 0; n < changes; n++)
			frame[16 + next_random(&random) % (v->bytes - 16)] = next_random(&random);
		if (v->family == 4 && next_random(&random) % 8)
			set_ipv4_checksum(frame + v->l3);
		taken += compare(frame, v->bytes - next_random(&random) % 3);
	}
	assert_true(taken > 30000);
}

/* Each checksum that an IPv4 header can have, and each wrong one. */
static void test_checksum(void **state)
{
	uint8_t ip[20];

	(void)state;
	memcpy(ip, known_checksum, sizeof ip);
	for (unsigned id = 0; id < 65536; id++) {
		ip[4] = id >> 8;
		ip[5] = id & 0xff;
		set_ipv4_checksum(ip);
		assert_true(parse_fast_checksum(ip));
		ip[id % 20] ^= 1 << id % 8;
		assert_int_equal(parse_fast_checksum(ip), naive_sum(ip, 20) == 0xffff);
		ip[id % 20] ^= 1 << id % 8;
	}
	memset(ip, 0xff, sizeof ip); /* all carries at once */
	assert_int_equal(parse_fast_checksum(ip), naive_sum(ip, 20) == 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),	 cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_tunnel),	 cmocka_unit_test(test_random),
		cmocka_unit_test(test_checksum),
	};

	form_or_skip();
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
