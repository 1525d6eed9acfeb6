/* SPDX-License-Identifier: BSD-3-Clause */
#include "series.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void series_clear(struct series *series)
{
	for (unsigned i = 0; i < series->labels; i++) {
		free(series->label[i].name);
		free(series->label[i].value);
	}
	free(series->member);
	series->labels = 0;
	series->member = NULL;
}

void series_begin(struct series *series)
{
	series->count = 0;
	series->sum = 0;
	series->max = -INFINITY;
	series->min = INFINITY;
	series->cursor = 0;
	for (unsigned i = 0; i < series->members; i++)
		series->member[i].seen = false;
}

static bool has_label(const struct exposition_sample *sample, const char *name, const char *value)
{
	for (unsigned i = 0; i < sample->labels; i++)
		if (strcmp(sample->label[i].name, name) == 0)
			return strcmp(sample->label[i].value, value) == 0;
	return *value == '\0'; /* as in PromQL: no label is an empty one */
}

static bool matches(const struct series *series, const struct exposition_sample *sample)
{
	if (strcmp(series->name, sample->name) != 0)
		return false;
	for (unsigned i = 0; i < series->labels; i++)
		if (!has_label(sample, series->label[i].name, series->label[i].value))
			return false;
	return true;
}

/* FNV-1a; names and values with a byte between them that no text has. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
	return (hash ^ 0xff) * 0x100000001b3ull;
}

static uint64_t hash_labels(const struct exposition_sample *sample)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (unsigned i = 0; i < sample->labels; i++) {
		hash = hash_text(hash, sample->label[i].name);
		hash = hash_text(hash, sample->label[i].value);
	}
	return hash;
}

/* Exporters keep an order: the one that follows the last is nearly always it. */
static struct series_member *find(struct series *series, uint64_t hash)
{
	for (unsigned i = 0; i < series->members; i++) {
		unsigned at = (series->cursor + i) % series->members;

		if (series->member[at].hash == hash) {
			series->cursor = at + 1;
			return &series->member[at];
		}
	}
	return NULL;
}

static void add_member(struct series *series, uint64_t hash, double value)
{
	if (series->members == SERIES_MAX)
		return;
	if (series->members == series->room) {
		unsigned room = series->room ? 2 * series->room : 16;
		void *grown = realloc(series->member, room * sizeof(*series->member));

		if (!grown)
			return; /* it adds nothing this time */
		series->member = grown;
		series->room = room;
	}
	series->member[series->members++] =
		(struct series_member){.hash = hash, .value = value, .seen = true};
	series->cursor = series->members;
	if (series->scrapes > 0)
		series->events.changes++;
}

static void count_up(struct series *series, const struct exposition_sample *sample)
{
	uint64_t hash = hash_labels(sample);
	struct series_member *member = find(series, hash);

	if (!member) {
		add_member(series, hash, sample->value);
		return;
	}
	if (sample->value < member->value)
		series->events.resets++;
	else if (!member->seen) /* twice in one scrape: the first counts */
		series->total += sample->value - member->value;
	member->value = sample->value;
	member->seen = true;
}

void series_take(struct series *series, const struct exposition_sample *sample)
{
	if (!matches(series, sample))
		return;
	if (!isfinite(sample->value) || (series->counter && sample->value < 0)) {
		series->events.strange++;
		return;
	}
	series->count++;
	series->sum += sample->value;
	series->max = fmax(series->max, sample->value);
	series->min = fmin(series->min, sample->value);
	if (series->counter)
		count_up(series, sample);
}

static void drop_vanished(struct series *series)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < series->members; i++) {
		if (series->member[i].seen)
			series->member[kept++] = series->member[i];
		else
			series->events.changes++;
	}
	series->members = kept;
	series->cursor = 0;
}

void series_end(struct series *series, double now_s)
{
	if (series->counter)
		drop_vanished(series);
	series->scrapes += series->count > 0;
	if (series->count > 0) {
		unsigned at = series->points++ % SERIES_POINTS;

		series->point[at].at_s = now_s;
		series->point[at].total = series->total;
	}
}

double series_rate(const struct series *series, double window_s)
{
	const unsigned last = series->points - 1;
	unsigned first = last;
	double span_s = 0, now_s;

	if (series->points < 2 || series->count == 0)
		return NAN;
	now_s = series->point[last % SERIES_POINTS].at_s;
	while (first > 0 && last - first < SERIES_POINTS - 1 && span_s < window_s) {
		first--;
		span_s = now_s - series->point[first % SERIES_POINTS].at_s;
	}
	if (!(span_s > 0))
		return NAN;
	return (series->total - series->point[first % SERIES_POINTS].total) / span_s;
}
