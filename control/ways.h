/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways to each site: straight there, and over transit nodes. What the links say proposes a way
 * (overlay.h); proposed ways are probed as a whole before they are used, and what that measures
 * decides. Beside the way in use stands a second one, alive too, to which the dataplane changes by
 * itself.
 *
 * Forward delays: probes come back by the same way however they went, so with r the round trip
 *	delay(way) = delay(straight) + r(way) - r(straight)
 * and only delay(straight) rests on half of a round trip (unless clocks are synchronised).
 */
#pragma once

#include "link.h"
#include "overlay/overlay.h"
#include "state.h"
#include <suanlu/paths.h>

#define WAYS_MAX 8 /* to a site, that are probed */

struct way {
	struct sl_path_name name;
	struct sl_msg_path message; /* how it is probed, and its vias */
	bool proposed;		    /* by the links; it may make room for another */
	unsigned slot;		    /* where it was in the file; a guess */
	double delay_s;		    /* now; infinite: it cannot be used */
};

struct site_ways {
	struct way way[WAYS_MAX]; /* [0]: straight */
	unsigned ways;		  /* 0: not probed */
	int present, second;	  /* -1: none is alive */
	struct overlay_wish wish;
	double straight_s, straight_round_trip_s; /* last known; 0: never measured */
	bool told_unheard;
};

struct ways {
	struct state *state;
	struct link *link;
	struct site_ways *site;
	/* nodes: this one, then sites, then transit nodes */
	struct overlay_link *graph;
	struct overlay_path *best; /* by node */
	bool *transit;
	double proposed_s; /* when links were last looked at */
};

/* Tells the link what is to be probed. 0 or -ENOMEM. */
int ways_open(struct ways *ways, struct state *state, struct link *link);
void ways_close(struct ways *ways);

/*
 * Once an interval: takes the file's measurements (NULL: there is none) into the state, and the
 * ways that follow from them into the link. Every second proposes other ways.
 */
void ways_update(struct ways *ways, const struct sl_paths *map, double now_s);

/* "straight", "via t1, t2"; for people. */
const char *ways_text(const struct ways *ways, unsigned site, char out[SL_PATH_NAME_TEXT]);
