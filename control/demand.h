/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This node's demand: new flows per service and member, from its dataplane's counters,
 * smoothed (rate.h) into the state, and told to the other edges as a signed report.
 */
#pragma once

#include "counters.h"
#include "rate.h"
#include "state.h"
#include "telemetry/publisher.h"

/* Of a service, what other edges heard last. */
struct demand_told {
	uint64_t sent, closed; /* of all members */
	double per_s;
};

struct demand {
	const struct config *config;
	struct state *state;
	struct counters counters;
	struct rate *service; /* by service */
	struct rate *member;  /* by counters.first[service] + member */
	uint64_t *total;      /* new flows of each member at the last sample */
	uint64_t *closed;     /* and closed ones */
	bool *counted;	      /* total is valid */
	double sampled_s;     /* 0: never */
	double counting_s;    /* first reading of the counters file of now; 0: there is none */
	struct sl_publisher *publisher; /* NULL: there are no other edges */
	struct sl_demand *report;
	struct sl_site_flows *flows; /* by member */
	struct sl_path *path;
	struct demand_told *told; /* by service */
	bool *told_closed;	  /* by site */
	double whole_s;		  /* when all is to be told again */
	double publish_s;	  /* nothing before */
	bool publish_failed;	  /* told */
};

/* `key` signs what the other edges are told; not looked at if there are none. `bus`: NULL, or one
 * that outlives this; then they are told there too. */
int demand_open(struct demand *demand, struct state *state, const struct key *key, struct bus *bus,
		struct config_error *error);
void demand_close(struct demand *demand);

/* Reads the counters and moves the rates; called once an interval. */
void demand_sample(struct demand *demand, double now_s);

/* What was sent since then, into the state: called before routes of this service are updated. */
void demand_peek(struct demand *demand, unsigned service);

/*
 * Tells the other edges, if there are any, what changed, and now and then all. Called once an
 * interval; seldomer than that if it is so much, or so many edges, that they had to verify too
 * much.
 */
void demand_publish(struct demand *demand, double now_s);
