/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/agent/exposition.h"
#include <math.h>
#include <time.h>

struct seen {
	unsigned count;
	char text[1024]; /* name{label=value;...}=value| of each */
};

static void note(void *context, const struct exposition_sample *sample)
{
	struct seen *seen = context;
	size_t at = strlen(seen->text);

	seen->count++;
	at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, "%s{", sample->name);
	for (unsigned i = 0; i < sample->labels && at < sizeof(seen->text); i++)
		at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, "%s=%s;",
				       sample->label[i].name, sample->label[i].value);
	if (at < sizeof(seen->text))
		snprintf(seen->text + at, sizeof(seen->text) - at, "}=%g|", sample->value);
}

/* In a buffer of just the bytes it may touch, for the sanitizer. */
static struct exposition_result parse(const char *text, size_t bytes, struct seen *seen)
{
	char *copy = malloc(bytes + 1);
	struct exposition_result result;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	copy[bytes] = 'X';
	memset(seen, 0, sizeof(*seen));
	result = exposition_parse(copy, bytes, note, seen);
	free(copy);
	return result;
}

static const struct {
	const char *what, *text, *expected;
	unsigned bad;
} row[] = {
	{"plain", "up 1\n", "up{}=1|", 0},
	{"no newline at the end", "up 1", "up{}=1|", 0},
	{"CR LF", "up 1\r\nn 2\r\n", "up{}=1|n{}=2|", 0},
	{"comments and blank lines", "# HELP up x\n# TYPE up gauge\n\n  \nup 1\n# EOF\n", "up{}=1|",
	 0},
	{"labels", "a{b=\"c\",d=\"e\"} 2.5\n", "a{b=c;d=e;}=2.5|", 0},
	{"comma behind the last label", "a{b=\"c\",} 2\n", "a{b=c;}=2|", 0},
	{"no labels in braces", "a{} 2\n", "a{}=2|", 0},
	{"blanks everywhere", " a {\tb = \"c\" , d=\"\" }  3 \n", "a{b=c;d=;}=3|", 0},
	{"escapes", "a{b=\"q\\\"n\\nb\\\\\"} 1\n", "a{b=q\"n\nb\\;}=1|", 0},
	{"a brace and a comma in a value", "a{b=\"},x=\"} 1\n", "a{b=},x=;}=1|", 0},
	{"timestamp", "a 1 1395066363000\n", "a{}=1|", 0},
	{"OpenMetrics timestamp", "a 1 1520879607.789\n", "a{}=1|", 0},
	{"exemplar", "a_bucket{le=\"1\"} 7 # {trace_id=\"x\"} 0.67 1520879607.789\n",
	 "a_bucket{le=1;}=7|", 0},
	{"colons in names", "vllm:num_requests_running{engine=\"0\"} 3.0\n",
	 "vllm:num_requests_running{engine=0;}=3|", 0},
	{"exponent", "a 1.5e+03\n", "a{}=1500|", 0},
	{"not a number", "a NaN\n", "a{}=nan|", 0},
	{"infinite", "a +Inf\nb -Inf\n", "a{}=inf|b{}=-inf|", 0},
	{"HTML", "<html><body>404</body></html>\n", "", 1},
	{"no value", "a\na \na{b=\"c\"}\n", "", 3},
	{"words for values", "a one\na 1x\n", "", 2},
	{"text behind the timestamp", "a 1 2 3\n", "", 1},
	{"label without quotes", "a{b=c} 1\n", "", 1},
	{"open quote", "a{b=\"c} 1\nd 2\n", "d{}=2|", 1},
	{"open brace", "a{b=\"c\" 1\nd 2\n", "d{}=2|", 1},
	{"backslash at the end", "a{b=\"c\\\nd 2\n", "d{}=2|", 1},
	{"digit first", "1a 1\n", "", 1},
	{"no name", "{a=\"b\"} 1\n", "", 1},
	{"nothing", "", "", 0},
};

static void reads_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct seen seen;
		struct exposition_result result = parse(row[i].text, strlen(row[i].text), &seen);

		if (strcmp(seen.text, row[i].expected) != 0 || result.bad != row[i].bad ||
		    result.samples != seen.count)
			fail_msg("%s: '%s', %lu bad", row[i].what, seen.text, result.bad);
	}
}

static void names_the_first_bad_line(void **state)
{
	struct seen seen;
	static const char nul[] = "a 1\nb\0 2\nc 3\n";

	(void)state;
	assert_int_equal(parse("a 1\n# x\n?\n?\n", 12, &seen).first_bad, 3);
	/* a NUL must not hide what follows it */
	assert_int_equal(parse(nul, sizeof(nul) - 1, &seen).first_bad, 2);
	assert_string_equal(seen.text, "a{}=1|c{}=3|");
}

static void refuses_too_many_labels(void **state)
{
	char text[1024] = "a{";
	struct seen seen;

	(void)state;
	for (unsigned i = 0; i < EXPOSITION_LABELS_MAX; i++)
		sprintf(text + strlen(text), "l%u=\"\",", i);
	strcat(text, "} 1\n");
	assert_int_equal(parse(text, strlen(text), &seen).samples, 1);
	strcpy(text + strlen(text) - 4, "m=\"\"} 1\n");
	assert_int_equal(parse(text, strlen(text), &seen).bad, 1);
}

/* Every truncation and every byte changed: no more samples than lines, nothing touched outside. */
static void survives_damage(void **state)
{
	static const char text[] =
		"# TYPE a counter\na_total{b=\"c\\\\\",d=\"e\\n\"} 1 2 # {x=\"y\"} 3\n"
		"vllm:x{engine=\"0\"} NaN\nz 1e400\n";
	char damaged[sizeof(text)];
	struct seen seen;
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (size_t bytes = 0; bytes < sizeof(text); bytes++)
		assert_true(parse(text, bytes, &seen).samples <= 3);
	for (unsigned round = 0; round < 20000; round++) {
		struct exposition_result result;

		memcpy(damaged, text, sizeof(text));
		for (unsigned i = 0; i <= round % 4; i++)
			damaged[(size_t)random() % sizeof(text)] = (char)random();
		result = parse(damaged, sizeof(text) - 1, &seen);
		if (result.samples + result.bad > 8)
			fail_msg("seed %u round %u", seed, round);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lines),
		cmocka_unit_test(names_the_first_bad_line),
		cmocka_unit_test(refuses_too_many_labels),
		cmocka_unit_test(survives_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
