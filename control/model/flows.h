/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What edges counted themselves of one service at one site: flows sent there, and flows that
 * closed (a client's FIN or RST passes its edge when the answer is there). Their difference is at
 * the site or on a path, however seldom and late the site reports:
 *
 *	present = base + sum of edges (sent - closed) - transit
 *
 * transit, of each edge: what it sent within the last round trip, as nothing of that can have
 * closed. base is what
 * reports have more than that: flows that nobody counted, less those that ended unseen. Between
 * reports counts also tell when a site has lost its speed: server-seconds of work over closes is
 * the mean service time. Pure. Called by control, once an interval.
 */
#pragma once

#include "estimate.h"

#define FLOWS_PAST 64 /* ticks */

struct flows {
	double open;	   /* sent less closed, of all edges */
	double transit;	   /* of these, sent within a round trip of each edge */
	double closed;	   /* since the last tick, of all edges */
	double base;	   /* smoothed */
	unsigned compared; /* reports in it, up to a bound */
	unsigned returns;  /* of the site, as its estimate had it last */
	double tick_s;	   /* last one; 0: none */
	/* Server-seconds of work, the least and the most that counts allow, and closes in them:
	 * since they last were as it is thought (a cumulative sum test, Page 1954). */
	struct flows_work {
		double busy_s, closes;
	} least, most;
	double counted;	    /* open less transit, at the last tick */
	double idle_from_s; /* nothing there and nothing closed since */
	unsigned ticks;
	struct {
		double at_s, present; /* without base; at_s: site time */
	} past[FLOWS_PAST];
};

/* What one edge counted of this member; zero bytes: nothing yet. */
struct flows_edge {
	double at_s;  /* 0: never */
	double per_s; /* sent, since the time before */
	double transit;
};

/* It counted so many more sent and closed, up to at_s, on a path of path_s one way. */
void flows_count(struct flows *flows, struct flows_edge *edge, double at_s, double path_s,
		 uint64_t sent, uint64_t closed);

/*
 * Counts are up to now: moves the estimate's counted flows and, if closes say so, its service time.
 * path_s: this edge's one-way delay; what is counted now is of the site so long ago. seen: closes
 * of this service pass the edges at all.
 */
void flows_tick(struct flows *flows, struct estimate *estimate, double now_s, double path_s,
		bool seen);

/* A report was taken: base follows what it has more than the counts of that time. */
void flows_compare(struct flows *flows, const struct estimate *estimate);
