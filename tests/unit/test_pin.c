/* SPDX-License-Identifier: BSD-3-Clause */
#include "pins.h"

/* 16 bytes a flow, and hardly less: no power of two. */
static void test_buckets(void **state)
{
	static const uint32_t flows[] = {8,	  100,	   1000,     4097,     1000000,
					 1 << 20, 1048577, 10000000, 16000001, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
		size_t buckets = pin_buckets(flows[i]), bytes = buckets * sizeof(struct pin_bucket);

		assert_true(buckets >= 2 && buckets % 2 == 0);
		assert_true(bytes <= 16ull * flows[i]);
		assert_true(bytes + 128 > 16ull * flows[i]);
	}
	assert_int_equal(pin_buckets(0), 2);
	assert_int_equal(pin_buckets(1), 2);
}

/* Every bucket is reached, evenly, whatever their number. */
static void test_bucket_of(void **state)
{
	enum { BUCKETS = 1002, DRAWS = 1002 * 100 };
	unsigned count[BUCKETS] = {0};
	struct pin_table table = {.buckets = BUCKETS};
	uint64_t random = seed;

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++)
		count[pin_bucket(&table, next_random(&random)) - table.bucket]++;
	for (unsigned i = 0; i < BUCKETS; i++)
		assert_in_range(count[i], 40, 160);
	assert_ptr_equal(pin_bucket(&table, 0), table.bucket);
	assert_ptr_equal(pin_bucket(&table, UINT64_MAX), table.bucket + BUCKETS - 1);
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
		struct pin_table table = new_table(2);
		uint64_t hash = in_one_bucket(0);
		struct pin_hit hit;

		print_message("  %s\n", row[i].what);
		assert_int_equal(pin_insert(&table, hash, 42, row[i].flags[0], 7, IDLE),
				 PIN_INSERTED);
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
			struct pin_table table = new_table(2);
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
	struct pin_table table = new_table(2);

	(void)state;
	assert_null(pin_lookup(&table, 0, 0, 16383).entry);
	assert_int_equal(pin_lookup(&table, 0, 0, 16383).member, PIN_MEMBER_NONE);
	assert_int_equal(pin_insert(&table, 0, 0, SYN, 0, 16383), PIN_INSERTED);
	assert_non_null(pin_lookup(&table, 0, 0, 16383).entry);
	assert_int_equal(pin_lookup(&table, 0, 0, 16383).member, 0);
	free(table.bucket);
}

static bool has(const struct pin_table *table, unsigned n, uint32_t now_s)
{
	return pin_lookup(table, in_one_bucket(n), now_s, IDLE).entry != NULL;
}

/* One full bucket, beside one full of younger live ones; entry n was last used at 1000 + used[n].
 * At 1100 a new flow comes. */
static void test_eviction_order(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags[PIN_WAYS];
		int used[PIN_WAYS];
		uint8_t new_flags;
		int victim; /* -1: the new flow itself stays out */
		enum pin_inserted result;
	} row[] = {
		{"oldest live",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 ACK,
		 3,
		 PIN_EVICTED},
		{"oldest live, for UDP",
		 {0, 0, 0, 0, 0, 0, 0, 0},
		 {5, 4, 9, 3, 3, 8, 7, 1},
		 0,
		 7,
		 PIN_EVICTED},
		{"half-open before live, though younger",
		 {ACK, ACK, ACK, SYN, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 100, 3, 8, 7, 6},
		 ACK,
		 3,
		 PIN_INSERTED},
		{"oldest half-open",
		 {SYN, SYN, ACK, SYN, ACK, ACK, ACK, SYN},
		 {50, 40, 9, 30, 3, 8, 7, 35},
		 SYN,
		 3,
		 PIN_INSERTED},
		{"closing before half-open",
		 {SYN, ACK, SYN, SYN, FIN, SYN, SYN, SYN},
		 {5, 4, 9, 1, 100, 8, 7, 6},
		 ACK,
		 4,
		 PIN_INSERTED},
		{"expired before closing",
		 {FIN, ACK, SYN, SYN, FIN, ACK, SYN, SYN},
		 {5, 4, 9, 1, 100, -1, 7, 6},
		 ACK,
		 5,
		 PIN_INSERTED},
		{"longest expired",
		 {ACK, ACK, ACK, SYN, ACK, ACK, ACK, ACK},
		 {-1, -2, -30, -4, 1, 1, 1, 1},
		 SYN,
		 2,
		 PIN_INSERTED},
		{"half-open evicts no live one",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 SYN,
		 -1,
		 PIN_REFUSED},
		{"closing evicts no live one",
		 {ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK},
		 {5, 4, 9, 1, 3, 8, 7, 6},
		 RST,
		 -1,
		 PIN_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct pin_table table = new_table(2);

		print_message("  %s\n", row[i].what);
		for (int at = -30; at <= 100; at++)
			for (int n = 0; n < PIN_WAYS; n++)
				if (row[i].used[n] == at)
					assert_int_equal(pin_insert(&table, in_one_bucket(n), n,
								    row[i].flags[n], 1000 + at,
								    IDLE),
							 PIN_INSERTED);
		for (int n = 0; n < PIN_WAYS; n++)
			assert_int_equal(pin_insert(&table, in_other_bucket(n), n, ACK, 1100, IDLE),
					 PIN_INSERTED);
		assert_int_equal(
			pin_insert(&table, in_one_bucket(99), 99, row[i].new_flags, 1100, IDLE),
			row[i].result);
		assert_int_equal(has(&table, 99, 1100), row[i].victim >= 0);
		for (int n = 0; n < PIN_WAYS; n++)
			assert_int_equal(has(&table, n, 1100),
					 n != row[i].victim && row[i].used[n] >= 0);
		for (int n = 0; n < PIN_WAYS; n++)
			assert_non_null(pin_lookup(&table, in_other_bucket(n), 1100, IDLE).entry);
		free(table.bucket);
	}
}

static bool is_near(const struct pin_table *table, uint64_t hash)
{
	return pin_lookup_in(pin_bucket(table, hash), hash, 1000, IDLE).entry != NULL;
}

/* A bucket full of live flows spills into the other one, and forgets that when they are gone. */
static void test_spill(void **state)
{
	struct pin_table table = new_table(2);
	uint64_t ninth = in_one_bucket(PIN_WAYS), class = 9 + PIN_WAYS;

	(void)state;
	for (unsigned n = 0; n < PIN_WAYS; n++)
		assert_int_equal(pin_insert(&table, in_one_bucket(n), n, ACK, 1000, IDLE),
				 PIN_INSERTED);
	for (unsigned n = 0; n < 64; n++)
		assert_false(pin_has_spilled(table.bucket, in_one_bucket(n)));
	assert_int_equal(pin_insert(&table, ninth, 99, ACK, 1000, IDLE), PIN_INSERTED);
	assert_false(is_near(&table, ninth));
	assert_int_equal(pin_lookup(&table, ninth, 1000, IDLE).member, 99);
	for (unsigned n = 0; n < 64; n++) /* only flows of one in eight look there */
		assert_int_equal(pin_has_spilled(table.bucket, in_one_bucket(n)),
				 n % 8 == PIN_WAYS % 8);
	for (unsigned n = 0; n < PIN_WAYS; n++) {
		struct pin_hit hit = pin_lookup(&table, in_one_bucket(n), 1000, IDLE);

		assert_int_equal(hit.member, n);
		pin_use(&hit, FIN | ACK, 1000); /* the mark of the bucket survives all writes */
	}
	assert_true(pin_has_spilled(table.bucket, ninth));
	/* ... and the pin its own renewal, by the same member, in the same place */
	assert_int_equal(pin_insert(&table, ninth, 98, ACK, 1000, IDLE), PIN_INSERTED);
	assert_false(is_near(&table, ninth));
	assert_int_equal(pin_lookup(&table, ninth, 1000, IDLE).member, 98);
	for (unsigned n = 0; n < PIN_WAYS; n++) /* others, of another class, take its place */
		pin_insert(&table, in_other_bucket(8 * n + 2), n, ACK, 5000, IDLE);
	pin_insert(&table, in_one_bucket(class - 1 + 8), 1, ACK, 5000, IDLE);
	assert_false(pin_has_spilled(table.bucket, ninth));
	free(table.bucket);
}

static void test_replace_same_flow(void **state)
{
	struct pin_table table = new_table(2);

	(void)state;
	for (unsigned n = 0; n < PIN_WAYS; n++)
		pin_insert(&table, in_one_bucket(n), n, ACK, 1000, IDLE);
	assert_int_equal(pin_insert(&table, in_one_bucket(5), 55, SYN, 1001, IDLE), PIN_INSERTED);
	for (unsigned n = 0; n < PIN_WAYS; n++)
		assert_int_equal(pin_lookup(&table, in_one_bucket(n), 1001, IDLE).member,
				 n == 5 ? 55 : n);
	assert_int_equal(pin_lookup(&table, in_one_bucket(5), 1001, IDLE).state, PIN_HALF_OPEN);
	free(table.bucket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),	 cmocka_unit_test(test_bucket_of),
		cmocka_unit_test(test_states),	 cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_zero_tag), cmocka_unit_test(test_eviction_order),
		cmocka_unit_test(test_spill),	 cmocka_unit_test(test_replace_same_flow),
	};

	form_or_skip();
	draw_secret();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
