/* SPDX-License-Identifier: BSD-3-Clause */
#include "overlay.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS SL_SEGMENTS_MAX /* links of the longest path */
#define NOWHERE UINT32_MAX

/* The best way to a node by at most so many links, and the node before it on that way. */
struct reach {
	double delay_s;
	unsigned before;
};

static bool is_sound(const struct overlay *overlay)
{
	for (unsigned i = 0; i < overlay->links; i++)
		if (overlay->link[i].from >= overlay->nodes ||
		    overlay->link[i].to >= overlay->nodes)
			return false;
	return true;
}

/* Only what the round before reached is looked at: a path has exactly the links it is given. */
static void relax(const struct overlay *overlay, unsigned from, const struct reach *before,
		  struct reach *now)
{
	for (unsigned i = 0; i < overlay->links; i++) {
		const struct overlay_link *link = &overlay->link[i];
		double delay_s = before[link->from].delay_s + link->delay_s;

		if (link->from != from && !overlay->transit[link->from])
			continue;
		if (delay_s < now[link->to].delay_s && link->to != from)
			now[link->to] = (struct reach){delay_s, link->from};
	}
}

/* Back from a node, round by round; a node that a round did not improve came there before. */
static void trace(const struct reach *reach, unsigned nodes, unsigned from, unsigned to,
		  struct overlay_path *path)
{
	unsigned back[SL_TRANSITS_MAX], n = 0, at = to;

	for (unsigned round = ROUNDS; round > 0; round--) {
		const struct reach *here = &reach[round * nodes + at];

		if (round > 1 && reach[(round - 1) * nodes + at].delay_s <= here->delay_s)
			continue;
		if (here->before == from || here->before == NOWHERE)
			break;
		at = here->before;
		back[n++] = at;
	}
	path->transits = n;
	for (unsigned i = 0; i < n; i++)
		path->transit[i] = back[n - 1 - i];
}

int overlay_paths(const struct overlay *overlay, unsigned from, struct overlay_path *path)
{
	unsigned nodes = overlay->nodes;
	struct reach *reach;

	if (from >= nodes || !is_sound(overlay))
		return -EINVAL;
	reach = malloc((ROUNDS + 1) * (size_t)nodes * sizeof(*reach));
	if (!reach)
		return -ENOMEM;
	for (unsigned v = 0; v < nodes; v++)
		reach[v] = (struct reach){v == from ? 0 : INFINITY, NOWHERE};
	for (unsigned round = 1; round <= ROUNDS; round++) {
		struct reach *now = reach + round * (size_t)nodes, *before = now - nodes;

		memcpy(now, before, nodes * sizeof(*now));
		relax(overlay, from, before, now);
	}
	for (unsigned v = 0; v < nodes; v++) {
		path[v] =
			(struct overlay_path){.delay_s = reach[ROUNDS * (size_t)nodes + v].delay_s};
		if (isfinite(path[v].delay_s) && v != from)
			trace(reach, nodes, from, v, &path[v]);
	}
	free(reach);
	return 0;
}

static int best_of(const double *delay_s, unsigned paths)
{
	int best = -1;

	for (unsigned i = 0; i < paths; i++)
		if (isfinite(delay_s[i]) && (best < 0 || delay_s[i] < delay_s[best]))
			best = (int)i;
	return best;
}

static bool is_worth(double present_s, double other_s)
{
	return present_s - other_s > fmax(OVERLAY_GAIN_S, OVERLAY_GAIN * present_s);
}

int overlay_choose(struct overlay_wish *wish, int present, const double *delay_s, unsigned paths,
		   double now_s)
{
	int best = best_of(delay_s, paths);

	if (present < 0 || (unsigned)present >= paths || !isfinite(delay_s[present])) {
		wish->since_s = 0;
		return best;
	}
	if (best == present || !is_worth(delay_s[present], delay_s[best])) {
		wish->since_s = 0;
		return present;
	}
	if (wish->since_s == 0 || wish->path != best)
		*wish = (struct overlay_wish){best, now_s};
	if (now_s - wish->since_s < OVERLAY_PATIENCE_S)
		return present;
	wish->since_s = 0;
	return best;
}
