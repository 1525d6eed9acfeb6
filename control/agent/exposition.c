/* SPDX-License-Identifier: BSD-3-Clause */
#include "exposition.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
	       (!first && c >= '0' && c <= '9');
}

static char *skip_blanks(char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static char *skip_name(char *at)
{
	if (!is_name(*at, true))
		return NULL;
	while (is_name(*at, false))
		at++;
	return at;
}

/* From behind the opening quote to behind the closing one; NULL: there is none. */
static char *unescape(char *at)
{
	char *to = at;

	for (; *at && *at != '"'; at++) {
		if (*at != '\\') {
			*to++ = *at;
			continue;
		}
		at++;
		if (!*at)
			return NULL;
		*to++ = *at == 'n' ? '\n' : *at;
	}
	if (!*at)
		return NULL;
	*to = '\0';
	return at + 1;
}

/* name="value"; NULL: it is not that. */
static char *parse_label(char *at, struct exposition_label *label)
{
	char *name_end = skip_name(at);

	if (!name_end)
		return NULL;
	label->name = at;
	at = skip_blanks(name_end);
	if (*at != '=')
		return NULL;
	*name_end = '\0';
	at = skip_blanks(at + 1);
	if (*at != '"')
		return NULL;
	label->value = at + 1;
	return unescape(at + 1);
}

/* From behind the brace to behind its partner; a comma may be the last thing inside. */
static char *parse_labels(char *at, struct exposition_sample *sample)
{
	for (;;) {
		at = skip_blanks(at);
		if (*at == '}')
			return at + 1;
		if (sample->labels == EXPOSITION_LABELS_MAX)
			return NULL;
		at = parse_label(at, &sample->label[sample->labels]);
		if (!at)
			return NULL;
		sample->labels++;
		at = skip_blanks(at);
		if (*at == ',')
			at++;
		else if (*at != '}')
			return NULL;
	}
}

/* Value, then at most a timestamp, then at most an exemplar. */
static bool parse_value(char *at, double *value)
{
	char *end;

	*value = strtod(at, &end);
	if (end == at || (*end && *end != ' ' && *end != '\t'))
		return false;
	at = skip_blanks(end);
	if (*at && *at != '#') {
		strtod(at, &end);
		if (end == at)
			return false;
		at = skip_blanks(end);
	}
	return *at == '\0' || *at == '#';
}

static bool parse_line(char *line, struct exposition_sample *sample)
{
	char *name_end = skip_name(line), *at;

	sample->labels = 0;
	sample->name = line;
	if (!name_end)
		return false;
	at = skip_blanks(name_end);
	if (*at == '{') {
		at = parse_labels(at + 1, sample);
		if (!at)
			return false;
	} else if (at == name_end) {
		return false;
	}
	*name_end = '\0';
	return parse_value(skip_blanks(at), &sample->value);
}

struct exposition_result exposition_parse(char *text, size_t bytes, exposition_each *each,
					  void *context)
{
	struct exposition_result result = {0};
	struct exposition_sample sample;
	char *const end = text + bytes;
	unsigned long number = 0;

	*end = '\0';
	while (text < end) {
		char *line = text, *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		text = stop + 1;
		number++;
		if (stop > line && stop[-1] == '\r')
			stop--;
		*stop = '\0';
		line = skip_blanks(line);
		if (line == stop || *line == '#')
			continue;
		/* a NUL inside would hide the rest of the line */
		if (strlen(line) == (size_t)(stop - line) && parse_line(line, &sample)) {
			result.samples++;
			each(context, &sample);
		} else if (result.bad++ == 0) {
			result.first_bad = number;
		}
	}
	return result;
}
