/* SPDX-License-Identifier: BSD-3-Clause */
/* When reports are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/telemetry/pace.h"

#define MS 1000000ull

static void a_report_each_interval(void **state)
{
	struct pace pace = {};
	unsigned reports = 0;

	(void)state;
	for (uint64_t now = 1000 * MS; now < 2000 * MS; now += MS)
		reports += pace_due(&pace, now, 100 * MS, false);
	assert_int_equal(reports, 10);
	assert_true(pace_due(&pace, 5000 * MS, 100 * MS, false)); /* held up: once */
	assert_false(pace_due(&pace, 5001 * MS, 100 * MS, false));
}

static void jumps_are_bounded(void **state)
{
	struct pace pace = {};
	unsigned reports = 0;

	(void)state;
	for (uint64_t now = 1000 * MS; now < 2000 * MS; now += MS)
		reports += pace_due(&pace, now, 100 * MS, true);
	assert_in_range(reports, 45, 60);
}

static void what_is_a_jump(void **state)
{
	(void)state;
	assert_false(pace_jumped(7, 0, 4)); /* servers can work it off */
	assert_true(pace_jumped(8, 0, 4));
	assert_false(pace_jumped(124, 100, 4));
	assert_true(pace_jumped(126, 100, 4));
	assert_true(pace_jumped(70, 100, 4));
	assert_false(pace_jumped(100, 100, 4));
	assert_false(pace_jumped(0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_each_interval),
		cmocka_unit_test(jumps_are_bounded),
		cmocka_unit_test(what_is_a_jump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
