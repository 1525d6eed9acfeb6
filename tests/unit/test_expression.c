/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/agent/expression.h"
#include <math.h>
#include <time.h>

static void take(void *context, const struct exposition_sample *sample)
{
	expression_take(context, sample);
}

static void scrape(struct expression *expression, const char *text, double now_s)
{
	char *copy = strdup(text);

	expression_begin(expression);
	exposition_parse(copy, strlen(copy), take, expression);
	expression_end(expression, now_s);
	free(copy);
}

static struct expression *parse(const char *text)
{
	struct expression *expression = NULL;
	char error[160];

	if (expression_parse(&expression, text, NULL, 0, error) < 0)
		fail_msg("%s: %s", text, error);
	return expression;
}

#define FIRST "a{x=\"1\"} 10\na{x=\"2\"} 30\nb 4\nc{x=\"1\"} 100\nc{x=\"2\"} 200\nnan NaN\n"
#define SECOND "a{x=\"1\"} 20\na{x=\"2\"} 60\nb 8\nc{x=\"1\"} 150\nc{x=\"2\"} 210\nnan NaN\n"

/* After two scrapes ten seconds apart, with 8 servers. */
static const struct {
	const char *text;
	double expected; /* NAN: unknown */
} value[] = {
	{"1 + 2 * 3 - 4 / 2", 5},
	{"(1 + 2) * 3", 9},
	{"8 - 4 - 2", 2},
	{"servers / 2", 4},
	{"a", 80},
	{"sum(a)", 80},
	{"avg(a)", 40},
	{"max(a)", 60},
	{"min(a)", 20},
	{"count(a)", 2},
	{"a{x=\"2\"}", 60},
	{"max( a { x = \"1\" } )", 20},
	{"a{x=\"3\"}", NAN},
	{"b{x=\"\"}", 8}, /* without the label */
	{"rate(c)", 6},
	{"rate(c{x=\"1\"})", 5},
	{"total(c)", 60},
	{"rate(c{x=\"1\"}) / rate(c)", 5.0 / 6},
	{"nothing", NAN},
	{"nothing or b", 8},
	{"b or nothing", 8},
	{"nothing + 1", NAN},
	{"b / 0", NAN},
	{"b / (a - 80) or 3", 3},
	{"nan", NAN},
	{"1 - rate(c) / rate(c) or 7", 0},
};

static void computes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(value) / sizeof(*value); i++) {
		struct expression *expression = parse(value[i].text);
		double found;

		scrape(expression, FIRST, 100);
		scrape(expression, SECOND, 110);
		found = expression_value(expression, 8);
		if (isnan(value[i].expected) ? !isnan(found)
					     : !(fabs(found - value[i].expected) < 1e-9))
			fail_msg("%s = %g instead of %g", value[i].text, found, value[i].expected);
		expression_free(expression);
	}
}

static const struct {
	const char *text, *expected;
} bad[] = {
	{"", "expected a series at 'the end'"},
	{"1 +", "expected a series"},
	{"(1", "expected )"},
	{"1)", "expected + - * / or"},
	{"sum a", "expected ("},
	{"sum(a", "expected )"},
	{"sum(1)", "expected"},
	{"a{", "expected a label's name"},
	{"a{x}", "expected =\"VALUE\""},
	{"a{x=\"1}", "expected a closing \""},
	{"a{x=\"1\"", "expected }"},
	{"a b", "expected + - * / or"},
	{"a or", "expected a series"},
	{"((((((((((((((((((((1))))))))))))))))))))", "expected fewer parentheses"},
	{"a$", "expected + - * / or"},
};

static void refuses(void **state)
{
	char long_text[1024] = "1";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct expression *expression = NULL;
		char error[160] = "";

		if (expression_parse(&expression, bad[i].text, NULL, 0, error) >= 0)
			fail_msg("'%s' taken", bad[i].text);
		if (!strstr(error, bad[i].expected))
			fail_msg("'%s': %s", bad[i].text, error);
		assert_null(expression);
	}
	for (unsigned i = 0; i < 100; i++)
		strcat(long_text, "+1");
	{
		struct expression *expression;
		char error[160];

		assert_true(expression_parse(&expression, long_text, NULL, 0, error) < 0);
		assert_non_null(strstr(error, "shorter"));
	}
}

static void selects_everywhere(void **state)
{
	const struct expression_select select = {"x", "1"};
	struct expression *expression;
	char error[160];

	(void)state;
	assert_int_equal(expression_parse(&expression, "a + rate(c) + b or a", &select, 1, error),
			 0);
	scrape(expression, FIRST, 0);
	scrape(expression, SECOND, 10);
	assert_true(expression_value(expression, 1) == 20); /* b has no such label */
	expression_free(expression);
}

/* A total never falls, whatever the endpoint does; each oddity is an event. */
static void outlives_resets_and_changes(void **state)
{
	static const struct {
		const char *what, *text;
		double total;
		unsigned long resets, changes, strange;
	} step[] = {
		{"first", "c{x=\"1\"} 1000\n", 0, 0, 0, 0},
		{"rises", "c{x=\"1\"} 1010\n", 10, 0, 0, 0},
		{"started again", "c{x=\"1\"} 5\n", 10, 1, 0, 0},
		{"rises from there", "c{x=\"1\"} 8\n", 13, 1, 0, 0},
		{"a second one", "c{x=\"1\"} 8\nc{x=\"2\"} 900\n", 13, 1, 1, 0},
		{"both rise, in another order", "c{x=\"2\"} 901\nc{x=\"1\"} 9\n", 15, 1, 1, 0},
		{"changed label", "c{x=\"1\"} 9\nc{x=\"3\"} 700\n", 15, 1, 3, 0},
		{"not a number", "c{x=\"1\"} NaN\nc{x=\"3\"} 701\n", 16, 1, 4, 1},
		{"negative", "c{x=\"1\"} -1\nc{x=\"3\"} 702\n", 17, 1, 4, 2},
		{"twice", "c{x=\"3\"} 703\nc{x=\"3\"} 704\n", 18, 1, 4, 2},
		{"gone", "d 1\n", 18, 1, 5, 2},
	};
	struct expression *expression = parse("total(c) or 18");

	(void)state;
	for (size_t i = 0; i < sizeof(step) / sizeof(*step); i++) {
		struct series_events events = {0};

		scrape(expression, step[i].text, (double)i);
		expression_events(expression, &events);
		if (expression_value(expression, 1) != step[i].total ||
		    events.resets != step[i].resets || events.changes != step[i].changes ||
		    events.strange != step[i].strange)
			fail_msg("%s: %g, %lu resets, %lu changes, %lu strange", step[i].what,
				 expression_value(expression, 1), events.resets, events.changes,
				 events.strange);
	}
	expression_free(expression);
}

static void rates_look_back_some_ten_seconds(void **state)
{
	struct expression *expression = parse("rate(c)");
	char text[32];

	(void)state;
	for (unsigned i = 0; i <= 100; i++) { /* 1 a second, then 5 a second */
		snprintf(text, sizeof(text), "c %u\n", i <= 50 ? i : 50 + 5 * (i - 50));
		scrape(expression, text, i);
		if (i == 0)
			assert_true(isnan(expression_value(expression, 1)));
		if (i == 50)
			assert_true(fabs(expression_value(expression, 1) - 1) < 1e-9);
		if (i == 60)
			assert_true(fabs(expression_value(expression, 1) - 5) < 1e-9);
	}
	expression_free(expression);
}

/* Exporters may change the order of labels; a series that is there twice is one. */
static void labels_in_any_order_and_series_twice(void **state)
{
	struct expression *rate = parse("rate(c)"), *sum = parse("g"), *count = parse("count(g)");
	struct series_events events = {0};

	(void)state;
	scrape(rate, "c{x=\"1\",y=\"2\"} 10\nc{x=\"2\",y=\"1\"} 0\n", 0);
	scrape(rate, "c{y=\"2\",x=\"1\"} 30\nc{y=\"1\",x=\"2\"} 10\n", 10);
	assert_true(expression_value(rate, 1) == 3);
	expression_events(rate, &events);
	assert_int_equal(events.changes, 0);
	scrape(sum, "g{x=\"1\"} 5\ng{x=\"2\"} 7\ng{x=\"1\"} 5\n", 0);
	scrape(count, "g{x=\"1\"} 5\ng{x=\"2\"} 7\ng{x=\"1\"} 5\n", 0);
	assert_true(expression_value(sum, 1) == 12);
	assert_true(expression_value(count, 1) == 2);
	expression_events(sum, &events);
	assert_int_equal(events.twice, 1);
	expression_free(rate);
	expression_free(sum);
	expression_free(count);
}

/* One wild value must not swallow all later rises. */
static void forgets_a_jump(void **state)
{
	static const char *const wild[] = {"c 1e300\n", "c 1e308\n", "c 5e18\n", "c 4e15\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		struct expression *rate = parse("rate(c)"), *total = parse("total(c)");
		char text[32];

		for (unsigned at = 0; at < 30; at++) {
			snprintf(text, sizeof(text), "c %g\n", at * 0.25);
			scrape(rate, at == 5 ? wild[i] : text, at);
			scrape(total, at == 5 ? wild[i] : text, at);
		}
		if (!(fabs(expression_value(rate, 1) - 0.25) < 1e-9))
			fail_msg("after %s: rate %g", wild[i], expression_value(rate, 1));
		assert_true(expression_value(total, 1) < 0x1p53);
		expression_free(rate);
		expression_free(total);
	}
}

static double scrape_many(unsigned serieses)
{
	struct expression *expression = parse("rate(c)");
	char *text = malloc(serieses * 32ul + 1);
	clock_t before = clock();

	for (unsigned round = 0; round < 2; round++) {
		char *at = text;

		/* in an order that no cursor follows */
		for (unsigned i = 0; i < serieses; i++)
			at += sprintf(at, "c{i=\"%u\"} %u\n", (i * (round ? 7919u : 1u)) % serieses,
				      round);
		scrape(expression, text, round);
	}
	assert_true(expression_value(expression, 1) == fmin(serieses, SERIES_MAX));
	expression_free(expression);
	free(text);
	return (double)(clock() - before);
}

/* Or the agent would look at series for seconds, and no report go out. */
static void time_grows_with_the_answer(void **state)
{
	double small = fmax(scrape_many(4096), 1), large = scrape_many(16 * 4096);

	(void)state;
	if (large > 48 * small)
		fail_msg("16 times as many series took %g times as long", large / small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(selects_everywhere),
		cmocka_unit_test(outlives_resets_and_changes),
		cmocka_unit_test(rates_look_back_some_ten_seconds),
		cmocka_unit_test(labels_in_any_order_and_series_twice),
		cmocka_unit_test(forgets_a_jump),
		cmocka_unit_test(time_grows_with_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
