/* SPDX-License-Identifier: BSD-3-Clause */
#include "orca.h"
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 128

struct reader {
	struct exposition_result result;
	exposition_each *each;
	void *context;
};

/* cpuUtilization -> cpu_utilization; names inside of maps stay as they are */
static void snake_case(const char *name, char out[NAME_MAX_BYTES])
{
	size_t at = 0;

	for (; *name && at < NAME_MAX_BYTES - 2; name++) {
		if (isupper((unsigned char)*name))
			out[at++] = '_';
		out[at++] = (char)tolower((unsigned char)*name);
	}
	out[at] = '\0';
}

/* proto3 JSON may write numbers as strings, "NaN" among them. */
static int number_of(const json_t *value, double *out)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_number(value)) {
		*out = json_number_value(value);
		return 0;
	}
	if (!text)
		return -1;
	*out = strtod(text, &end);
	return end == text || *end ? -1 : 0;
}

static void take_number(struct reader *reader, const char *name, const json_t *value)
{
	struct exposition_sample sample = {.name = name};

	if (number_of(value, &sample.value) < 0) {
		reader->result.bad++;
		return;
	}
	reader->result.samples++;
	reader->each(reader->context, &sample);
}

static void take_member(struct reader *reader, const char *name, json_t *value)
{
	char own[NAME_MAX_BYTES], whole[2 * NAME_MAX_BYTES];
	const char *key;
	json_t *inner;

	snake_case(name, own);
	if (!json_is_object(value)) {
		take_number(reader, own, value);
		return;
	}
	json_object_foreach (value, key, inner) {
		snprintf(whole, sizeof(whole), "%s.%.*s", own, NAME_MAX_BYTES - 1, key);
		take_number(reader, whole, inner);
	}
}

struct exposition_result orca_parse(const char *text, size_t bytes, exposition_each *each,
				    void *context)
{
	struct reader reader = {.each = each, .context = context};
	json_t *object = json_loadb(text, bytes, 0, NULL);
	const char *name;
	json_t *value;

	if (!json_is_object(object)) {
		reader.result.bad = 1;
	} else {
		json_object_foreach (object, name, value)
			take_member(&reader, name, value);
	}
	json_decref(object);
	return reader.result;
}
