/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which fields of a report come from which series of an endpoint: ready mappings of exporters
 * that many have, or one's own; each field is an expression (expression.h). Keys that are no
 * field become CATS metrics of that type; their unit is told by the ending of the key (_s,
 * _bytes, _per_s). Pure.
 */
#pragma once

#include "expression.h"
#include <suanlu/publish.h>

#define MAPPING_METRICS_MAX 8
#define MAPPING_LINES_MAX 24

enum mapping_field {
	FIELD_SERVERS,
	FIELD_SERVICE_TIME_S,
	FIELD_SERVICE_SCV,
	FIELD_IN_FLIGHT,
	FIELD_QUEUED,
	FIELD_ARRIVALS_PER_S,
	FIELD_COMPLETIONS_PER_S,
	FIELD_ARRIVALS,
	FIELD_COMPLETIONS,
	FIELD_CPU_UTILISATION,
	FIELDS,
};

struct mapping_line {
	const char *key, *text;
};

/* What the configuration says of one endpoint. */
struct mapping_config {
	char *url;
	const char *ready; /* name of a ready mapping, static; NULL: none */
	struct mapping_own {
		char *key, *text;
	} * own; /* after the ready one's, and instead of those with the same key */
	unsigned owns;
	struct mapping_own *select; /* labels that all series must have */
	unsigned selects;
};

struct reading {
	double field[FIELDS]; /* NaN: unknown */
	bool wants_in_flight; /* there is an expression for it, even if it knows nothing now */
	struct sl_metric metric[MAPPING_METRICS_MAX];
	unsigned metrics;
};

struct mapping;

/* The static name of a ready mapping; NULL: there is none. */
const char *mapping_ready(const char *name);

/* -EINVAL, -ENOMEM; error names the key and what was expected. */
int mapping_open(struct mapping **out, const struct mapping_config *config, char error[240]);
void mapping_close(struct mapping *mapping);

/* Whether it says how busy a service is, or only how its host does. */
bool mapping_has_load(const struct mapping *mapping);

/* One scrape: begin, all samples, end. */
void mapping_begin(struct mapping *mapping);
void mapping_take(struct mapping *mapping, const struct exposition_sample *sample);
void mapping_end(struct mapping *mapping, double now_s);

/* Texts in *out belong to the mapping. */
void mapping_read(const struct mapping *mapping, uint32_t servers, struct reading *out);
struct series_events mapping_events(const struct mapping *mapping);
