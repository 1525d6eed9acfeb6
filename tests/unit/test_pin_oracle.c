/* SPDX-License-Identifier: BSD-3-Clause */
#include "pins.h"

/* The naive oracle: explicit keys, absolute times, the rules of pin.h word by word. */
struct naive {
	bool taken;
	unsigned flow; /* the key */
	uint64_t bucket;
	uint16_t member;
	enum pin_state state;
	uint32_t used_s;
};

enum { BUCKETS = 30, FLOWS = 600, SLOTS = BUCKETS * PIN_WAYS, OPERATIONS = 200000 };

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
static struct naive *naive_least(struct naive *slot, uint64_t bucket, uint32_t now_s)
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

static struct naive *naive_victim(struct naive *slot, uint64_t bucket, uint32_t now_s)
{
	struct naive *own = naive_least(slot, bucket, now_s);
	struct naive *other = naive_least(slot, bucket ^ 1, now_s);

	if (naive_class(own, now_s) < 4)
		return own;
	if (naive_class(other, now_s) < 4 || other->used_s < own->used_s)
		return other;
	return own;
}

static enum pin_inserted naive_insert(struct naive *slot, unsigned flow, uint64_t bucket,
				      uint16_t member, uint8_t flags, uint32_t now_s)
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
			return PIN_REFUSED;
	}
	*place = (struct naive){true, flow, bucket, member, state, now_s};
	return live ? PIN_EVICTED : PIN_INSERTED;
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
	unsigned evicted = 0, hits = 0, spilled = 0;

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
			uint64_t bucket = pin_bucket(&table, hash) - table.bucket;
			enum pin_inserted due =
				naive_insert(slot, flow, bucket, member, tcp_flags, now_s);

			assert_int_equal(pin_insert(&table, hash, member, tcp_flags, now_s, IDLE),
					 due);
			evicted += due == PIN_EVICTED;
			spilled += pin_has_spilled(pin_bucket(&table, hash), hash);
		}
		now_s += next_random(&random) % 64 == 0 ? next_random(&random) % 40 : 0;
		if (i % 1000 == 0)
			compare_all(&table, slot, now_s);
	}
	assert_true(now_s > 2 * 16384); /* the stored time wrapped, more than once */
	assert_true(evicted > 100 && hits > 1000 && spilled > 100);
	free(table.bucket);
}

static unsigned count_live(const struct pin_table *table, unsigned flows)
{
	unsigned live = 0;

	for (unsigned i = 0; i < flows; i++)
		live += pin_lookup(table, hash_of(0x0a000000 + i, 40000), 10, 3600).entry != NULL;
	return live;
}

/* A table at 80 % of its stated flows, all live, then ten times the table of half-open ones. */
static void test_flood(void **state)
{
	enum { STATED = 100000, LIVE = STATED * 8 / 10 };
	struct pin_table table = new_table(pin_buckets(STATED));
	unsigned before, after, flood = 10 * table.buckets * PIN_WAYS;

	(void)state;
	for (unsigned i = 0; i < LIVE; i++)
		pin_insert(&table, hash_of(0x0a000000 + i, 40000), i % 1000, ACK, 9, 3600);
	before = count_live(&table, LIVE);
	for (unsigned i = 0; i < flood; i++)
		assert_int_not_equal(
			pin_insert(&table, hash_of(0x60000000 + i, 1), 1, SYN, 10, 3600),
			PIN_EVICTED);
	after = count_live(&table, LIVE);
	print_message("  seed %llu: %d live flows, %u pinned; %u left after %u half-open\n",
		      (unsigned long long)seed, LIVE, before, after, flood);
	assert_true(before >= LIVE * 0.999);
	assert_true(after >= LIVE * 0.999);
	free(table.bucket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_flood),
	};

	form_or_skip();
	draw_secret();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
