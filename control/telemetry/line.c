/* SPDX-License-Identifier: BSD-3-Clause */
#include "line.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <suanlu/route.h>

enum kind { KIND_U32, KIND_U64, KIND_REAL };

#define LOAD(name, kind, most)                                      \
	{                                                           \
#name, offsetof(struct line, load.name), kind, most \
	}
#define REPORT(name, kind, most)                                      \
	{                                                             \
#name, offsetof(struct line, report.name), kind, most \
	}

static const struct field {
	const char *name;
	size_t offset;
	enum kind kind;
	double most;
} fields[] = {
	LOAD(servers, KIND_U32, UINT32_MAX),	      LOAD(service_time_s, KIND_REAL, INFINITY),
	LOAD(service_scv, KIND_REAL, INFINITY),	      LOAD(in_flight, KIND_U32, UINT32_MAX),
	LOAD(queued, KIND_U32, UINT32_MAX),	      LOAD(arrivals_per_s, KIND_REAL, INFINITY),
	LOAD(completions_per_s, KIND_REAL, INFINITY), LOAD(arrivals, KIND_U64, 0x1p63),
	LOAD(completions, KIND_U64, 0x1p63),	      LOAD(cpu_utilisation, KIND_REAL, 1),
	REPORT(measured_at_us, KIND_U64, 0x1p63),     REPORT(valid_for_ms, KIND_U32, UINT32_MAX),
	REPORT(price_per_hour, KIND_REAL, INFINITY),  REPORT(pue, KIND_REAL, INFINITY),
};

static int refuse(char error[256], const char *name, const char *expected)
{
	snprintf(error, 256, "%s: expected %s", name, expected);
	return -EINVAL;
}

static int take_number(const struct field *field, const json_t *value, struct line *out,
		       char error[256])
{
	char *place = (char *)out + field->offset;
	bool whole = field->kind != KIND_REAL;

	if (whole ? !json_is_integer(value) : !json_is_number(value))
		return refuse(error, field->name, whole ? "a whole number" : "a number");
	double number = json_number_value(value);
	if (!(number >= 0))
		return refuse(error, field->name, "no negative number");
	if (number > field->most)
		return refuse(error, field->name, "a smaller number");
	if (field->kind == KIND_U32)
		*(uint32_t *)place = (uint32_t)json_integer_value(value);
	else if (field->kind == KIND_U64)
		*(uint64_t *)place = (uint64_t)json_integer_value(value);
	else
		*(double *)place = number;
	return 0;
}

static int take_service(const json_t *value, struct line *out, char error[256])
{
	size_t length = json_string_length(value);

	if (!json_is_string(value) || length == 0 || length >= SL_NAME_MAX)
		return refuse(error, "service", "a name of 1..31 bytes");
	out->load.service = json_string_value(value);
	return 0;
}

static int take_labels(const json_t *value, struct line *out, char error[256])
{
	size_t index;
	const json_t *label;

	if (!json_is_array(value) || json_array_size(value) > SL_LABELS_MAX)
		return refuse(error, "labels", "a list of at most 16 names");
	json_array_foreach (value, index, label) {
		size_t length = json_string_length(label);
		if (!json_is_string(label) || length == 0 || length >= SL_NAME_MAX)
			return refuse(error, "labels", "names of 1..31 bytes");
		out->label[index] = json_string_value(label);
	}
	out->report.label = out->label;
	out->report.labels = json_array_size(value);
	return 0;
}

static int take(const char *name, const json_t *value, struct line *out, char error[256])
{
	if (strcmp(name, "service") == 0)
		return take_service(value, out, error);
	if (strcmp(name, "labels") == 0)
		return take_labels(value, out, error);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(name, fields[i].name) == 0)
			return take_number(&fields[i], value, out, error);
	snprintf(error, 256, "%.60s: no field of that name", name);
	return -EINVAL;
}

int line_parse(const json_t *object, struct line *out, char error[256])
{
	const char *name;
	json_t *value;

	*out = (struct line){.load = {.service_scv = -1, .cpu_utilisation = -1}};
	if (!json_is_object(object)) {
		snprintf(error, 256, "expected a JSON object");
		return -EINVAL;
	}
	json_object_foreach ((json_t *)object, name, value) {
		int status = take(name, value, out, error);
		if (status < 0)
			return status;
	}
	if (!out->load.service)
		return refuse(error, "service", "to be named");
	out->report.load = &out->load;
	out->report.loads = 1;
	return 0;
}
