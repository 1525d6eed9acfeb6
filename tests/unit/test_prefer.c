/* SPDX-License-Identifier: BSD-3-Clause */
/* Weights bent by waits, against d draws of which the shortest wait is taken. */
#include "dataplane/prefer.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DRAWS 200000

static unsigned short seed[3];
static struct choose_set set;
static struct prefer prefer;
static struct choice choice;
static struct sl_member_counters counters[SL_CANDIDATES_MAX];
static float wait_s[SL_CANDIDATES_MAX], step_s[SL_CANDIDATES_MAX];
static unsigned draws = 3;

static void add(const char *site, uint32_t weight, float wait, float step)
{
	wait_s[set.candidates] = wait;
	step_s[set.candidates] = step;
	choose_add(&set, site, weight, (uint16_t)set.candidates);
}

static void begin(void)
{
	prefer_init(&prefer, &set, wait_s, step_s, draws);
	prefer_begin(&choice, &prefer, &set, counters);
}

static int set_up(void **state)
{
	(void)state;
	memset(&set, 0, sizeof(set));
	memset(counters, 0, sizeof(counters));
	draws = 3;
	return 0;
}

static double share_of(const struct choose_set *of, unsigned i)
{
	double sum = 0;

	for (unsigned k = 0; k < of->candidates; k++)
		sum += 1 / of->inverse_weight[k];
	return 1 / of->inverse_weight[i] / sum;
}

static double upto[SL_CANDIDATES_MAX]; /* shares of set, added up */

static unsigned draw(void)
{
	double at = erand48(seed);
	unsigned i = 0;

	while (i + 1 < set.candidates && at >= upto[i])
		i++;
	return i;
}

/* The shortest wait of all draws; of equal ones the first drawn, so by weight. */
static unsigned best_of_all(void)
{
	unsigned best = draw();

	for (unsigned i = 1; i < draws; i++) {
		unsigned other = draw();
		best = wait_s[other] < wait_s[best] ? other : best;
	}
	return best;
}

static void compare(void)
{
	unsigned count[SL_CANDIDATES_MAX] = {0};

	for (unsigned i = 0; i < set.candidates; i++)
		upto[i] = share_of(&set, i) + (i ? upto[i - 1] : 0);
	for (unsigned i = 0; i < DRAWS; i++)
		count[best_of_all()]++;
	for (unsigned i = 0; i < set.candidates; i++) {
		double p = share_of(&choice.set, i);
		assert_true(fabs(count[i] - p * DRAWS) < 6 * sqrt(p * DRAWS) + 6);
	}
}

static void test_draws(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		set_up(NULL);
		draws = 1 + round % SL_DRAWS_MAX;
		unsigned sites = 2 + (unsigned)(erand48(seed) * 20); /* more than a group, too */
		for (unsigned i = 0; i < sites; i++) {
			char site[16];
			snprintf(site, sizeof(site), "s%u", i);
			/* some wait alike */
			add(site, 1 + (uint32_t)(erand48(seed) * 1000),
			    1e-3f * (float)(int)(erand48(seed) * 8), 1e-4f);
		}
		begin();
		compare();
	}
}

static void test_equal_waits(void **state)
{
	(void)state;
	add("a", 5, 0.01f, 0.001f);
	add("b", 3, 0.01f, 0.002f);
	add("c", 0, 0, 0);
	begin();
	assert_float_equal(share_of(&choice.set, 0), 5. / 8, 1e-5);
	assert_float_equal(share_of(&choice.set, 1), 3. / 8, 1e-5);
	assert_true(isinf(choice.set.inverse_weight[2]));
}

/* What was sent beyond a site's share makes its wait longer, and what is its share does not. */
static void test_sent(void **state)
{
	(void)state;
	add("a", 1, 0.01f, 0.001f);
	add("b", 1, 0.01f, 0.001f);
	begin();
	counters[0].new_flows += 100;
	counters[1].new_flows += 100;
	prefer_renew(&choice, &prefer, counters);
	assert_float_equal(share_of(&choice.set, 0), 0.5, 1e-5);
	counters[0].new_flows += 10;
	prefer_renew(&choice, &prefer, counters);
	/* a wins only if all three draws are a */
	assert_float_equal(share_of(&choice.set, 0), 1. / 8, 1e-5);
	/* counted from its beginning on */
	begin();
	assert_float_equal(share_of(&choice.set, 0), 0.5, 1e-5);
}

static void test_unknown(void **state)
{
	(void)state;
	add("a", 1, 0.01f, 0.001f);
	add("b", 2, 0, 0); /* of this one nothing is known */
	begin();
	assert_false(prefer.known);
	assert_memory_equal(&choice.set, &set, sizeof(set));
	assert_true(choice.due == UINT64_MAX);
	set_up(NULL);
	begin();
	assert_int_equal(choice.set.candidates, 0);
	add("a", 1, 0.01f, 0.001f); /* nothing to choose */
	begin();
	assert_false(prefer.known);
}

/* Millions of flows later numbers are still what they were. */
static void test_long(void **state)
{
	(void)state;
	add("a", 1, 0, 1e-6f);
	add("b", 1, 0, 1e-6f);
	begin();
	counters[0].new_flows = counters[1].new_flows = 100000000;
	prefer_renew(&choice, &prefer, counters);
	assert_float_equal(share_of(&choice.set, 0), 0.5, 1e-5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_draws, set_up),
		cmocka_unit_test_setup(test_equal_waits, set_up),
		cmocka_unit_test_setup(test_sent, set_up),
		cmocka_unit_test_setup(test_unknown, set_up),
		cmocka_unit_test_setup(test_long, set_up),
	};
	const char *given = getenv("SEED");
	unsigned number = given ? (unsigned)atol(given) : (unsigned)time(NULL);

	printf("SEED=%u\n", number);
	seed[0] = (unsigned short)number;
	seed[1] = (unsigned short)(number >> 16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
