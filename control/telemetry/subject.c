/* SPDX-License-Identifier: BSD-3-Clause */
#include "subject.h"
#include <stdio.h>
#include <string.h>

static const char *const kind_text[] = {[SUBJECT_SITE] = "site.", [SUBJECT_EDGE] = "edge."};

bool subject_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t bytes = strnlen(name, SL_NAME_MAX);

	return bytes > 0 && bytes < SL_NAME_MAX && name[strspn(name, allowed)] == '\0' &&
	       name[0] != '.' && name[bytes - 1] != '.' && !strstr(name, "..");
}

/* As subject_print writes it: no sign, no leading zero. */
static bool parse_part(const char *text, unsigned *out)
{
	unsigned part = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits < 1 || digits > 2 || text[digits] || (digits > 1 && *text == '0'))
		return false;
	for (; *text; text++)
		part = part * 10 + (unsigned)(*text - '0');
	*out = part;
	return true;
}

bool subject_parse(const char *text, struct subject *out)
{
	struct subject subject = {};
	const char *dot;
	unsigned kind = 0;

	if (strncmp(text, SUBJECT_PREFIX, strlen(SUBJECT_PREFIX)) != 0)
		return false;
	text += strlen(SUBJECT_PREFIX);
	while (kind < 2 && strncmp(text, kind_text[kind], strlen(kind_text[kind])) != 0)
		kind++;
	if (kind == 2)
		return false;
	text += strlen(kind_text[kind]);
	dot = strrchr(text, '.');
	if (!dot || dot - text >= SL_NAME_MAX || !parse_part(dot + 1, &subject.part))
		return false;
	memcpy(subject.name, text, (size_t)(dot - text));
	if (!subject_name_valid(subject.name))
		return false;
	subject.kind = (enum subject_kind)kind;
	*out = subject;
	return true;
}

void subject_print(const struct subject *subject, char text[SUBJECT_TEXT])
{
	snprintf(text, SUBJECT_TEXT, SUBJECT_PREFIX "%s%.31s.%u", kind_text[subject->kind],
		 subject->name, subject->part);
}
