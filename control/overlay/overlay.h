/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lowest-delay paths over the overlay, of at most SL_TRANSITS_MAX transit nodes, and when to
 * change to another. Pure.
 *
 * Bellman-Ford by number of links, cut after SL_SEGMENTS_MAX rounds: each round looks at each
 * link once, so the cost is O(links) and from nothing: 8,000 links take some tens of microseconds,
 * and no result of an earlier time has to be kept right.
 */
#pragma once

#include <stdbool.h>
#include <suanlu/route.h>

struct overlay_link {
	unsigned from, to; /* nodes */
	double delay_s;	   /* one way, not negative; infinite or NaN: no link */
};

struct overlay {
	unsigned nodes, links;
	const struct overlay_link *link;
	const bool *transit; /* by node: packets may pass it */
};

struct overlay_path {
	double delay_s; /* infinite: none */
	unsigned transits;
	unsigned transit[SL_TRANSITS_MAX]; /* nodes, in travel order */
};

/*
 * The best path from `from` to each node (path[nodes]); of equal ones that with fewer transit
 * nodes. 0 or -ENOMEM; a link between nodes that do not exist is -EINVAL.
 */
int overlay_paths(const struct overlay *overlay, unsigned from, struct overlay_path *path);

/*
 * A change of path must be worth it, for a while: delays vary, and packets overtake each other
 * when they change their path. Zero bytes: no wish yet.
 */
#define OVERLAY_GAIN 0.1      /* of the present delay */
#define OVERLAY_GAIN_S 0.0005 /* and at least so much */
#define OVERLAY_PATIENCE_S 1.0

struct overlay_wish {
	int path;	/* that was better, by the caller's numbers */
	double since_s; /* 0: none is */
};

/*
 * Which of `paths` to use: present or another. delay_s[i] infinite: cannot be used now. From one
 * that cannot, or from none (-1), the best is taken at once; -1 if there is none.
 */
int overlay_choose(struct overlay_wish *wish, int present, const double *delay_s, unsigned paths,
		   double now_s);
