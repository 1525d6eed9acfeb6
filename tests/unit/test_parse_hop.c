/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/parse.h"
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
		cmocka_unit_test(test_forward_hop_ipv4),
		cmocka_unit_test(test_forward_hop_every_checksum),
		cmocka_unit_test(test_forward_hop_ipv6),
		cmocka_unit_test(test_set_ecn),
	};

	form_or_skip();
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
