/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "control/reaction.h"

#define SAMPLES 5000
#define SEED 77

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Against the sorted samples themselves: never below, at most an eighth of an octave above. */
static void test_quantiles(void **state)
{
	static const double quantile[] = {0.01, 0.5, 0.9, 0.99, 1};
	static double us[SAMPLES];
	struct reaction reaction = {};

	(void)state;
	srand48(SEED);
	print_message("seed %d\n", SEED);
	for (unsigned i = 0; i < SAMPLES; i++) {
		us[i] = 1 + exp(12 * drand48());
		reaction_add(&reaction, (uint64_t)llround(us[i] * 1000));
	}
	qsort(us, SAMPLES, sizeof(*us), ascending);
	for (size_t i = 0; i < sizeof(quantile) / sizeof(*quantile); i++) {
		double exact = us[(size_t)ceil(quantile[i] * SAMPLES) - 1];
		double found = reaction_quantile_us(&reaction, quantile[i]);

		assert_true(found >= exact * 0.999 && found <= exact * exp2(0.1251));
	}
}

static void test_within(void **state)
{
	struct reaction reaction = {};

	(void)state;
	assert_true(reaction_quantile_us(&reaction, 0.5) == 0);
	reaction_add(&reaction, 0);
	reaction_add(&reaction, 64000);
	reaction_add(&reaction, 65000);
	reaction_add(&reaction, UINT64_MAX);
	assert_int_equal(reaction_within(&reaction, 5), 1);
	assert_int_equal(reaction_within(&reaction, 6), 2); /* 64 us are within 64 us */
	assert_int_equal(reaction_within(&reaction, 7), 3);
	assert_int_equal(reaction.count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
