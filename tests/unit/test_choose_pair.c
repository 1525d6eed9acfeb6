/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/simulate/choose_pair.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t pair_hash(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Nothing known of queues: shares are the weights', and closer to them than chance. */
static void test_pair_keeps_shares(void **state)
{
	static const uint32_t weight[] = {500000, 300000, 150000, 50000, 0};
	struct choose_set set = {0};
	struct choose_load load = {0};
	unsigned count[5] = {0}, flows = 20000;
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		choose_add(&set, (char[]){(char)('a' + i), 0}, weight[i], (uint16_t)i);
		load.share[i] = (float)weight[i] / 1e6f;
		load.step_s[i] = 1e-3f;
	}
	for (unsigned k = 0; k < flows; k++)
		count[choose_pair(&set, &load, pair_hash(&seed))]++;
	assert_int_equal(count[4], 0);
	for (unsigned i = 0; i < 4; i++) {
		double want = flows * (weight[i] / 1e6),
		       chance = sqrt(want * (1 - weight[i] / 1e6));
		if (fabs(count[i] - want) > chance)
			fail_msg("%u: %u flows, expected %.0f", i, count[i], want);
	}
}

/* A queue is gone round, by those flows that have another draw; what was sent is forgotten. */
static void test_pair_goes_round_queues(void **state)
{
	struct choose_set set = {0};
	struct choose_load load = {.backlog_s = {1, 0, 0, 0}};
	unsigned count[4] = {0};
	uint64_t seed = 6;

	(void)state;
	assert_int_equal(choose_pair(&set, &load, 1), -1);
	choose_add(&set, "a", 1, 0);
	assert_int_equal(choose_pair(&set, &load, 1), 0); /* the only one, however long its queue */
	for (unsigned i = 1; i < 4; i++)
		choose_add(&set, (char[]){(char)('a' + i), 0}, 1, (uint16_t)i);
	for (unsigned k = 0; k < 10000; k++) {
		uint64_t hash = pair_hash(&seed);
		int first = choose(&set, hash), taken = choose_pair(&set, &load, hash);
		count[taken]++;
		assert_true(taken != 0);
		assert_true(first == taken || first == 0);
	}
	assert_true(count[1] > 3000 && count[2] > 3000 && count[3] > 3000);
	assert_true(load.sent_all == 10001);
	choose_forget(&load, 0.5f);
	assert_true(load.sent_all == 5000.5f && load.sent[0] == 0.5f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair_keeps_shares),
		cmocka_unit_test(test_pair_goes_round_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
