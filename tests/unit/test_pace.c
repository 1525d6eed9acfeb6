/* SPDX-License-Identifier: BSD-3-Clause */
/* When reports are due, and whether the clock that they carry was set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "control/agent/walltime.h"
#include "control/telemetry/pace.h"

#define MS 1000000ull

static void a_report_each_interval(void **state)
{
	struct pace pace = {};
	unsigned reports = 0;

	(void)state;
	for (uint64_t now = 1000 * MS; now < 2000 * MS; now += MS)
		reports += pace_due(&pace, now, 100 * MS, false);
	assert_in_range(reports, 10, 11); /* a little early, so that timers need not be exact */
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
	for (uint32_t reported = 0; reported < 300; reported++)
		for (uint32_t now = 0; now < 300; now++) {
			bool beyond =
				now > pace_above(reported, 10) || now < pace_below(reported, 10);

			if (beyond != pace_jumped(now, reported, 10))
				fail_msg("%u after %u", now, reported);
		}
}

static void a_clock_that_is_set(void **state)
{
	struct walltime walltime = {};
	const int64_t day_us = 86400ll * 1000000;

	(void)state;
	assert_int_equal(walltime_jump_us(&walltime, 20000 * day_us, 5000000), 0);
	/* slewing, 500 ppm, is none */
	assert_int_equal(walltime_jump_us(&walltime, 20000 * day_us + 100050, 5100000), 0);
	assert_int_equal(walltime_jump_us(&walltime, 19999 * day_us + 200050, 5200000), -day_us);
	assert_int_equal(walltime_jump_us(&walltime, 19999 * day_us + 300050, 5300000), 0);
	assert_int_equal(walltime_jump_us(&walltime, 20000 * day_us + 400050, 5400000), day_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_each_interval),
		cmocka_unit_test(jumps_are_bounded),
		cmocka_unit_test(what_is_a_jump),
		cmocka_unit_test(a_clock_that_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
