/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pin_hash.h"
#include "form.h"
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed;
static struct pin_secret secret;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct flow_key key_of(uint32_t address, uint16_t port)
{
	struct flow_key key = {.destination = {192, 0, 2, 80},
			       .destination_port = htons(80),
			       .protocol = IPPROTO_TCP,
			       .family = 4};
	uint32_t source = htonl(address);

	memcpy(key.source, &source, sizeof source);
	key.source_port = htons(port);
	return key;
}

static uint64_t hash_of(uint32_t address, uint16_t port)
{
	struct flow_key key = key_of(address, port);

	return pin_hash(&secret, &key, SL_AFFINITY_FLOW, 0);
}

static struct flow_key ipv6_of(const struct flow_key *ipv4)
{
	struct flow_key key = *ipv4;

	key.family = 6;
	for (unsigned i = 4; i < 16; i++)
		key.source[i] = (uint8_t)(key.source[i % 4] * 37 + i);
	return key;
}

static uint64_t hash_flow(const struct flow_key *key)
{
	return pin_hash(&secret, key, SL_AFFINITY_FLOW, 0);
}

static uint64_t hash_client(const struct flow_key *key)
{
	return pin_hash(&secret, key, SL_AFFINITY_CLIENT, 3);
}

static uint64_t hash_portable(const struct flow_key *key)
{
	uint8_t block[32] = {0};

	memcpy(block, key->source, 16);
	memcpy(block + 24, &key->source_port, 2);
	return pin_hash_siphash(&secret, block);
}

static const struct {
	const char *what;
	uint64_t (*hash)(const struct flow_key *key);
	uint8_t family;
	unsigned bytes; /* of the source address that count */
	bool port;
} form[] = {{"flow, IPv4", hash_flow, 4, 4, true},
	    {"client, IPv4", hash_client, 4, 4, false},
	    {"flow, IPv6", hash_flow, 6, 16, true},
	    {"client, IPv6", hash_client, 6, 16, false},
	    {"portable", hash_portable, 6, 16, true}};
#define FORMS (sizeof form / sizeof form[0])

static struct flow_key key_in(size_t f, uint32_t address, uint16_t port)
{
	struct flow_key key = key_of(address, port);

	return form[f].family == 6 ? ipv6_of(&key) : key;
}

/* Each input bit flips each output bit half of the time, within 6.5 standard deviations. */
static void avalanche(size_t f, unsigned in, uint64_t *random)
{
	enum { TRIALS = 2000 };
	unsigned flips[64] = {0};

	for (unsigned i = 0; i < TRIALS; i++) {
		struct flow_key key = key_in(f, next_random(random), next_random(random));
		uint64_t before = form[f].hash(&key), after;

		((uint8_t *)&key)[in / 8] ^= 1 << in % 8;
		after = form[f].hash(&key);
		for (unsigned out = 0; out < 64; out++)
			flips[out] += (before ^ after) >> out & 1;
	}
	for (unsigned out = 0; out < 64; out++)
		assert_true(fabs(flips[out] - TRIALS / 2.0) < 6.5 * sqrt(TRIALS / 4.0));
}

static void test_avalanche(void **state)
{
	const unsigned port = offsetof(struct flow_key, source_port) * 8;
	uint64_t random = seed;

	(void)state;
	print_message("  seed %llu, form %s\n", (unsigned long long)seed, pin_hash_form());
	for (size_t f = 0; f < FORMS; f++) {
		for (unsigned in = 0; in < form[f].bytes * 8; in++)
			avalanche(f, in, &random);
		for (unsigned in = port; form[f].port && in < port + 16; in++)
			avalanche(f, in, &random);
	}
}

/* The service is hashed too: each bit of its slot counts, as does the family. */
static void test_service(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct flow_key key = key_of(next_random(&random), next_random(&random));
		struct flow_key same = key, six = key;
		uint64_t hash = pin_hash(&secret, &key, SL_AFFINITY_FLOW, 0);

		for (unsigned bit = 0; bit < 16; bit++)
			assert_int_not_equal(hash,
					     pin_hash(&secret, &key, SL_AFFINITY_FLOW, 1 << bit));
		same.destination[3] ^= 1; /* the service says it all */
		assert_int_equal(hash, pin_hash(&secret, &same, SL_AFFINITY_FLOW, 0));
		six.family = 6;
		assert_int_not_equal(hash, pin_hash(&secret, &six, SL_AFFINITY_FLOW, 0));
		assert_int_not_equal(hash, pin_hash(&secret, &key, SL_AFFINITY_CLIENT, 0));
	}
}

/* What the worker hashes straight from a packet is what a parsed key gives. */
static void test_from_packet(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		enum sl_affinity affinity = i % 2 ? SL_AFFINITY_CLIENT : SL_AFFINITY_FLOW;
		uint16_t service = next_random(&random);
		struct pin_mask four = pin_mask(4, affinity, service);
		struct pin_mask six = pin_mask(6, affinity, service);
		struct flow_key key = {.family = 4};
		uint8_t *ip = malloc(48); /* an IPv6 header and that of UDP, no more */

		for (unsigned n = 0; n < 48; n++)
			ip[n] = next_random(&random);
		memcpy(key.source, ip + 12, 4);
		memcpy(&key.source_port, ip + 20, 4);
		assert_int_equal(pin_hash_ipv4(&secret, &four, ip),
				 pin_hash(&secret, &key, affinity, service));
		key.family = 6;
		memcpy(key.source, ip + 8, 16);
		memcpy(&key.source_port, ip + 40, 4);
		assert_int_equal(pin_hash_ipv6(&secret, &six, ip),
				 pin_hash(&secret, &key, affinity, service));
		free(ip);
	}
}

/* Neighbouring inputs land evenly: chi-square over 4096 cells, for any 12 bits in a row. */
static double chi_square(size_t f, bool by_port, unsigned shift, unsigned keys)
{
	static unsigned cell[4096];
	double expected = keys / 4096.0, sum = 0;

	memset(cell, 0, sizeof cell);
	for (unsigned i = 0; i < keys; i++) {
		struct flow_key key = by_port ? key_in(f, 0xcb007105 + (i >> 16), i)
					      : key_in(f, 0x0a000000 + i, 40000);

		cell[form[f].hash(&key) >> shift & 4095]++;
	}
	for (unsigned i = 0; i < 4096; i++)
		sum += (cell[i] - expected) * (cell[i] - expected) / expected;
	return sum;
}

static void test_uniform(void **state)
{
	static const unsigned shift[] = {0, 6, 20, 32, 40, 52};

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (size_t f = 0; f < FORMS; f++)
		for (unsigned by_port = 0; by_port < 2; by_port++)
			for (unsigned s = 0; s < 6; s++) {
				double sum;

				if (by_port && !form[f].port)
					continue;
				sum = chi_square(f, by_port, shift[s], 65536);
				/* 4095 degrees of freedom, 6 standard deviations */
				assert_true(fabs(sum - 4095) < 6 * sqrt(2 * 4095));
			}
}

static void test_affinity(void **state)
{
	struct flow_key a = key_of(0xcb007105, 40000), b = key_of(0xcb007105, 40001),
			c = key_of(0xcb007106, 40000);

	(void)state;
	assert_int_equal(pin_hash(&secret, &a, SL_AFFINITY_FLOW, 1),
			 pin_hash(&secret, &a, SL_AFFINITY_NONE, 1));
	assert_int_not_equal(pin_hash(&secret, &a, SL_AFFINITY_FLOW, 1),
			     pin_hash(&secret, &b, SL_AFFINITY_FLOW, 1));
	assert_int_equal(pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 1),
			 pin_hash(&secret, &b, SL_AFFINITY_CLIENT, 1));
	assert_int_not_equal(pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 1),
			     pin_hash(&secret, &c, SL_AFFINITY_CLIENT, 1));
	assert_int_not_equal(pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 1),
			     pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 2));
	b = a;
	b.family = 6;
	assert_int_not_equal(pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 1),
			     pin_hash(&secret, &b, SL_AFFINITY_CLIENT, 1));
	b = key_of(0xcb007105, 40001); /* the rest of the key does not count */
	b.destination[3] = 81;
	b.destination_port = htons(81);
	b.protocol = IPPROTO_UDP;
	assert_int_equal(pin_hash(&secret, &a, SL_AFFINITY_CLIENT, 1),
			 pin_hash(&secret, &b, SL_AFFINITY_CLIENT, 1));
}

/* Each byte of the secret matters, to nearly every flow. (SipHash takes 16 of the 64.) */
static void test_secret(void **state)
{
#ifdef PIN_HASH_AES
	const unsigned used = sizeof secret.key;
#else
	const unsigned used = 16;
#endif

	(void)state;
	for (unsigned i = 0; i < used; i++) {
		struct pin_secret other = secret;
		unsigned same = 0;

		other.key[i] ^= 1;
		for (unsigned flow = 0; flow < 1000; flow++) {
			struct flow_key key = key_of(flow, 40000);

			same += hash_of(flow, 40000) == pin_hash(&other, &key, SL_AFFINITY_FLOW, 0);
		}
		assert_true(same < 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_avalanche), cmocka_unit_test(test_uniform),
		cmocka_unit_test(test_service),	  cmocka_unit_test(test_from_packet),
		cmocka_unit_test(test_affinity),  cmocka_unit_test(test_secret),
	};
	uint64_t random;

	form_or_skip();
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	random = seed;
	for (unsigned i = 0; i < sizeof secret.key; i++)
		secret.key[i] = next_random(&random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
