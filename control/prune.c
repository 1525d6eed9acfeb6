/* SPDX-License-Identifier: BSD-3-Clause */
#include "prune.h"
#include <math.h>

/* The cheapest `most` sites in order, by insertion: most others are not even looked at twice. */
static unsigned rank(const struct solve_edge *edge, unsigned sites, const double *marginal_s,
		     unsigned most, unsigned order[SL_CANDIDATES_MAX])
{
	double cost_s[SL_CANDIDATES_MAX];
	unsigned count = 0;

	for (unsigned j = 0; j < sites; j++) {
		double cost = edge->delay_s[j] + (isnan(marginal_s[j]) ? 0 : marginal_s[j]);
		unsigned k = count;

		if (!isfinite(edge->delay_s[j]) || (count == most && cost >= cost_s[most - 1]))
			continue;
		if (count < most)
			count++;
		else
			k--;
		for (; k > 0 && cost_s[k - 1] > cost; k--) {
			cost_s[k] = cost_s[k - 1];
			order[k] = order[k - 1];
		}
		cost_s[k] = cost;
		order[k] = j;
	}
	return count;
}

static double room_at(const struct solve_site *site)
{
	double taken = site->queue.cap * queue_capacity_per_s(&site->queue);

	return fmax(0, taken - site->background_per_s);
}

void prune_edge(struct solve_edge *edge, const struct solve_site *site, unsigned sites,
		const double *marginal_s, double all_per_s)
{
	unsigned order[SL_CANDIDATES_MAX], count, kept = 0;
	bool keep[SL_CANDIDATES_MAX] = {};
	double room = 0;

	if (sites <= PRUNE_SITES)
		return;
	count = rank(edge, sites, marginal_s, PRUNE_SITES, order);
	for (; kept < count; kept++) {
		keep[order[kept]] = true;
		room += room_at(&site[order[kept]]);
	}
	if (room < PRUNE_ROOM * all_per_s)
		count = rank(edge, sites, marginal_s, SL_CANDIDATES_MAX, order);
	for (; kept < count && room < PRUNE_ROOM * all_per_s; kept++) {
		keep[order[kept]] = true;
		room += room_at(&site[order[kept]]);
	}
	for (unsigned j = 0; j < sites; j++)
		if (!keep[j])
			edge->delay_s[j] = INFINITY;
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
