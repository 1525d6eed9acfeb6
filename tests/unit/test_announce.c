/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "control/announce_rule.h"

#define STEPS_MAX 12
#define HISTORY 400

struct step {
	double at_s;
	enum announce_need need;
	bool on; /* wanted after it */
};

static const struct {
	const char *what;
	bool on; /* taken over at 100 s */
	struct step step[STEPS_MAX];
} cases[] = {
	{"goes in at once", false, {{100, ANNOUNCE_READY, true}}},
	{"nothing without a dataplane",
	 false,
	 {{100, ANNOUNCE_UNANSWERED, false}, {200, ANNOUNCE_UNANSWERED, false}}},
	{"drained: out at once",
	 false,
	 {{100, ANNOUNCE_READY, true}, {100.05, ANNOUNCE_EXCLUDED, false}}},
	{"silent: the last routes stay, and so does it",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_SILENT, true},
	  {200, ANNOUNCE_SILENT, true},
	  {201, ANNOUNCE_EXCLUDED, false}}},
	{"silent from the start: not announced",
	 false,
	 {{100, ANNOUNCE_SILENT, false}, {200, ANNOUNCE_SILENT, false}}},
	{"a restart of the dataplane",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_UNANSWERED, true},
	  {102.9, ANNOUNCE_UNANSWERED, true},
	  {102.95, ANNOUNCE_READY, true},
	  {103.1, ANNOUNCE_UNANSWERED, true},
	  {105, ANNOUNCE_UNANSWERED, true}}},
	{"a dead dataplane",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_UNANSWERED, true},
	  {103, ANNOUNCE_UNANSWERED, false}}},
	{"the reason of now counts, from the start of the trouble",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_UNANSWERED, true},
	  {104, ANNOUNCE_SILENT, true},
	  {104.1, ANNOUNCE_UNANSWERED, false}}},
	{"drained without a dataplane",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_UNANSWERED, true},
	  {101.1, ANNOUNCE_EXCLUDED, false}}},
	{"no sooner back than after a rest",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {101, ANNOUNCE_EXCLUDED, false},
	  {101.1, ANNOUNCE_READY, false},
	  {101.95, ANNOUNCE_READY, false},
	  {102, ANNOUNCE_READY, true}}},
	{"taken over, and ready",
	 true,
	 {{100, ANNOUNCE_UNANSWERED, true}, {101, ANNOUNCE_READY, true}}},
	{"taken over, and never ready",
	 true,
	 {{100, ANNOUNCE_UNANSWERED, true},
	  {101.9, ANNOUNCE_UNANSWERED, true},
	  {102, ANNOUNCE_UNANSWERED, false}}},
	{"taken over, but drained", true, {{100.05, ANNOUNCE_EXCLUDED, false}}},
	{"a control that stood still",
	 false,
	 {{100, ANNOUNCE_READY, true},
	  {160, ANNOUNCE_SILENT, true},
	  {160.1, ANNOUNCE_READY, true}}},
};

static void test_cases(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct announce_rule rule;

		announce_rule_init(&rule, cases[i].on, 100);
		for (const struct step *step = cases[i].step; step->at_s > 0; step++) {
			bool before = rule.on;
			bool changed = announce_rule_update(&rule, step->need, step->at_s);

			if (rule.on != step->on || changed != (rule.on != before)) {
				print_error("%s: at %g s %s\n", cases[i].what, step->at_s,
					    rule.on ? "announced" : "withdrawn");
				failed++;
			}
		}
	}
	assert_int_equal(failed, 0);
}

/* Everything from the whole history, anew at every step, and without any of the rule's state. */
struct history {
	double at_s[HISTORY];
	enum announce_need need[HISTORY];
	bool on[HISTORY];
	unsigned steps;
};

static bool oracle(const struct history *h, bool taken_over)
{
	static const double patience_s[] = {0, INFINITY, 2.0};
	unsigned last = h->steps - 1, first_bad = last;
	bool on = last ? h->on[last - 1] : taken_over;
	double since_s;

	if (h->need[last] == ANNOUNCE_READY) {
		for (unsigned i = last; i-- > 0;)
			if (!h->on[i] && (i ? h->on[i - 1] : taken_over))
				return on || h->at_s[last] - h->at_s[i] >= 1.0;
		return true;
	}
	while (first_bad > 0 && h->need[first_bad - 1] != ANNOUNCE_READY)
		first_bad--;
	since_s = first_bad > 0 ? h->at_s[first_bad] : taken_over ? 100 : h->at_s[0];
	return on && h->at_s[last] - since_s < patience_s[h->need[last]];
}

static void test_oracle(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned run = 0; run < 300; run++) {
		bool taken_over = random() % 2;
		struct announce_rule rule;
		struct history h = {};
		double now_s = 100;
		enum announce_need need = ANNOUNCE_READY;

		announce_rule_init(&rule, taken_over, now_s);
		while (h.steps < HISTORY) {
			if (random() % 4 == 0)
				need = (enum announce_need)(random() % 4);
			now_s += (double)(random() % 6) / 16; /* exact in binary */
			h.at_s[h.steps] = now_s;
			h.need[h.steps++] = need;
			announce_rule_update(&rule, need, now_s);
			h.on[h.steps - 1] = oracle(&h, taken_over);
			if (rule.on != h.on[h.steps - 1])
				fail_msg("run %u step %u at %g s need %d: %d, oracle %d", run,
					 h.steps - 1, now_s, need, rule.on, !rule.on);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
