/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/choose.h"
#include "form.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* SUANLU_FLOWS=100000000 tests the shares more closely, in a minute. */
#ifdef __OPTIMIZE__
static unsigned flows = 1000000;
#else
static unsigned flows = 250000;
#endif
#if defined(__FMA__)
#define DIGEST 0x7354955ec87a8d7bull
#else
#define DIGEST 0x474df38a12e2177bull
#endif
static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void add_sites(struct choose_set *set, const uint32_t *weight, unsigned count)
{
	memset(set, 0, sizeof *set);
	for (unsigned i = 0; i < count; i++) {
		char name[SL_NAME_MAX];

		snprintf(name, sizeof name, "site%u", i);
		choose_add(set, name, weight[i], 1000 + i);
	}
}

/* Without the candidate at `gone`; the others in their order. */
static void add_sites_but(struct choose_set *set, const uint32_t *weight, unsigned count,
			  unsigned gone)
{
	memset(set, 0, sizeof *set);
	for (unsigned i = 0; i < count; i++) {
		char name[SL_NAME_MAX];

		snprintf(name, sizeof name, "site%u", i);
		if (i != gone)
			choose_add(set, name, weight[i], 1000 + i);
	}
}

static void test_empty(void **state)
{
	struct choose_set set = {0};
	uint64_t random = seed;
	const uint32_t none[3] = {0, 0, 0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(choose(&set, next_random(&random)), -1);
	add_sites(&set, none, 3);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(choose(&set, next_random(&random)), -1);
	assert_true(isinf(choose_score(&set, 1, 2)));
}

static void test_set(void **state)
{
	struct choose_set set = {0};
	uint32_t weight[SL_CANDIDATES_MAX];

	(void)state;
	for (unsigned i = 0; i < SL_CANDIDATES_MAX; i++)
		weight[i] = i;
	add_sites(&set, weight, SL_CANDIDATES_MAX);
	assert_int_equal(set.candidates, SL_CANDIDATES_MAX);
	for (unsigned i = 0; i < SL_CANDIDATES_MAX; i++)
		assert_int_equal(set.member[i], 1000 + i);
	choose_add(&set, "one too many", 1, 1);
	assert_int_equal(set.candidates, SL_CANDIDATES_MAX);
}

/* Weight 0 never wins, wherever it stands and however large the others are. */
static void test_weight_zero(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned count = 1; count <= 40; count++) {
		struct choose_set set;
		uint32_t weight[40];

		for (unsigned i = 0; i < count; i++)
			weight[i] = i % 3 == 1 ? 0 : 1 + next_random(&random) % UINT32_MAX;
		add_sites(&set, weight, count);
		for (unsigned i = 0; i < 2000; i++) {
			int winner = choose(&set, next_random(&random));

			assert_in_range(winner, 0, count - 1);
			assert_int_not_equal(weight[winner], 0);
		}
	}
}

/*
 * Shares of many flows against the weights: each within 6 standard deviations, and all together
 * by chi-square, which at these numbers sees a systematic error well below 1 %.
 */
static void check_shares(const char *what, const uint32_t *weight, unsigned count)
{
	static unsigned won[SL_CANDIDATES_MAX];
	uint64_t random = seed;
	double total = 0, chi = 0, worst = 0;
	struct choose_set set;

	memset(won, 0, sizeof won);
	add_sites(&set, weight, count);
	for (unsigned i = 0; i < flows; i++)
		won[choose(&set, next_random(&random))]++;
	for (unsigned i = 0; i < count; i++)
		total += weight[i];
	for (unsigned i = 0; i < count; i++) {
		double share = weight[i] / total, due = share * flows;
		double sigma = sqrt(due * (1 - share));

		if (count > 1)
			assert_true(fabs(won[i] - due) <= 6 * sigma);
		chi += (won[i] - due) * (won[i] - due) / due;
		worst = fmax(worst, fabs(won[i] / due - 1));
	}
	/* at a million, chance alone is 0.8 % of the smallest share */
	if (flows >= 16000000 && count == 4)
		assert_true(worst < 0.01);
	print_message("  %s: worst share off by %.2f %%, chi-square %.1f of %u\n", what,
		      100 * worst, chi, count - 1);
	assert_true(chi < count - 1 + 6 * sqrt(2.0 * count) + 10);
}

static void test_shares(void **state)
{
	static const uint32_t uneven[] = {2, 13, 111, 10}, rare[] = {1, 20000},
			      large[] = {UINT32_MAX, UINT32_MAX / 2, UINT32_MAX / 4}, one[] = {7};
	uint32_t equal[SL_CANDIDATES_MAX];

	(void)state;
	print_message("  seed %llu, %u flows\n", (unsigned long long)seed, flows);
	for (unsigned i = 0; i < SL_CANDIDATES_MAX; i++)
		equal[i] = 1000;
	check_shares("2/13/111/10", uneven, 4);
#ifdef __OPTIMIZE__
	flows *= 16;
	check_shares("2/13/111/10, 16 million flows", uneven, 4);
	flows /= 16;
#endif
	check_shares("1/20000", rare, 2);
	check_shares("large weights", large, 3);
	check_shares("one", one, 1);
	check_shares("17 equal", equal, 17);
	check_shares("64 equal", equal, 64);
}

/* Each half of the hash is enough to spread flows. */
static void test_half_hashes(void **state)
{
	static const uint32_t equal[5] = {1, 1, 1, 1, 1};
	uint64_t random = seed;
	struct choose_set set;

	(void)state;
	add_sites(&set, equal, 5);
	for (unsigned shift = 0; shift <= 32; shift += 32) {
		unsigned won[5] = {0};

		for (unsigned i = 0; i < 50000; i++) {
			uint64_t half = next_random(&random) >> 32;

			won[choose(&set, 0x12345678ull << (32 - shift) | half << shift)]++;
		}
		for (unsigned i = 0; i < 5; i++)
			assert_true(fabs(won[i] - 10000.0) < 6 * sqrt(50000 * 0.2 * 0.8));
	}
}

/* Shares hold for any names: few flows, many sets. */
static void test_many_names(void **state)
{
	enum { SETS = 300, EACH = 4000 };
	uint64_t random = seed;
	double chi = 0;

	(void)state;
	for (unsigned s = 0; s < SETS; s++) {
		struct choose_set set = {0};
		unsigned won[4] = {0};

		for (unsigned i = 0; i < 4; i++) {
			char name[SL_NAME_MAX];

			snprintf(name, sizeof name, "%c%u", 'a' + i, s);
			choose_add(&set, name, 1 + i, i);
		}
		for (unsigned i = 0; i < EACH; i++)
			won[choose(&set, next_random(&random))]++;
		for (unsigned i = 0; i < 4; i++) {
			double due = EACH * (1 + i) / 10.0;

			chi += (won[i] - due) * (won[i] - due) / due;
		}
	}
	assert_true(fabs(chi - 3 * SETS) < 6 * sqrt(2.0 * 3 * SETS));
}

/* Only its own flows move, and they spread over the others by their weights. */
static void test_removal(void **state)
{
	enum { COUNT = 20, GONE = 6 };
	struct choose_set all, rest;
	uint32_t weight[COUNT];
	uint64_t random = seed;
	unsigned moved[COUNT] = {0}, total = 0;
	double chi = 0, others = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		weight[i] = 10 + i;
		others += i == GONE ? 0 : weight[i];
	}
	add_sites(&all, weight, COUNT);
	add_sites_but(&rest, weight, COUNT, GONE);
	for (unsigned i = 0; i < 400000; i++) {
		uint64_t hash = next_random(&random);
		unsigned before = all.member[choose(&all, hash)];
		unsigned after = rest.member[choose(&rest, hash)];

		if (before != 1000 + GONE) {
			assert_int_equal(before, after);
			continue;
		}
		moved[after - 1000]++;
		total++;
	}
	for (unsigned i = 0; i < COUNT; i++) {
		double due = total * weight[i] / others;

		if (i != GONE)
			chi += (moved[i] - due) * (moved[i] - due) / due;
	}
	print_message("  seed %llu: %u flows moved, chi-square %.1f of %u\n",
		      (unsigned long long)seed, total, chi, COUNT - 2);
	assert_true(chi < COUNT - 2 + 6 * sqrt(2.0 * (COUNT - 2)) + 10);
}

static void test_removal_of_equals(void **state)
{
	uint32_t weight[SL_CANDIDATES_MAX];
	uint64_t random = seed;

	(void)state;
	for (unsigned i = 0; i < SL_CANDIDATES_MAX; i++)
		weight[i] = 5;
	for (unsigned gone = 0; gone < SL_CANDIDATES_MAX; gone += 9) {
		struct choose_set all, rest;

		add_sites(&all, weight, SL_CANDIDATES_MAX);
		add_sites_but(&rest, weight, SL_CANDIDATES_MAX, gone);
		for (unsigned i = 0; i < 10000; i++) {
			uint64_t hash = next_random(&random);
			unsigned before = all.member[choose(&all, hash)];

			if (before != 1000 + gone)
				assert_int_equal(rest.member[choose(&rest, hash)], before);
		}
	}
}

/* A raised weight only draws flows to itself; a lowered one only gives flows away. */
static void test_weight_change(void **state)
{
	uint32_t low[] = {10, 20, 30, 40}, high[] = {10, 20, 60, 40};
	struct choose_set before, after;
	uint64_t random = seed;
	unsigned moved = 0;

	(void)state;
	add_sites(&before, low, 4);
	add_sites(&after, high, 4);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t hash = next_random(&random);
		int from = choose(&before, hash), to = choose(&after, hash);

		if (from != to) {
			assert_int_equal(to, 2);
			moved++;
		}
	}
	/* from 30 of 100 to 60 of 130 */
	assert_true(fabs(moved - 100000 * (60 / 130.0 - 0.3)) < 6 * sqrt(100000 * 0.16 * 0.84));
}

static void test_score_agrees(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned count = 1; count <= SL_CANDIDATES_MAX; count++) {
		struct choose_set set;
		uint32_t weight[SL_CANDIDATES_MAX];

		for (unsigned i = 0; i < count; i++)
			weight[i] = next_random(&random) % 50;
		add_sites(&set, weight, count);
		for (unsigned n = 0; n < 500; n++) {
			uint64_t hash = next_random(&random);
			float lowest = INFINITY;
			int winner = -1;

			for (unsigned i = 0; i < count; i++) {
				float score = choose_score(&set, hash, i);

				assert_true(score > 0);
				if (score < lowest) {
					lowest = score;
					winner = i;
				}
			}
			assert_int_equal(choose(&set, hash), winner);
		}
	}
}

/* Scores of weight 1 are exponential: P(score > x) = 2^-x, from the smallest to the largest. */
static void test_score_distribution(void **state)
{
	static const double bound[] = {1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.999, 1, 1.001, 2, 5, 10};
	enum { BOUNDS = sizeof bound / sizeof bound[0], DRAWS = 2000000 };
	unsigned below[BOUNDS] = {0};
	struct choose_set set = {0};
	uint64_t random = seed;

	(void)state;
	choose_add(&set, "a", 1, 0);
	for (unsigned n = 0; n < DRAWS; n++) {
		float score = choose_score(&set, next_random(&random), 0);

		for (unsigned i = 0; i < BOUNDS; i++)
			below[i] += score < bound[i];
	}
	for (unsigned i = 0; i < BOUNDS; i++) {
		double p = -expm1(-bound[i] * log(2)), due = DRAWS * p;

		assert_true(fabs(below[i] - due) < 5 * sqrt(due * (1 - p)) + 1);
	}
}

/* The rules of choose.h one candidate at a time, in double precision with the library's logarithm.
 */
#define TOLERANCE 3.2e-4
static double naive_score(uint32_t key, uint32_t weight, uint64_t hash)
{
	uint32_t x = (key ^ (uint32_t)hash) * 0x7feb352du;

	x ^= hash >> 32;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return weight == 0 ? INFINITY : -log2((x / 512 * 2 + 1) * 0x1p-24) / weight;
}

static void test_oracle(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned n = 0; n < 40000; n++) {
		unsigned count = 1 + next_random(&random) % SL_CANDIDATES_MAX;
		uint64_t hash = next_random(&random);
		uint32_t weight[SL_CANDIDATES_MAX];
		double lowest = INFINITY;
		struct choose_set set;
		int winner;

		for (unsigned i = 0; i < count; i++)
			weight[i] = next_random(&random) % 1000;
		add_sites(&set, weight, count);
		winner = choose(&set, hash);
		for (unsigned i = 0; i < count; i++) {
			double due = naive_score(set.key[i], weight[i], hash);

			lowest = fmin(lowest, due);
			if (!isinf(due))
				assert_true(fabs(choose_score(&set, hash, i) / due - 1) <
					    TOLERANCE);
		}
		assert_int_equal(winner < 0, isinf(lowest));
		if (winner >= 0)
			assert_true(naive_score(set.key[winner], weight[winner], hash) <=
				    lowest * (1 + 2 * TOLERANCE));
	}
}

/* Draws that no random one is likely to meet. */
static void test_ends(void **state)
{
	static const struct {
		uint32_t draw;
		double expected;
	} row[] = {{0, 24},
		   {511, 24},
		   {512, 24 - 1.5849625007},
		   {1u << 31, 1 - 0x1p-23 / 0.69314718},
		   {(1u << 31) - 1, 1 + 0x1p-23 / 0.69314718},
		   {1u << 30, 2},
		   {UINT32_MAX, 0x1p-24 / 0.69314718}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		float score = choose_minus_log2((choose_bits){} + row[i].draw)[0];

		assert_true(fabs(score / row[i].expected - 1) < TOLERANCE);
	}
}

/* Every value that a draw can have, against the library's logarithm. */
static void test_all_draws(void **state)
{
	double worst = 0;

	(void)state;
	for (uint32_t z = 1; z < 1u << 24; z += 2) {
		double due = -log2(z * 0x1p-24);

		worst = fmax(worst,
			     fabs(choose_minus_log2((choose_bits){} + (z << 8))[0] / due - 1));
	}
	print_message("  relative error at most %.3g\n", worst);
	assert_true(worst < TOLERANCE);
}

/* All forms with fused multiply-add compute the same bits, all without as well: one number each. */
static void test_same_in_all_forms(void **state)
{
	uint64_t random = 42, digest = 0;

	(void)state;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned count = 1 + next_random(&random) % SL_CANDIDATES_MAX;
		uint32_t weight[SL_CANDIDATES_MAX];
		struct choose_set set;

		for (unsigned i = 0; i < count; i++) {
			weight[i] = next_random(&random);
			weight[i] >>= next_random(&random) % 32;
		}
		add_sites(&set, weight, count);
		for (unsigned k = 0; k < 4; k++) {
			uint64_t hash = next_random(&random);
			float score = choose_score(&set, hash, hash % count);
			uint32_t bits;

			memcpy(&bits, &score, sizeof bits);
			digest = digest * 0x9e3779b97f4a7c15u + bits;
			digest = digest * 0x9e3779b97f4a7c15u + choose(&set, hash);
		}
	}
	print_message("  %#llx\n", (unsigned long long)digest);
	assert_int_equal(digest, DIGEST);
}

static void test_keys(void **state)
{
	struct choose_set set = {0};

	(void)state;
	assert_int_equal(choose_key("a"), choose_key("a"));
	assert_int_not_equal(choose_key("a"), choose_key("b"));
	assert_int_not_equal(choose_key("ab"), choose_key("ba"));
	/* Even two sites of one name draw each on its own. */
	choose_add(&set, "a", 1, 0);
	choose_add(&set, "a", 1, 1);
	assert_int_not_equal(set.key[0], set.key[1]);
	assert_int_equal(set.key[0], choose_key("a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_weight_zero),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_half_hashes),
		cmocka_unit_test(test_removal),
		cmocka_unit_test(test_removal_of_equals),
		cmocka_unit_test(test_weight_change),
		cmocka_unit_test(test_score_agrees),
		cmocka_unit_test(test_score_distribution),
		cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_all_draws),
		cmocka_unit_test(test_same_in_all_forms),
		cmocka_unit_test(test_keys),
	};

	form_or_skip();
	if (getenv("SUANLU_FLOWS") != NULL)
		flows = atoi(getenv("SUANLU_FLOWS"));
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
