/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/subject.h"

static void reads_what_it_prints(void **state)
{
	static const struct {
		const char *text, *name;
		enum subject_kind kind;
		unsigned part;
	} good[] = {
		{"$KV.suanlu.site.chengdu.0", "chengdu", SUBJECT_SITE, 0},
		{"$KV.suanlu.edge.edge1.99", "edge1", SUBJECT_EDGE, 99},
		{"$KV.suanlu.site.a.b.c.7", "a.b.c", SUBJECT_SITE, 7},
		{"$KV.suanlu.site.0.1", "0", SUBJECT_SITE, 1},
		{"$KV.suanlu.edge.abcdefghijklmnopqrstuvwxyz01234.10",
		 "abcdefghijklmnopqrstuvwxyz01234", SUBJECT_EDGE, 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct subject subject;
		char text[SUBJECT_TEXT];

		assert_true(subject_parse(good[i].text, &subject));
		assert_string_equal(subject.name, good[i].name);
		assert_int_equal(subject.kind, good[i].kind);
		assert_int_equal(subject.part, good[i].part);
		subject_print(&subject, text);
		assert_string_equal(text, good[i].text);
	}
}

static void refuses_all_others(void **state)
{
	static const char *const bad[] = {
		"",
		"$KV",
		"$KV.suanlu",
		"$KV.suanlu.",
		"$KV.suanlu.site",
		"$KV.suanlu.site.",
		"$KV.suanlu.site.a",
		"$KV.suanlu.site.a.",
		"$KV.suanlu.site..0",
		"$KV.suanlu.site.a..0",
		"$KV.suanlu.site.a..b.0",
		"$KV.suanlu.site..a.0",
		"$KV.suanlu.site.a.00",
		"$KV.suanlu.site.a.01",
		"$KV.suanlu.site.a.100",
		"$KV.suanlu.site.a.-1",
		"$KV.suanlu.site.a.+1",
		"$KV.suanlu.site.a.1 ",
		"$KV.suanlu.site.a.1x",
		"$KV.suanlu.site.a b.0",
		"$KV.suanlu.site.*.0",
		"$KV.suanlu.site.>",
		"$KV.suanlu.site.a\x1b.0",
		"$KV.suanlu.Site.a.0",
		"$KV.suanlu.sites.a.0",
		"$KV.other.site.a.0",
		"$kv.suanlu.site.a.0",
		"x$KV.suanlu.site.a.0",
		"suanlu.site.a.0",
		"$KV.suanlu.edge.abcdefghijklmnopqrstuvwxyz012345.1", /* 32 */
		"$KV.suanlu.edge.abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.1",
	};
	struct subject subject = {.name = "before", .part = 42};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (subject_parse(bad[i], &subject))
			fail_msg("taken: '%s'", bad[i]);
		assert_string_equal(subject.name, "before");
		assert_int_equal(subject.part, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_prints),
		cmocka_unit_test(refuses_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
