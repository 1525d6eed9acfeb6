/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this node knows now: of sites by their reports, of other edges by theirs, of its
 * own demand by its dataplane's counters. Everything has an age; nothing here decides.
 *
 * Who writes: reports through state_*_report; own_* and demand by demand.c; others_per_s by
 * routes.c; drained by answer.c. All in control's event loop. now_s is CLOCK_MONOTONIC.
 */
#pragma once

#include "model/flows.h"
#include "reaction.h"
#include <search.h>
#include <stdbool.h>
#include <suanlu/config.h>
#include <suanlu/telemetry.pb-c.h>

#define STATE_PLACES 32 /* more of a site's services are looked up by name each time */

struct state_place {
	const char *name; /* of the service; NULL: nothing is here yet */
	struct state_service *service;
	struct state_member *member;
};

struct state_site {
	bool drained;
	double delay_s;	   /* of the path there, one way: configured, then measured (ways.c) */
	double delay_at_s; /* when it was measured; negative: it was not */
	bool path_dead;	   /* no way there is alive (ways.c) */
	double link_s; /* measured straight there, without transit nodes; 0: not, or it is dead */
	double last_report_s; /* negative: never */
	double valid_until_s;
	char label[SL_LABELS_MAX][SL_NAME_MAX]; /* what it says of itself */
	unsigned labels;
	double price_per_hour, pue;		/* so too; 0: nothing */
	struct state_place place[STATE_PLACES]; /* of what it reported last, in that order */
	uint32_t instance, instance_before;	/* of its publisher; 0: not said */
	double instance_s;			/* since when it is this one */
	uint64_t instance_conflicts;
};

/* A member is one service at one site. */
struct state_member {
	struct estimate estimate;
	double own_per_s;    /* new flows that this node sends there */
	double others_per_s; /* the same of the other edges, by their demand and our solution */
	struct flows_edge counted;	 /* of this node */
	uint64_t uncounted;		 /* what it sent since; set before routes are updated */
	double sent;			 /* integral of both; routes.c */
	double sent_before, reported_s;	 /* at the last report; 0: none yet */
	const Suanlu__ServiceLoad *said; /* the site's last word on it; NULL: none */
	Suanlu__Report *said_in;	 /* held: unpack.h */
	struct flows flows;		 /* last: its past is long and most of it cold */
};

struct state_service {
	double demand_per_s; /* this node's new flows */
	uint64_t flows;	     /* total since start */
	struct state_member *member;
	unsigned first;		     /* of its members in state_edge.count */
	double sent, closed;	     /* flows of all edges and members, of the last seconds */
	bool counted;		     /* some edge counted flows of it, ever */
	bool dirty;		     /* a report came since its routes were last solved */
	struct reaction_cause cause; /* the first of those */
};

struct state_edge {
	double last_report_s; /* negative: never */
	double valid_for_s;
	double *demand_per_s; /* by service */
	struct state_count {
		uint64_t sent, closed;
		struct flows_edge edge;
	} * count;	    /* by service and member: totals that it told last */
	double *delay_s;    /* by site */
	double *delay_at_s; /* when it said so; negative: never */
};

#define STATE_LINKS_MAX 256 /* of a transit node; more are not listened to */

struct state_link {
	unsigned target; /* sites, then transit nodes */
	double delay_s;	 /* 0: there is none now */
	double at_s;	 /* when it said so */
};

struct state_transit {
	double link_s; /* from here, measured; 0: not, or it is dead */
	double last_report_s, valid_for_s;
	struct state_link *link; /* as it says */
	unsigned links;
};

struct state {
	const struct config *config;
	struct state_site *site;
	struct state_service *service;
	struct state_edge *edge;
	struct state_transit *transit;
	struct hsearch_data site_names, service_names, transit_names;
};

int state_open(struct state *state, const struct config *config);
void state_close(struct state *state);

int state_find_site(struct state *state, const char *name);    /* index, -1: none */
int state_find_service(struct state *state, const char *name); /* index, -1: none */

/* A report that says it is of this site will be looked at: what it changes comes from memory while
 * the signature is checked. */
void state_site_expect(const struct state *state, unsigned site);

/* A verified report of a site arrived; measured_s is its measurement on our clock. */
void state_site_report(struct state *state, unsigned site, const Suanlu__Report *report,
		       double now_s, double measured_s, uint64_t received_ns);

/* The same report is held for its loads (unpack.h): what was said is kept as it was said. */
void state_site_said(struct state *state, unsigned site, Suanlu__Report *report);

/* A verified report of another edge. */
void state_edge_report(struct state *state, unsigned edge, const Suanlu__Report *report,
		       double now_s);

/* A verified report of a transit node. */
void state_transit_report(struct state *state, unsigned transit, const Suanlu__Report *report,
			  double now_s);

/* Does a link of it count: was it said so lately? */
bool state_link_lives(const struct state_transit *transit, const struct state_link *link,
		      double now_s);

/* Flows that a member had already when counting began. */
void state_found(struct state *state, unsigned service, unsigned member, double flows);

/* Flows of a member since this node last counted. */
void state_count(struct state *state, unsigned service, unsigned member, double now_s,
		 uint64_t sent, uint64_t closed);

/* All counts are up to now: brings what is known of flows there. Once an interval. */
void state_tick(struct state *state, double now_s);

enum estimate_state state_site_state(const struct state *state, unsigned site, double now_s);

/* Its demand counts: it was heard within the last 5 validities. */
bool state_edge_live(const struct state *state, unsigned edge, double now_s);
/* Its delay to a site; infinite if it has not said so lately. */
double state_edge_delay_s(const struct state *state, unsigned edge, unsigned site, double now_s);

/* The first label that the service requires and the site lacks; NULL: none. */
const char *state_lacks(const struct state *state, unsigned service, unsigned site);
