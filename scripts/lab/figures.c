/* SPDX-License-Identifier: BSD-3-Clause */
#include "figures.h"
#include <errno.h>
#include <error.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SITES_MAX 64

struct series {
	uint32_t *latency_us;
	size_t count, room;
	uint64_t due, done, failed[FAILURES];
	uint64_t site[SITES_MAX];
};

struct figures {
	uint64_t timeout_us;
	char site[SITES_MAX][FIGURES_SITE_MAX];
	unsigned sites;
	struct series second, total;
};

static const char *const failure_name[FAILURES] = {
	[FAILURE_NONE] = "-",	     [FAILURE_REFUSED] = "refused", [FAILURE_RESET] = "reset",
	[FAILURE_CLOSED] = "closed", [FAILURE_STATUS] = "status",   [FAILURE_TIMEOUT] = "timeout",
	[FAILURE_LOCAL] = "local",
};

const char *failure_text(enum failure failure)
{
	return failure_name[failure];
}

struct figures *figures_new(uint64_t timeout_us)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	if (!figures)
		error(1, errno, "figures");
	figures->timeout_us = timeout_us;
	return figures;
}

static void series_add(struct series *series, uint64_t latency_us)
{
	if (series->count == series->room) {
		series->room = series->room ? 2 * series->room : 1024;
		series->latency_us =
			reallocarray(series->latency_us, series->room, sizeof(*series->latency_us));
		if (!series->latency_us)
			error(1, errno, "figures");
	}
	series->latency_us[series->count++] = latency_us < UINT32_MAX ? latency_us : UINT32_MAX;
}

void figures_due(struct figures *figures)
{
	figures->second.due++;
	figures->total.due++;
}

static unsigned site_index(struct figures *figures, const char *site)
{
	unsigned i = 0;

	while (i < figures->sites && strcmp(figures->site[i], site))
		i++;
	if (i == SITES_MAX)
		error(1, 0, "more than %d sites answered", SITES_MAX);
	if (i == figures->sites)
		snprintf(figures->site[figures->sites++], FIGURES_SITE_MAX, "%s", site);
	return i;
}

void figures_done(struct figures *figures, uint64_t latency_us, const char *site)
{
	unsigned i = site_index(figures, site);
	struct series *both[] = {&figures->second, &figures->total};

	for (int k = 0; k < 2; k++) {
		series_add(both[k], latency_us);
		both[k]->done++;
		both[k]->site[i]++;
	}
}

void figures_failed(struct figures *figures, enum failure failure)
{
	struct series *both[] = {&figures->second, &figures->total};

	for (int k = 0; k < 2; k++) {
		series_add(both[k], figures->timeout_us);
		both[k]->failed[failure]++;
	}
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank, in milliseconds; the series is sorted. null without a value. */
static json_t *quantile_ms(const struct series *series, double q)
{
	size_t rank = ceil(q * series->count);

	return series->count ? json_real(series->latency_us[rank ? rank - 1 : 0] / 1e3)
			     : json_null();
}

static json_t *series_json(const struct figures *figures, struct series *series)
{
	json_t *sites = json_object(), *failures = json_object();
	uint64_t failed = 0;

	qsort(series->latency_us, series->count, sizeof(*series->latency_us), ascending);
	for (unsigned i = 0; i < figures->sites; i++)
		json_object_set_new(sites, figures->site[i], json_integer(series->site[i]));
	for (unsigned i = FAILURE_NONE + 1; i < FAILURES; i++) {
		failed += series->failed[i];
		if (series->failed[i])
			json_object_set_new(failures, failure_name[i],
					    json_integer(series->failed[i]));
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "due", (json_int_t)series->due,
			 "done", (json_int_t)series->done, "failed", (json_int_t)failed, "p50_ms",
			 quantile_ms(series, 0.5), "p99_ms", quantile_ms(series, 0.99), "sites",
			 sites, "failures", failures);
}

static void print(json_t *line, FILE *out)
{
	json_dumpf(line, out, JSON_COMPACT | JSON_REAL_PRECISION(13));
	fputc('\n', out);
	fflush(out);
	json_decref(line);
}

void figures_second(struct figures *figures, double unix_s, FILE *out)
{
	struct series *series = &figures->second;
	json_t *line = series_json(figures, series);
	struct series empty = {.latency_us = series->latency_us, .room = series->room};

	json_object_set_new(line, "unix_s", json_real(unix_s));
	print(line, out);
	*series = empty;
}

void figures_summary(struct figures *figures, double seconds, FILE *out)
{
	json_t *line = series_json(figures, &figures->total);

	json_object_set_new(line, "p90_ms", quantile_ms(&figures->total, 0.9));
	json_object_set_new(line, "max_ms", quantile_ms(&figures->total, 1));
	json_object_set_new(line, "seconds", json_real(seconds));
	json_object_set_new(line, "summary", json_true());
	print(line, out);
}
