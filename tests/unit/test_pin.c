/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pin.h"
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define IDLE 100

static uint64_t seed;
static struct pin_secret secret;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct pin_table new_table(size_t buckets)
{
	struct pin_table table = {.mask = buckets - 1};

	table.bucket = aligned_alloc(64, buckets * sizeof(struct pin_bucket));
	assert_non_null(table.bucket);
	memset(table.bucket, 0, buckets * sizeof(struct pin_bucket));
	return table;
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

/* All in bucket 0, with distinct tags. */
static uint64_t in_one_bucket(unsigned n)
{
	return (uint64_t)(n + 1) << 32;
}

static void test_buckets(void **state)
{
	static const struct {
		uint32_t flows;
		size_t buckets;
	} row[] = {{0, 1},
		   {1, 1},
		   {4, 1},
		   {5, 2},
		   {1000000, 1 << 18},
		   {1 << 20, 1 << 18},
		   {1048577, 1 << 19},
		   {UINT32_MAX, 1 << 30}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_int_equal(pin_buckets(row[i].flows), row[i].buckets);
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
	return pin_hash_siphash(&secret, key);
}

static const struct {
	const char *what;
	uint64_t (*hash)(const struct flow_key *key);
	unsigned bytes; /* of the key that count */
} form[] = {{"flow", hash_flow, sizeof(struct flow_key)},
	    {"client", hash_client, 16},
	    {"portable", hash_portable, sizeof(struct flow_key)}};
#define FORMS (sizeof form / sizeof form[0])

/* Each input bit flips each output bit half of the time, within 6.5 standard deviations. */
static void avalanche(uint64_t (*hash)(const struct flow_key *), unsigned in, uint64_t *random)
{
	enum { TRIALS = 2000 };
	unsigned flips[64] = {0};

	for (unsigned i = 0; i < TRIALS; i++) {
		struct flow_key key = key_of(next_random(random), next_random(random));
		uint64_t before = hash(&key), after;

		((uint8_t *)&key)[in / 8] ^= 1 << in % 8;
		after = hash(&key);
		for (unsigned out = 0; out < 64; out++)
			flips[out] += (before ^ after) >> out & 1;
	}
	for (unsigned out = 0; out < 64; out++)
		assert_true(fabs(flips[out] - TRIALS / 2.0) < 6.5 * sqrt(TRIALS / 4.0));
}

static void test_avalanche(void **state)
{
	uint64_t random = seed;

	(void)state;
	print_message("  seed %llu, form %s\n", (unsigned long long)seed, pin_hash_form());
	for (size_t f = 0; f < FORMS; f++)
		for (unsigned in = 0; in < form[f].bytes * 8; in++)
			avalanche(form[f].hash, in, &random);
}

/* Neighbouring inputs land evenly: chi-square over 4096 cells, for any 12 bits in a row. */
static double chi_square(uint64_t (*hash)(const struct flow_key *), bool by_port, unsigned shift,
			 unsigned keys)
{
	static unsigned cell[4096];
	double expected = keys / 4096.0, sum = 0;

	memset(cell, 0, sizeof cell);
	for (unsigned i = 0; i < keys; i++) {
		struct flow_key key =
			by_port ? key_of(0xcb007105 + (i >> 16), i) : key_of(0x0a000000 + i, 40000);

		cell[hash(&key) >> shift & 4095]++;
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

				if (by_port && form[f].hash == hash_client)
					continue;
				sum = chi_square(form[f].hash, by_port, shift[s], 65536);
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
			 pin_hash(&secret, &a, SL_AFFINITY_NONE, 2));
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
	unsigned used = strcmp(pin_hash_form(), "aes") == 0 ? sizeof secret.key : 16;

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

/* States by the packets of a flow: first byte inserts, the others are used on the hit. */
static void test_states(void **state)
{
	static const struct {
		const char *what;
		unsigned packets;
		uint8_t flags[5];
		enum pin_state state;
	} row[] = {
		{"UDP", 2, {0, 0}, PIN_LIVE},
		{"SYN", 1, {SYN}, PIN_HALF_OPEN},
		{"SYN again", 2, {SYN, SYN}, PIN_HALF_OPEN},
		{"SYN, ACK", 2, {SYN, ACK}, PIN_LIVE},
		{"mid-flow", 1, {ACK}, PIN_LIVE},
		{"SYN on a live flow", 2, {ACK, SYN}, PIN_LIVE},
		{"FIN", 3, {SYN, ACK, FIN | ACK}, PIN_CLOSING},
		{"FIN, late ACK", 4, {SYN, ACK, FIN | ACK, ACK}, PIN_CLOSING},
		{"RST", 2, {ACK, RST}, PIN_CLOSING},
		{"RST of a half-open one", 2, {SYN, RST}, PIN_CLOSING},
		{"first packet is FIN", 1, {FIN | ACK}, PIN_CLOSING},
		{"reopened", 4, {ACK, FIN | ACK, SYN, ACK}, PIN_LIVE},
		{"reopened, half", 3, {ACK, FIN | ACK, SYN}, PIN_HALF_OPEN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct pin_table table = new_table(1);
		uint64_t hash = in_one_bucket(0);
		struct pin_hit hit;

		print_message("  %s\n", row[i].what);
		assert_false(pin_insert(&table, hash, 42, row[i].flags[0], 7, IDLE));
		for (unsigned n = 1; n < row[i].packets; n++) {
			hit = pin_lookup(&table, hash, 7 + n, IDLE);
			assert_non_null(hit.entry);
			assert_int_equal(hit.age_s, 1);
			pin_use(&hit, row[i].flags[n], 7 + n);
			assert_int_equal(hit.age_s, 0);
		}
		hit = pin_lookup(&table, hash, 7 + row[i].packets - 1, IDLE);
		assert_int_equal(hit.state, row[i].state);
		assert_int_equal(hit.member, 42);
		assert_int_equal(hit.age_s, 0);
		free(table.bucket);
	}
}

static void test_expiry(void **state)
{
	static const uint32_t idle[] = {1, IDLE, 3600, 16383};
	static const uint32_t start[] = {0, 1, 16383, 16384, 100000, UINT32_MAX - 10};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned s = 0; s < 6; s++) {
			struct pin_table table = new_table(1);
			uint32_t at = start[s];
			struct pin_hit hit;

			pin_insert(&table, in_one_bucket(0), 65534, ACK, at, idle[i]);
			hit = pin_lookup(&table, in_one_bucket(0), at + idle[i], idle[i]);
			assert_non_null(hit.entry);
			assert_int_equal(hit.age_s, idle[i]);
			assert_int_equal(hit.member, 65534);
			hit = pin_lookup(&table, in_one_bucket(0), at + idle[i] + 1, idle[i]);
			if (idle[i] < 16383)
				assert_null(hit.entry);
			else /* modulo 2^14 */
				assert_int_equal(hit.age_s, 0);
			free(table.bucket);
		}
}

/* An empty table has zero tags: a flow whose tag is zero finds nothing there. */
static void test_zero_tag(void **state)
{
	struct pin_table table = new_table(1);

	(void)state;
	assert_null(pin_lookup(&table, 0, 0, 16383).entry);
	assert_int_equal(pin_lookup(&table, 0, 0, 16383).member, PIN_MEMBER_NONE);
	assert_false(pin_insert(&table, 0, 0, SYN, 0, 16383));
	assert_non_null(pin_lookup(&table, 0, 0, 16383).entry);
	assert_int_equal(pin_lookup(&table, 0, 0, 16383).member, 0);
	free(table.bucket);
}

static bool has(const struct pin_table *table, unsigned n, uint32_t now_s)
{
	return pin_lookup(table, in_one_bucket(n), now_s, IDLE).entry != NULL;
}

/* One full bucket; entry n was last used at 1000 + used[n]. At 1100 a new flow comes. */
static void test_eviction_order(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags[PIN_WAYS];
		int used[PIN_WAYS];
		uint8_t new_flags;
		int victim; /* -1: the new flow itself stays out */
		bool given_up;
	} row[] = {
		{"oldest live",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 ACK,
		 3,
		 true},
		{"oldest live, for UDP",
		 {0, 0, 0, 0, 0, 0, 0, 0},
		 {5, 4, 9, 3, 3, 8, 7, 1},
		 0,
		 7,
		 true},
		{"half-open before live, though younger",
		 {ACK, ACK, ACK, SYN, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 100, 3, 8, 7, 6},
		 ACK,
		 3,
		 false},
		{"oldest half-open",
		 {SYN, SYN, ACK, SYN, ACK, ACK, ACK, SYN},
		 {50, 40, 9, 30, 3, 8, 7, 35},
		 SYN,
		 3,
		 false},
		{"closing before half-open",
		 {SYN, ACK, SYN, SYN, FIN, SYN, SYN, SYN},
		 {5, 4, 9, 1, 100, 8, 7, 6},
		 ACK,
		 4,
		 false},
		{"expired before closing",
		 {FIN, ACK, SYN, SYN, FIN, ACK, SYN, SYN},
		 {5, 4, 9, 1, 100, -1, 7, 6},
		 ACK,
		 5,
		 false},
		{"longest expired",
		 {ACK, ACK, ACK, SYN, ACK, ACK, ACK, ACK},
		 {-1, -2, -30, -4, 1, 1, 1, 1},
		 SYN,
		 2,
		 false},
		{"half-open evicts no live one",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 SYN,
		 -1,
		 false},
		{"closing evicts no live one",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 RST,
		 -1,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct pin_table table = new_table(1);

		print_message("  %s\n", row[i].what);
		for (int n = 0; n < PIN_WAYS; n++)
			assert_false(pin_insert(&table, in_one_bucket(n), n, row[i].flags[n],
						1000 + row[i].used[n], IDLE));
		assert_int_equal(
			pin_insert(&table, in_one_bucket(99), 99, row[i].new_flags, 1100, IDLE),
			row[i].given_up);
		assert_int_equal(has(&table, 99, 1100), row[i].victim >= 0);
		for (int n = 0; n < PIN_WAYS; n++)
			assert_int_equal(has(&table, n, 1100),
					 n != row[i].victim && row[i].used[n] >= 0);
		free(table.bucket);
	}
}

static void test_replace_same_flow(void **state)
{
	struct pin_table table = new_table(1);

	(void)state;
	for (unsigned n = 0; n < PIN_WAYS; n++)
		pin_insert(&table, in_one_bucket(n), n, ACK, 1000, IDLE);
	assert_false(pin_insert(&table, in_one_bucket(5), 55, SYN, 1001, IDLE));
	for (unsigned n = 0; n < PIN_WAYS; n++)
		assert_int_equal(pin_lookup(&table, in_one_bucket(n), 1001, IDLE).member,
				 n == 5 ? 55 : n);
	assert_int_equal(pin_lookup(&table, in_one_bucket(5), 1001, IDLE).state, PIN_HALF_OPEN);
	free(table.bucket);
}

/* The naive oracle: explicit keys, absolute times, the rules of pin.h word by word. */
struct naive {
	bool taken;
	unsigned flow; /* the key */
	uint64_t bucket;
	uint16_t member;
	enum pin_state state;
	uint32_t used_s;
};

enum { BUCKETS = 32, FLOWS = 600, SLOTS = BUCKETS * PIN_WAYS, OPERATIONS = 200000 };

static unsigned naive_class(const struct naive *slot, uint32_t now_s)
{
	if (!slot->taken)
		return 0;
	if (now_s - slot->used_s > IDLE)
		return 1;
	return slot->state == PIN_CLOSING ? 2 : slot->state == PIN_HALF_OPEN ? 3 : 4;
}

static struct naive *naive_find(struct naive *slot, unsigned flow)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot[i].taken && slot[i].flow == flow)
			return &slot[i];
	return NULL;
}

/* Of entries equal in class and age the table takes the first; so must this. */
static struct naive *naive_victim(struct naive *slot, uint64_t bucket, uint32_t now_s)
{
	struct naive *victim = NULL;

	for (struct naive *s = &slot[bucket * PIN_WAYS]; s < &slot[(bucket + 1) * PIN_WAYS]; s++) {
		unsigned class = naive_class(s, now_s);

		if (victim == NULL || class < naive_class(victim, now_s) ||
		    (class == naive_class(victim, now_s) && class > 0 &&
		     s->used_s < victim->used_s))
			victim = s;
	}
	return victim;
}

static bool naive_insert(struct naive *slot, unsigned flow, uint64_t bucket, uint16_t member,
			 uint8_t flags, uint32_t now_s)
{
	enum pin_state state = flags & (FIN | RST) ? PIN_CLOSING
			       : flags & SYN	   ? PIN_HALF_OPEN
						   : PIN_LIVE;
	struct naive *place = naive_find(slot, flow);
	bool live = false;

	if (place == NULL) {
		place = naive_victim(slot, bucket, now_s);
		live = naive_class(place, now_s) == 4;
		if (live && state != PIN_LIVE)
			return false;
	}
	*place = (struct naive){true, flow, bucket, member, state, now_s};
	return live;
}

static void naive_use(struct naive *entry, uint8_t flags, uint32_t now_s)
{
	if (flags & (FIN | RST))
		entry->state = PIN_CLOSING;
	else if (entry->state == PIN_CLOSING && flags & SYN)
		entry->state = PIN_HALF_OPEN;
	else if (entry->state == PIN_HALF_OPEN && !(flags & SYN))
		entry->state = PIN_LIVE;
	entry->used_s = now_s;
}

static void compare_all(const struct pin_table *table, struct naive *slot, uint32_t now_s)
{
	for (unsigned flow = 0; flow < FLOWS; flow++) {
		struct pin_hit hit = pin_lookup(table, hash_of(flow, 1), now_s, IDLE);
		struct naive *entry = naive_find(slot, flow);

		if (entry == NULL || now_s - entry->used_s > IDLE) {
			assert_null(hit.entry);
			continue;
		}
		assert_non_null(hit.entry);
		assert_int_equal(hit.member, entry->member);
		assert_int_equal(hit.state, entry->state);
		assert_int_equal(hit.age_s, now_s - entry->used_s);
	}
}

static void test_oracle(void **state)
{
	static const uint8_t flags[] = {0, SYN, SYN, ACK, ACK, ACK, FIN | ACK, RST};
	static struct naive slot[SLOTS];
	struct pin_table table = new_table(BUCKETS);
	uint64_t random = seed;
	uint32_t now_s = 5;
	unsigned evicted = 0, hits = 0;

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		unsigned flow = next_random(&random) % FLOWS;
		uint8_t tcp_flags = flags[next_random(&random) % sizeof flags];
		uint64_t hash = hash_of(flow, 1);
		struct pin_hit hit = pin_lookup(&table, hash, now_s, IDLE);

		if (hit.entry != NULL && next_random(&random) % 8 != 0) {
			pin_use(&hit, tcp_flags, now_s);
			naive_use(naive_find(slot, flow), tcp_flags, now_s);
			hits++;
		} else {
			uint16_t member = next_random(&random) % PIN_MEMBER_NONE;
			bool due = naive_insert(slot, flow, hash & table.mask, member, tcp_flags,
						now_s);

			assert_int_equal(pin_insert(&table, hash, member, tcp_flags, now_s, IDLE),
					 due);
			evicted += due;
		}
		now_s += next_random(&random) % 64 == 0 ? next_random(&random) % 40 : 0;
		if (i % 1000 == 0)
			compare_all(&table, slot, now_s);
	}
	assert_true(now_s > 2 * 16384); /* the stored time wrapped, more than once */
	assert_true(evicted > 100 && hits > 1000);
	free(table.bucket);
}

static unsigned count_live(const struct pin_table *table, unsigned flows)
{
	unsigned live = 0;

	for (unsigned i = 0; i < flows; i++)
		live += pin_lookup(table, hash_of(0x0a000000 + i, 40000), 10, 3600).entry != NULL;
	return live;
}

/* A table at its stated number of live flows, then ten times the table of half-open ones. */
static void test_flood(void **state)
{
	enum { LIVE = 1 << 16 };
	struct pin_table table = new_table(pin_buckets(LIVE));
	unsigned before, after, inserted = 10 * (table.mask + 1) * PIN_WAYS;

	(void)state;
	for (unsigned i = 0; i < LIVE; i++)
		pin_insert(&table, hash_of(0x0a000000 + i, 40000), i % 1000, ACK, 9, 3600);
	before = count_live(&table, LIVE);
	for (unsigned i = 0; i < inserted; i++)
		assert_false(pin_insert(&table, hash_of(0x60000000 + i, 1), 1, SYN, 10, 3600));
	after = count_live(&table, LIVE);
	print_message("  %d live flows, %u pinned; %u left after %u half-open\n", LIVE, before,
		      after, inserted);
	assert_true(before >= LIVE * 0.985); /* Poisson tail of 8 ways at load 1/2: 0.8 % */
	assert_true(after >= before * 0.999);
	free(table.bucket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),	       cmocka_unit_test(test_avalanche),
		cmocka_unit_test(test_uniform),	       cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_secret),	       cmocka_unit_test(test_states),
		cmocka_unit_test(test_expiry),	       cmocka_unit_test(test_zero_tag),
		cmocka_unit_test(test_eviction_order), cmocka_unit_test(test_replace_same_flow),
		cmocka_unit_test(test_oracle),	       cmocka_unit_test(test_flood),
	};
	uint64_t random;

	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	random = seed;
	for (unsigned i = 0; i < sizeof secret.key; i++)
		secret.key[i] = next_random(&random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
