/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/telemetry/replay_window.h"

static bool give(struct replay_window *window, uint64_t sequence, uint64_t measured_us)
{
	bool is_new = replay_window_is_new(window, sequence, measured_us);

	if (is_new)
		replay_window_take(window, sequence, measured_us);
	return is_new;
}

static void takes_each_sequence_once(void **state)
{
	const uint64_t start = 1ull << 50;
	struct replay_window window = {};

	(void)state;
	/* every second one, then the others late and out of order, then all again */
	for (uint64_t i = 0; i < 60; i += 2)
		assert_true(give(&window, start + i, 100));
	for (uint64_t i = 59; i < 60; i -= 2)
		assert_true(give(&window, start + i, 100));
	for (uint64_t i = 0; i < 60; i++)
		assert_false(give(&window, start + i, 100));

	/* the publisher restarts: far ahead; what was on the way still counts, once */
	assert_true(give(&window, start + 100000000, 200));
	assert_true(give(&window, start + 70, 100));
	assert_false(give(&window, start + 70, 100));

	/* older than the 64 highest */
	for (uint64_t i = 1; i <= 64; i++)
		assert_true(give(&window, start + 100000000 + i, 200));
	assert_false(give(&window, start + 80, 150));
	assert_false(give(&window, start + 100000000, 200));
	assert_true(give(&window, UINT64_MAX, 300));
	assert_false(give(&window, UINT64_MAX, 300));
}

static void follows_a_publisher_that_counts_anew(void **state)
{
	struct replay_window window = {};

	(void)state;
	for (uint64_t i = 0; i < 64; i++)
		assert_true(give(&window, 1000 + i, 500));
	assert_false(give(&window, 5, 400)); /* below, and not newer: an old one */
	assert_false(give(&window, 5, 500));
	assert_true(give(&window, 5, 501));
	assert_true(give(&window, 6, 501)); /* the other part of the same */
	assert_false(give(&window, 6, 501));
	/* What it took before the publisher was restarted is still refused, though its sequences
	 * are above all that are known now. */
	for (uint64_t i = 0; i < 64; i++)
		assert_false(give(&window, 1000 + i, 500));
	assert_false(give(&window, 2000, 400)); /* never seen, but of then */
	assert_true(give(&window, 7, 502));
}

static void has_a_floor(void **state)
{
	struct replay_window window = {};

	(void)state;
	assert_true(give(&window, 10, 100));
	replay_window_restart(&window, 200);
	assert_int_equal(window.newest_us, 200);
	assert_false(give(&window, 11, 200));
	assert_true(give(&window, 11, 201));
	assert_int_equal(window.newest_us, 201);
}

struct taken {
	uint64_t sequence, measured_us;
};

/* The rule in words, over all that was ever taken. */
static bool expected(const struct taken *taken, unsigned count, unsigned since, uint64_t floor_us,
		     uint64_t sequence, uint64_t measured_us)
{
	unsigned above = 0;
	bool seen = false, newer = true;

	if (floor_us && measured_us <= floor_us)
		return false;
	for (unsigned i = since; i < count; i++) {
		seen |= taken[i].sequence == sequence;
		above += taken[i].sequence > sequence;
	}
	for (unsigned i = 0; i < count; i++)
		newer &= measured_us > taken[i].measured_us;
	return above < REPLAY_WINDOW_SEQUENCES ? !seen : newer;
}

static void agrees_with_the_oracle(void **state)
{
	enum { ROUNDS = 20000 };
	static struct taken taken[ROUNDS];
	unsigned count = 0, since = 0, restarts = 0;
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	struct replay_window window = {};
	uint64_t floor_us = 0, newest_us = 0;

	(void)state;
	srandom(seed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t sequence = round / 4 % 2000 + (uint64_t)random() % 150;
		uint64_t measured_us = round + (uint64_t)random() % 40;
		bool is_new = expected(taken, count, since, floor_us, sequence, measured_us);
		unsigned above = 0;

		if (give(&window, sequence, measured_us) != is_new)
			fail_msg("seed %u round %u", seed, round);
		if (!is_new)
			continue;
		for (unsigned i = since; i < count; i++)
			above += taken[i].sequence > sequence;
		if (above >= REPLAY_WINDOW_SEQUENCES) { /* it counts anew */
			floor_us = newest_us;
			since = count;
			restarts++;
		}
		taken[count++] = (struct taken){sequence, measured_us};
		newest_us = measured_us > newest_us ? measured_us : newest_us;
	}
	print_message("seed %u: %u taken, %u restarts\n", seed, count, restarts);
	assert_in_range(count, 100, ROUNDS);
	assert_in_range(restarts, 1, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_each_sequence_once),
		cmocka_unit_test(follows_a_publisher_that_counts_anew),
		cmocka_unit_test(has_a_floor),
		cmocka_unit_test(agrees_with_the_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
