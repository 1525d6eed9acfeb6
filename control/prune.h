/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of the many sites that offer a service an edge needs few: those where its next flow would finish
 * first, and so many of them that they could take all that all edges have. The solver then works on
 * about 16 sites for each edge, however many there are. Since used sites all have the least
 * marginal delay, they stay; another comes in as soon as it is cheaper than the dearest of them.
 *
 * Every edge prunes every edge's row alike, from the same reports, so that all still solve the same
 * problem. Pure.
 */
#pragma once

#include "solve/solve.h"

#define PRUNE_SITES 16
#define PRUNE_ROOM 2 /* capacity of the sites kept beside background, times all edges' demand */

/*
 * Sites of `edge` beyond those kept become not allowed (delay infinite). marginal_s[j]: what one
 * more flow would take at site j now, without the path; NaN: not known, then only the path counts.
 * all_per_s: demand of all edges together.
 */
void prune_edge(struct solve_edge *edge, const struct solve_site *site, unsigned sites,
		const double *marginal_s, double all_per_s);

/* Columns of sites that no edge may use go away: kept[] gets the others' numbers; how many. */
unsigned prune_columns(struct solve_edge *edge, unsigned edges, struct solve_site *site,
		       unsigned sites, unsigned kept[SL_CANDIDATES_MAX]);
