/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The samples that one selector picks from each scrape, e.g.
 * node_cpu_seconds_total{mode="idle"}, and what they add up to.
 *
 * For counters `total` adds up how much each single series rose from scrape to scrape. So it never
 * falls: a counter that starts again, a series that comes or goes, and what is not a number
 * add nothing for once, and are counted as events. Pure.
 */
#pragma once

#include "exposition.h"
#include <stdbool.h>
#include <stdint.h>

#define SERIES_NAME_MAX 128
#define SERIES_LABELS_MAX 8
#define SERIES_MAX 16384 /* in one selector */
#define SERIES_POINTS 64

struct series_events {
	unsigned long resets;  /* counters that fell */
	unsigned long changes; /* series that came or went */
	unsigned long strange; /* values that are NaN, infinite or a negative count */
};

struct series_member {
	uint64_t hash; /* of its labels */
	double value;
	bool seen; /* in this scrape */
};

struct series {
	char name[SERIES_NAME_MAX];
	struct {
		char *name, *value;
	} label[SERIES_LABELS_MAX];
	unsigned labels;
	bool counter; /* follow the members */
	/* of the scrape being read, or the last one */
	unsigned count;
	double sum, max, min;
	/* of all */
	struct series_member *member;
	unsigned members, room, cursor;
	unsigned long scrapes;
	double total;
	struct {
		double at_s, total;
	} point[SERIES_POINTS]; /* of earlier scrapes, for rates */
	unsigned points;	/* ever */
	struct series_events events;
};

void series_clear(struct series *series);

void series_begin(struct series *series);
void series_take(struct series *series, const struct exposition_sample *sample);
void series_end(struct series *series, double now_s);

/* Rise of the total per second over the last window_s or so; NaN: not known yet. */
double series_rate(const struct series *series, double window_s);
