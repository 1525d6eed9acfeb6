/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is simulated, a YAML file. Every key with its default, or "required":
 *
 *	name: swing                # required
 *	duration_s: 60             # simulated time that is measured
 *	warmup_s: 5                # before it, not measured
 *	seed: 1
 *	timeout_ms: 1000           # a client whose site died asks again after this
 *	topology:                  # instead of delay_ms at each edge
 *	  gml: Chinanet.gml        # required; paths are relative to this file
 *	  correct:                 # nodes whose coordinates are wrong or missing
 *	    - {node: Hong Kong, latitude: 22.3, longitude: 114.17}
 *	sites:                     # required, at most 64
 *	  - name: a                # required
 *	    servers: 8             # required; parallel, one queue in order of arrival
 *	    service_time_ms: 10    # mean, of work 1
 *	    node: Beijing          # with a topology: its label, or by coordinates:
 *	    latitude: 40.8         # fibre to the nearest node is added
 *	    longitude: 114.9
 *	edges:                     # required, at most 64
 *	  - name: e1               # required
 *	    weight: 1              # of the whole demand
 *	    delay_ms: [2, 5, 9]    # one way, to each site; or
 *	    node: Shanghai         # with a topology
 *	demand:
 *	  utilisation: 0.6         # mean demand, of the capacity of all sites
 *	  swing: 0                 # each edge's demand goes up and down by this part of it,
 *	  period_s: 20             # in this time; edges one after the other
 *	  burst: 1                 # and at times it is this many times as much:
 *	  burst_every_s: 5         # mean time between bursts, exponential (an MMPP)
 *	  burst_for_s: 0.5         # mean length
 *	  traces: [FILE.csv]       # Azure LLM format; edges replay them from different places,
 *	                           # compressed in time to the utilisation
 *	work:                      # of a request; its mean is 1
 *	  kind: lognormal          # lognormal | pareto | exponential | deterministic | tokens
 *	  scv: 4                   # lognormal: squared coefficient of variation
 *	  shape: 2.2               # pareto: tail index, > 1
 *	  context_ms: 0.25         # tokens, with traces: time for one token of context ...
 *	  generated_ms: 20         # ... and for one generated; scaled to mean 1
 *	telemetry:
 *	  interval_ms: 100
 *	  delay_ms: 0              # on top of the path's
 *	  loss: 0                  # 0..1, of each report to each edge
 *	  valid_for_ms: 0          # 0: five intervals, or less of them when they are long, on
 *	                           # top of the longest path: min(5 I, max(500, 2.5 I))
 *	  demand_ms: 20            # edges count demand, and tell each other, this often
 *	  solve_gap_ms: 0          # reports that come so soon after a solution wait for the
 *	                           # next; 0 as in the product: each is solved at once
 *	events:
 *	  - at_s: 20               # required, after the warm-up
 *	    for_s: 20              # required
 *	    site: a                # or demand
 *	    lost: false            # the site is gone, with all it had, and silent
 *	    speed: 1               # of the site
 *	    lag_ms: 0              # its reports come this much later
 *	    demand: 1              # all demand times this; without site
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <suanlu/config.h>

#define SCENARIO_EDGES_MAX 64
#define SCENARIO_SITES_MAX SL_CANDIDATES_MAX
#define SCENARIO_EVENTS_MAX 64

enum work_kind { WORK_LOGNORMAL, WORK_PARETO, WORK_EXPONENTIAL, WORK_DETERMINISTIC, WORK_TOKENS };

struct scenario_site {
	char name[SL_NAME_MAX];
	char *node;
	double latitude, longitude; /* 0, 0: not given */
	uint32_t servers;
	double service_time_s;
};

struct scenario_edge {
	char name[SL_NAME_MAX];
	char *node;
	double weight;
	double *delay_s;
	unsigned delays;
};

struct scenario_correction {
	char *node;
	double latitude, longitude;
};

struct scenario_event {
	double at_s, for_s;
	char *site_name;
	int site; /* -1: about demand */
	bool lost;
	double speed, lag_s, demand;
};

struct scenario_trace {
	double *at_s, *work; /* work: mean 1 over all traces */
	unsigned count;
	double span_s;
};

struct scenario {
	char name[SL_NAME_MAX];
	double duration_s, warmup_s, timeout_s;
	uint32_t seed;
	struct {
		char *gml;
		struct scenario_correction *correct;
		unsigned corrections;
	} topology;
	struct scenario_site *site;
	unsigned sites;
	struct scenario_edge *edge;
	unsigned edges;
	struct {
		double utilisation, swing, period_s, burst, burst_every_s, burst_for_s;
		char **file;
		unsigned files;
	} demand;
	struct {
		enum work_kind kind;
		double scv, shape, context_s, generated_s;
	} work;
	struct {
		double interval_s, delay_s, loss, valid_for_s, demand_s, solve_gap_s;
	} telemetry;
	struct scenario_event *event;
	unsigned events;
	struct scenario_trace *trace;
	unsigned traces;
	double delay_s[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX]; /* one way */
	double longest_s;					/* of them */
	char notes[1024]; /* what was left out or put right, for people; empty: nothing */
};

/* 0 with *out to be freed by scenario_free, or -errno with error->text saying what is wrong. */
int scenario_load(const char *file, struct scenario **out, struct config_error *error);
void scenario_free(struct scenario *scenario);

double scenario_capacity_per_s(const struct scenario *scenario);
double scenario_valid_for_s(const struct scenario *scenario);

/* topology.c: fills delay_s; 0 or -errno with error->text. */
int topology_delays(struct scenario *scenario, const char *directory, struct config_error *error);

/* trace.c: fills trace; 0 or -errno with error->text. */
int trace_load(struct scenario *scenario, const char *directory, struct config_error *error);
