/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/parse.h"
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
	};

	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
