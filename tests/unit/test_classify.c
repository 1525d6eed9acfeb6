/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/classify.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MANY 4096 /* SL_SERVICES_MAX: slots 0..4095 */

static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct classify_entry entry_v4(uint32_t address, uint16_t port, uint8_t protocol,
				      uint16_t service)
{
	struct classify_entry entry = {
		.port = htons(port), .protocol = protocol, .family = 4, .service = service};
	uint32_t network = htonl(address);

	memcpy(entry.address, &network, sizeof network);
	return entry;
}

static struct flow_key key_of(const struct classify_entry *entry)
{
	struct flow_key key = {.source = {198, 51, 100, 7}, .source_port = htons(40000)};

	memcpy(key.destination, entry->address, sizeof key.destination);
	key.destination_port = entry->port;
	key.protocol = entry->protocol;
	key.family = entry->family;
	return key;
}

static uint16_t lookup(const struct classify *table, const struct classify_entry *entry)
{
	struct flow_key key = key_of(entry);

	return classify_lookup(table, &key);
}

/* 192.0.2.80 tcp 80 is service 7; one field at a time is not. */
static void test_one_field(void **state)
{
	const struct classify_entry entry = entry_v4(0xc0000250, 80, IPPROTO_TCP, 7);
	const struct classify_entry nothing = {.port = 0};
	struct classify *table = classify_build(&entry, 1);
	const struct {
		const char *what;
		struct classify_entry key;
		uint16_t service;
	} row[] = {
		{"itself", entry, 7},
		{"address", entry_v4(0xc0000251, 80, IPPROTO_TCP, 0), CLASSIFY_NONE},
		{"port", entry_v4(0xc0000250, 81, IPPROTO_TCP, 0), CLASSIFY_NONE},
		{"port, swapped bytes", entry_v4(0xc0000250, 0x5000, IPPROTO_TCP, 0),
		 CLASSIFY_NONE},
		{"protocol", entry_v4(0xc0000250, 80, IPPROTO_UDP, 0), CLASSIFY_NONE},
		{"nothing", nothing, CLASSIFY_NONE},
	};

	(void)state;
	assert_non_null(table);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		print_message("  %s\n", row[i].what);
		assert_int_equal(lookup(table, &row[i].key), row[i].service);
	}
	free(table);
}

static void test_every_bit(void **state)
{
	const struct classify_entry entry = entry_v4(0xc0000250, 80, IPPROTO_TCP, 7);
	struct classify *table = classify_build(&entry, 1);
	struct flow_key key = key_of(&entry);
	uint8_t *bytes = (uint8_t *)&key;

	(void)state;
	for (unsigned bit = 0; bit < 8 * sizeof key; bit++) {
		unsigned at = bit / 8;
		bool counts = (at >= 16 && at < 32) || (at >= 34 && at < 38);

		bytes[at] ^= 1 << bit % 8;
		assert_int_equal(classify_lookup(table, &key), counts ? CLASSIFY_NONE : 7);
		bytes[at] ^= 1 << bit % 8;
	}
	free(table);
}

/* An IPv6 address whose first bytes are an IPv4 address of ours, and the rest zero. */
static void test_families(void **state)
{
	struct classify_entry entry[2];
	struct classify *table;

	(void)state;
	entry[0] = entry_v4(0xc0000250, 80, IPPROTO_TCP, 1);
	entry[1] = entry[0];
	entry[1].family = 6;
	entry[1].service = 2;
	table = classify_build(entry, 2);
	assert_int_equal(lookup(table, &entry[0]), 1);
	assert_int_equal(lookup(table, &entry[1]), 2);
	free(table);
}

static void test_empty(void **state)
{
	struct classify *table = classify_build(NULL, 0);
	struct classify_entry zero = {.port = 0};

	(void)state;
	assert_non_null(table);
	assert_int_equal(lookup(table, &zero), CLASSIFY_NONE);
	zero.address[0] = 1;
	assert_int_equal(lookup(table, &zero), CLASSIFY_NONE);
	free(table);
}

static void test_equal_keys(void **state)
{
	struct classify_entry entry[3];

	(void)state;
	entry[0] = entry_v4(0xc0000250, 80, IPPROTO_TCP, 1);
	entry[1] = entry_v4(0xc0000250, 443, IPPROTO_TCP, 2);
	entry[2] = entry_v4(0xc0000250, 80, IPPROTO_TCP, 3);
	assert_null(classify_build(entry, 3));
	entry[2] = entry[0]; /* the same service twice is a mistake as well */
	assert_null(classify_build(entry, 3));
}

static uint16_t naive_lookup(const struct classify_entry *entry, unsigned entries,
			     const struct classify_entry *key)
{
	for (unsigned i = 0; i < entries; i++)
		if (memcmp(entry[i].address, key->address, 16) == 0 && entry[i].port == key->port &&
		    entry[i].protocol == key->protocol && entry[i].family == key->family)
			return entry[i].service;
	return CLASSIFY_NONE;
}

static struct classify_entry random_entry(uint64_t *random, uint16_t service)
{
	struct classify_entry entry;

	/* From small sets, so that keys share most fields and many lookups hit. */
	entry = entry_v4(0xc0000200 + next_random(random) % 64, 80 + next_random(random) % 16,
			 next_random(random) % 2 ? IPPROTO_TCP : IPPROTO_UDP, service);
	if (next_random(random) % 2) {
		memset(entry.address, 0, 16);
		entry.address[0] = 0x20;
		entry.address[15] = next_random(random) % 64;
		entry.family = 6;
	}
	return entry;
}

static void test_oracle(void **state)
{
	static struct classify_entry entry[MANY];
	uint64_t random = seed;
	unsigned hits = 0;

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (unsigned entries = 1; entries <= 1024; entries *= 2) {
		struct classify *table;

		for (unsigned i = 0; i < entries; i++)
			do
				entry[i] = random_entry(&random, i);
			while (naive_lookup(entry, i, &entry[i]) != CLASSIFY_NONE);
		table = classify_build(entry, entries);
		assert_non_null(table);
		for (unsigned i = 0; i < 5000; i++) {
			struct classify_entry key = random_entry(&random, 0);
			uint16_t expected = naive_lookup(entry, entries, &key);

			assert_int_equal(lookup(table, &key), expected);
			hits += expected != CLASSIFY_NONE;
		}
		free(table);
	}
	assert_true(hits > 1000);
}

/* One address with many ports, and one port with many addresses: no long chains. */
static void test_many(void **state)
{
	static struct classify_entry entry[MANY];
	struct classify *table;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		entry[i] = i % 2 ? entry_v4(0xc0000250, 1 + i, IPPROTO_TCP, i)
				 : entry_v4(0xcb007100 + i, 80, IPPROTO_UDP, i);
	table = classify_build(entry, MANY);
	assert_non_null(table);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(lookup(table, &entry[i]), i);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_field),  cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_families),   cmocka_unit_test(test_empty),
		cmocka_unit_test(test_equal_keys), cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_many),
	};

	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
