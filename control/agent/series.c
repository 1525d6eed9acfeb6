/* SPDX-License-Identifier: BSD-3-Clause */
#include "series.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RISE_MAX 0x1p53 /* from one scrape to the next: beyond it ones are lost */

void series_clear(struct series *series)
{
	for (unsigned i = 0; i < series->labels; i++) {
		free(series->label[i].name);
		free(series->label[i].value);
	}
	free(series->member);
	series->labels = 0;
	series->member = NULL;
	series->members = series->room = 0;
}

void series_begin(struct series *series)
{
	series->count = 0;
	series->sum = 0;
	series->max = -INFINITY;
	series->min = INFINITY;
	series->rise = 0;
	for (unsigned i = 0; i < series->room; i++)
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

/* A sum, as exporters may change the order; never 0. */
static uint64_t hash_labels(const struct exposition_sample *sample)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < sample->labels; i++) {
		uint64_t hash = hash_text(0xcbf29ce484222325ull, sample->label[i].name);

		hash = hash_text(hash, sample->label[i].value);
		sum += (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ull;
	}
	return sum ?: 1;
}

/* Its place, or the free one where it belongs. */
static struct series_member *find(const struct series *series, uint64_t hash)
{
	unsigned at = (unsigned)(hash >> 32) & (series->room - 1);

	while (series->member[at].hash && series->member[at].hash != hash)
		at = (at + 1) & (series->room - 1);
	return &series->member[at];
}

/* Those that were seen, into a table of their own. false: no memory, nothing has changed. */
static bool rebuild(struct series *series, unsigned room, bool only_seen)
{
	const struct series old = *series;
	void *grown = calloc(room, sizeof(*series->member));

	if (!grown)
		return false;
	series->member = grown;
	series->room = room;
	series->members = 0;
	for (unsigned i = 0; i < old.room; i++)
		if (old.member[i].hash && (old.member[i].seen || !only_seen)) {
			*find(series, old.member[i].hash) = old.member[i];
			series->members++;
		}
	free(old.member);
	return true;
}

/* NULL: there is no place for more; such a one is not followed. */
static struct series_member *find_or_add(struct series *series, uint64_t hash, bool *added)
{
	struct series_member *member = series->room ? find(series, hash) : NULL;

	*added = !member || !member->hash;
	if (!*added)
		return member;
	if (series->members == SERIES_MAX)
		return NULL;
	if (2 * series->members >= series->room) {
		if (!rebuild(series, series->room ? 2 * series->room : 32, false))
			return NULL;
		member = find(series, hash);
	}
	*member = (struct series_member){.hash = hash};
	series->members++;
	return member;
}

static void count_up(struct series *series, struct series_member *member, double value)
{
	if (value < member->value)
		series->events.resets++;
	else if (value - member->value > RISE_MAX)
		series->events.strange++;
	else
		series->rise += value - member->value;
}

/* Whether it is to be counted: not if it is there for the second time. */
static bool follow(struct series *series, const struct exposition_sample *sample)
{
	bool added;
	struct series_member *member = find_or_add(series, hash_labels(sample), &added);

	if (!member)
		return true;
	if (member->seen) {
		series->events.twice++;
		return false;
	}
	if (series->counter && !added)
		count_up(series, member, sample->value);
	else if (series->counter && series->scrapes > 0)
		series->events.changes++;
	member->value = sample->value;
	member->seen = true;
	return true;
}

void series_take(struct series *series, const struct exposition_sample *sample)
{
	if (!matches(series, sample))
		return;
	if (!isfinite(sample->value) || (series->counter && sample->value < 0)) {
		series->events.strange++;
		return;
	}
	if (!follow(series, sample))
		return;
	series->count++;
	series->sum += sample->value;
	series->max = fmax(series->max, sample->value);
	series->min = fmin(series->min, sample->value);
}

static void drop_vanished(struct series *series)
{
	const unsigned before = series->members;
	unsigned seen = 0;

	for (unsigned i = 0; i < series->room; i++)
		seen += series->member[i].seen;
	if (seen == before || !rebuild(series, series->room, true) || !series->counter)
		return;
	series->events.changes += before - seen;
}

void series_end(struct series *series, double now_s)
{
	drop_vanished(series);
	series->total += series->rise;
	series->scrapes += series->count > 0;
	if (series->count > 0) {
		unsigned at = series->points++ % SERIES_POINTS;

		series->point[at].at_s = now_s;
		series->point[at].rise = series->rise;
	}
}

double series_rate(const struct series *series, double window_s)
{
	const unsigned last = series->points - 1;
	double span_s = 0, rise = 0, now_s;

	if (series->points < 2 || series->count == 0)
		return NAN;
	now_s = series->point[last % SERIES_POINTS].at_s;
	for (unsigned i = last; i > 0 && last - i < SERIES_POINTS - 1 && span_s < window_s; i--) {
		rise += series->point[i % SERIES_POINTS].rise;
		span_s = now_s - series->point[(i - 1) % SERIES_POINTS].at_s;
	}
	return span_s > 0 ? rise / span_s : NAN;
}
