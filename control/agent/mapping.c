/* SPDX-License-Identifier: BSD-3-Clause */
#include "mapping.h"
#include "mapping_ready.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>

struct line {
	char key[SL_NAME_MAX];
	bool estimated; /* by Little's or the utilisation law, not read as it is */
	bool averaged;	/* over a window */
	struct expression *expression;
};

struct mapping {
	struct line line[MAPPING_LINES_MAX];
	unsigned lines;
};

static const char *const field_name[FIELDS] = {
	[FIELD_SERVERS] = "servers",
	[FIELD_SERVICE_TIME_S] = "service_time_s",
	[FIELD_SERVICE_SCV] = "service_scv",
	[FIELD_IN_FLIGHT] = "in_flight",
	[FIELD_QUEUED] = "queued",
	[FIELD_ARRIVALS_PER_S] = "arrivals_per_s",
	[FIELD_COMPLETIONS_PER_S] = "completions_per_s",
	[FIELD_ARRIVALS] = "arrivals",
	[FIELD_COMPLETIONS] = "completions",
	[FIELD_CPU_UTILISATION] = "cpu_utilisation",
};

static int field_of(const char *key)
{
	for (int i = 0; i < FIELDS; i++)
		if (strcmp(field_name[i], key) == 0)
			return i;
	return -1;
}

static struct line *find_line(struct mapping *mapping, const char *key)
{
	for (unsigned i = 0; i < mapping->lines; i++)
		if (strcmp(mapping->line[i].key, key) == 0)
			return &mapping->line[i];
	return NULL;
}

static bool is_key(const char *key)
{
	size_t bytes =
		strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return bytes > 0 && bytes < SL_NAME_MAX && key[bytes] == '\0';
}

static int set_line(struct mapping *mapping, const struct mapping_config *config, const char *key,
		    const char *text, char error[240])
{
	struct expression_select select[SERIES_LABELS_MAX];
	struct line *line = find_line(mapping, key);
	char why[160];
	int err;

	for (unsigned i = 0; i < config->selects; i++)
		select[i] =
			(struct expression_select){config->select[i].key, config->select[i].text};
	if (!is_key(key) || (!line && mapping->lines == MAPPING_LINES_MAX)) {
		snprintf(error, 240, "%.40s: expected at most %u names of 1 to 31 letters", key,
			 MAPPING_LINES_MAX);
		return -EINVAL;
	}
	if (!line) {
		line = &mapping->line[mapping->lines++];
		snprintf(line->key, sizeof(line->key), "%s", key);
	}
	expression_free(line->expression);
	line->expression = NULL;
	err = expression_parse(&line->expression, text, select, config->selects, why);
	if (err < 0)
		snprintf(error, 240, "%s: %s", key, why);
	line->averaged = strstr(text, "rate(") != NULL;
	line->estimated = line->averaged && field_of(key) == FIELD_IN_FLIGHT;
	return err;
}

int mapping_open(struct mapping **out, const struct mapping_config *config, char error[240])
{
	const struct mapping_line *ready =
		config->ready ? mapping_ready_lines(config->ready) : NULL;
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	int err = 0;

	snprintf(error, 240, "out of memory");
	if (!mapping)
		return -ENOMEM;
	for (; ready && ready->key && !err; ready++)
		err = set_line(mapping, config, ready->key, ready->text, error);
	for (unsigned i = 0; i < config->owns && !err; i++)
		err = set_line(mapping, config, config->own[i].key, config->own[i].text, error);
	if (err < 0)
		mapping_close(mapping);
	else
		*out = mapping;
	return err;
}

void mapping_close(struct mapping *mapping)
{
	if (!mapping)
		return;
	for (unsigned i = 0; i < mapping->lines; i++)
		expression_free(mapping->line[i].expression);
	free(mapping);
}

bool mapping_has_load(const struct mapping *mapping)
{
	for (unsigned i = 0; i < mapping->lines; i++) {
		int field = field_of(mapping->line[i].key);

		if (field == FIELD_IN_FLIGHT || field == FIELD_SERVICE_TIME_S)
			return true;
	}
	return false;
}

void mapping_begin(struct mapping *mapping)
{
	for (unsigned i = 0; i < mapping->lines; i++)
		expression_begin(mapping->line[i].expression);
}

void mapping_take(struct mapping *mapping, const struct exposition_sample *sample)
{
	for (unsigned i = 0; i < mapping->lines; i++)
		expression_take(mapping->line[i].expression, sample);
}

void mapping_end(struct mapping *mapping, double now_s)
{
	for (unsigned i = 0; i < mapping->lines; i++)
		expression_end(mapping->line[i].expression, now_s);
}

static const char *unit_of(const char *key)
{
	static const char *const unit[][2] = {{"_per_s", "per_s"},
					      {"_s", "s"},
					      {"_bytes", "byte"},
					      {"_w", "w"},
					      {"_c", "celsius"}};
	size_t bytes = strlen(key);

	for (unsigned i = 0; i < sizeof(unit) / sizeof(*unit); i++) {
		size_t ending = strlen(unit[i][0]);

		if (bytes > ending && strcmp(key + bytes - ending, unit[i][0]) == 0)
			return unit[i][1];
	}
	return "none";
}

static void add_metric(struct reading *out, const struct line *line, double value)
{
	if (out->metrics == MAPPING_METRICS_MAX || isnan(value))
		return;
	out->metric[out->metrics++] = (struct sl_metric){
		.type = line->key,
		.format = "float",
		.unit = unit_of(line->key),
		.source = line->estimated ? "estimation" : "directly measured",
		.statistics = line->averaged ? "mean" : "cur",
		.window_ms = line->averaged ? 10000 : 0,
		.value = value,
	};
}

void mapping_read(const struct mapping *mapping, uint32_t servers, struct reading *out)
{
	*out = (struct reading){0};
	for (unsigned i = 0; i < FIELDS; i++)
		out->field[i] = NAN;
	for (unsigned i = 0; i < mapping->lines; i++) {
		const struct line *line = &mapping->line[i];
		double value = expression_value(line->expression, servers);
		int field = field_of(line->key);

		out->wants_in_flight |= field == FIELD_IN_FLIGHT;
		if (field >= 0)
			out->field[field] = value < 0 ? NAN : value; /* none can be negative */
		else
			add_metric(out, line, value);
	}
}

struct series_events mapping_events(const struct mapping *mapping)
{
	struct series_events sum = {0};

	for (unsigned i = 0; i < mapping->lines; i++)
		expression_events(mapping->line[i].expression, &sum);
	return sum;
}
