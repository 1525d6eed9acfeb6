/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A way to choose the site of each request. All policies know the same: paths, configured servers,
 * the sites' reports as they arrive at each edge, what the edge itself sent; a site whose
 * reports stopped is left out by all of them. Only the oracle sees the world as it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct world;

/* What a site says. */
struct report {
	double measured_s;
	uint64_t arrivals, completions; /* totals */
	double arrivals_per_s, completions_per_s;
	double service_time_s, scv;
	uint32_t servers, in_flight, queued;
	uint16_t site;
};

/* What one edge knows of one site. */
struct view {
	struct report report; /* the last */
	double heard_s;	      /* negative: never */
	double valid_until_s;
	uint32_t sent; /* by this edge since that report came */
	uint64_t sent_total;
	bool usable;
};

struct policy {
	const char *name;
	const char *note;   /* for the legend; NULL: the name says it */
	bool counts_closes; /* world_closed() */
	bool by_reports;    /* its results depend on the telemetry interval */
	int (*open)(struct world *world);
	void (*close)(struct world *world);
	unsigned (*choose)(struct world *world, unsigned edge); /* of a new request now */
	void (*report)(struct world *world, unsigned edge, const struct report *report);
	void (*tick)(struct world *world, unsigned edge); /* every demand interval */
	void (*event)(struct world *world, uint32_t index);
	void (*done)(struct world *world, uint32_t request); /* before it leaves its site */
};

extern const struct policy policy_nearest, policy_random, policy_static, policy_least_loaded,
	policy_power_of_two, policy_load_interpretation, policy_lsq, policy_prequal,
	policy_waterfall, policy_oracle, policy_suanlu;

/* All of them, in the order of tables; NULL ends it. */
extern const struct policy *const policies[];
const struct policy *policy_find(const char *name); /* NULL: there is none */

/* Path delay and response of one more request where there are `present`, in seconds. */
double policy_expected_s(const struct world *world, unsigned edge, unsigned site, double present);
/* The site with the least cost among usable ones; ties go to a random one of them. */
unsigned policy_least(struct world *world, unsigned edge, const double *cost);
/* A usable site drawn in proportion to weight. */
unsigned policy_draw(struct world *world, unsigned edge, const double *weight);
