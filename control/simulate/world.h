/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated network: clients' requests come to edges, a policy sends each to a site over
 * the path's delay, a site works on as many as it has servers and queues the others in order of
 * arrival; the answer goes straight back. A request's time is path delay + waiting + work.
 *
 * A request that meets a dead site, or dies with it, is asked again by its client `timeout`
 * later; its time goes on. Sites report every interval, each at its own phase; reports travel
 * over the path like requests do. All that depends on chance but the policies' choices is the
 * same for every policy of a seed.
 */
#pragma once

#include "heap.h"
#include "policy.h"
#include "random.h"
#include "result.h"
#include "scenario.h"
#include "workload.h"

#define WORLD_NONE UINT32_MAX

enum event_kind {
	EVENT_ARRIVAL, /* at an edge; index: edge */
	EVENT_AT_SITE, /* request */
	EVENT_DONE,    /* request */
	EVENT_AGAIN,   /* request */
	EVENT_MEASURE, /* site */
	EVENT_REPORT,  /* delivery */
	EVENT_TICK,    /* edge: demand is counted */
	EVENT_CHANGE,  /* scenario event, 2 i + whether it ends */
	EVENT_POLICY,  /* the policy's own */
	EVENT_SECOND,  /* statistics */
};

struct request {
	double born_s;
	double work;
	double at_site_s;
	uint32_t next;	/* in a queue or the free list */
	uint32_t epoch; /* of the site when it came */
	uint16_t edge, site;
	uint32_t seen; /* requests at the site when it came */
};

struct world_site {
	uint32_t servers, busy, queued;
	uint32_t head, tail; /* queue */
	uint32_t in_transit; /* on their way to it */
	uint32_t epoch;	     /* rises when the site dies */
	bool lost;
	double slowness; /* seconds per work */
	double lag_s;
	double died_s;
	/* its meter, as an agent has */
	uint64_t arrivals, completions, metered_arrivals, metered_completions;
	double metered_s;
	/* Exponentially forgotten: completions, their times and squares; server-seconds of work,
	 * which over completions is the mean that those still being worked on do not bias. */
	double weight, mean, square, occupied_s;
	double moved_s; /* when busy last changed */
	double busy_s;	/* server-seconds of work, measured part */
};

/* A report on its way, one for each edge that it reaches. */
struct delivery {
	struct report report;
	uint32_t next;
	uint16_t edge;
};

/* When flows that an edge sent to a site close, as it sees them: in the order of time. */
struct closing {
	double *at_s;
	uint32_t first, count, room;
	uint64_t closed;
};

struct world {
	const struct scenario *scenario;
	const struct policy *policy;
	void *private;	      /* the policy's */
	struct random random; /* of the policy's choices */
	struct random network;
	double now_s, end_s;
	struct heap heap;
	struct workload load[SCENARIO_EDGES_MAX];
	double next_work[SCENARIO_EDGES_MAX];
	struct world_site site[SCENARIO_SITES_MAX];
	struct view view[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX];
	struct request *request;
	uint32_t requests, free_request;
	struct closing closing[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX];
	struct delivery *delivery;
	uint32_t deliveries, free_delivery;
	uint64_t outstanding; /* came and not answered yet */
	bool out_of_memory;
	struct result *result;
	uint32_t sent[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX]; /* this second */
	uint32_t sent_before[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX];
};

/*
 * Runs the scenario under a policy. progress (may be NULL) is called now and then with the part
 * done. 0 or -ENOMEM; result is filled in.
 */
int world_run(const struct scenario *scenario, const struct policy *policy, struct result *result,
	      void (*progress)(void *argument, double part), void *argument);

/* Flows of this edge that closed, as far as it has seen them: the client ends when it has its
 * answer.
 */
uint64_t world_closed(struct world *world, unsigned edge, unsigned site);

void world_push(struct world *world, double at_s, enum event_kind kind, uint32_t index);

/* For policies: an event of their own, handed to policy->event at at_s. */
void world_event(struct world *world, double at_s, uint32_t index);
