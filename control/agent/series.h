/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The samples that one selector picks from each scrape, e.g.
 * node_cpu_seconds_total{mode="idle"}, and what they add up to.
 *
 * For counters `total` adds up how much each single series rose from scrape to scrape. So it never
 * falls: a counter that starts again, a series that comes or goes, what is not a number, and what
 * rises by more than can be counted add nothing for once, and are counted as events. Of a series
 * that is there twice the first counts. The order of labels does not matter. Pure.
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
	unsigned long strange; /* NaN, infinite, a negative count, or far beyond the last one */
	unsigned long twice;   /* series that were there before in the same scrape */
};

struct series_member {
	uint64_t hash; /* of its labels; 0: free */
	double value;
	bool seen; /* in this scrape */
};

struct series {
	char name[SERIES_NAME_MAX];
	struct {
		char *name, *value;
	} label[SERIES_LABELS_MAX];
	unsigned labels;
	bool counter; /* what it rose by counts */
	/* of the scrape being read, or the last one */
	unsigned count;
	double sum, max, min;
	/* of all */
	struct series_member *member; /* open addressing, at most half full */
	unsigned members, room;	      /* room: a power of two, or 0 */
	unsigned long scrapes;
	double rise, total; /* in this scrape; since the first */
	struct {
		double at_s, rise; /* since the one before */
	} point[SERIES_POINTS];	   /* of earlier scrapes, for rates */
	unsigned points;	   /* ever */
	struct series_events events;
};

void series_clear(struct series *series);

void series_begin(struct series *series);
void series_take(struct series *series, const struct exposition_sample *sample);
void series_end(struct series *series, double now_s);

/* Rise of the total per second over the last window_s or so; NaN: not known yet. */
double series_rate(const struct series *series, double window_s);
