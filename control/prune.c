/* SPDX-License-Identifier: BSD-3-Clause */
#include "prune.h"
#include <math.h>

/* Insertion: there are at most 64, and from one report to the next hardly any moves. */
static unsigned rank(const struct solve_edge *edge, unsigned sites, const double *marginal_s,
		     unsigned order[SL_CANDIDATES_MAX])
{
	double cost_s[SL_CANDIDATES_MAX];
	unsigned count = 0;

	for (unsigned j = 0; j < sites; j++) {
		double cost = edge->delay_s[j] + (isnan(marginal_s[j]) ? 0 : marginal_s[j]);
		unsigned k = count;

		if (!isfinite(edge->delay_s[j]))
			continue;
		for (; k > 0 && cost_s[k - 1] > cost; k--) {
			cost_s[k] = cost_s[k - 1];
			order[k] = order[k - 1];
		}
		cost_s[k] = cost;
		order[k] = j;
		count++;
	}
	return count;
}

void prune_edge(struct solve_edge *edge, const struct solve_site *site, unsigned sites,
		const double *marginal_s, double all_per_s)
{
	unsigned order[SL_CANDIDATES_MAX], count;
	double room = 0;

	if (sites <= PRUNE_SITES)
		return;
	count = rank(edge, sites, marginal_s, order);
	for (unsigned k = 0; k < count; k++) {
		unsigned j = order[k];

		if (k >= PRUNE_SITES && room >= PRUNE_ROOM * all_per_s)
			edge->delay_s[j] = INFINITY;
		room += fmax(0, site[j].queue.cap * queue_capacity_per_s(&site[j].queue) -
					site[j].background_per_s);
	}
}

static bool is_used(const struct solve_edge *edge, unsigned edges, unsigned j)
{
	for (unsigned i = 0; i < edges; i++)
		if (isfinite(edge[i].delay_s[j]))
			return true;
	return false;
}

unsigned prune_columns(struct solve_edge *edge, unsigned edges, struct solve_site *site,
		       unsigned sites, unsigned kept[SL_CANDIDATES_MAX])
{
	unsigned count = 0;

	for (unsigned j = 0; j < sites; j++) {
		if (!is_used(edge, edges, j))
			continue;
		for (unsigned i = 0; i < edges; i++)
			edge[i].delay_s[count] = edge[i].delay_s[j];
		site[count] = site[j];
		kept[count++] = j;
	}
	return count;
}
