/* SPDX-License-Identifier: BSD-3-Clause */
#include "carry.h"
#include <string.h>

/* Where `to`'s service i has its k-th site in the service `from` of the old configuration; -1. */
static int member_before(const struct config *to, unsigned i, unsigned k, const struct config *from,
			 unsigned before)
{
	const char *name = to->site[to->service[i].site[k]].name;
	const struct config_service *old = &from->service[before];

	for (unsigned m = 0; m < old->sites; m++)
		if (strcmp(from->site[old->site[m]].name, name) == 0)
			return (int)m;
	return -1;
}

static int edge_before(const struct config *from, const char *name)
{
	for (unsigned i = 0; i < from->edges; i++)
		if (strcmp(from->edge[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* --- state ---------------------------------------------------------------------------------- */

static void carry_service(struct state *to, unsigned i, struct state *from, unsigned before)
{
	const struct config *config = to->config;
	struct state_service *service = &to->service[i];
	struct state_service *old = &from->service[before];

	service->demand_per_s = old->demand_per_s;
	service->flows = old->flows;
	service->counted = old->counted;
	service->dirty = old->dirty || !config_same_service(config, i, from->config, before);
	service->cause = old->cause;
	for (unsigned k = 0; k < config->service[i].sites; k++) {
		int m = member_before(config, i, k, from->config, before);

		if (m < 0)
			continue;
		service->member[k] = old->member[m];
		old->member[m].said_in = NULL; /* is held once */
		estimate_bound(&service->member[k].estimate,
			       config->site[config->service[i].site[k]].servers);
	}
}

static void carry_edge(struct state *to, unsigned i, struct state *from, unsigned before)
{
	struct state_edge *edge = &to->edge[i];
	const struct state_edge *old = &from->edge[before];

	edge->last_report_s = old->last_report_s;
	edge->valid_for_s = old->valid_for_s;
	for (unsigned k = 0; k < to->config->services; k++) {
		int service = state_find_service(from, to->config->service[k].name);

		if (service >= 0)
			edge->demand_per_s[k] = old->demand_per_s[service];
	}
	for (unsigned k = 0; k < to->config->sites; k++) {
		int site = state_find_site(from, to->config->site[k].name);

		if (site < 0)
			continue;
		edge->delay_s[k] = old->delay_s[site];
		edge->delay_at_s[k] = old->delay_at_s[site];
	}
}

/* What was measured goes on counting where it still is. */
static void carry_delay(struct state_site *site, const struct config_site *config)
{
	if (site->delay_at_s >= 0 && !config->delay_fixed &&
	    !IN6_IS_ADDR_UNSPECIFIED(&config->reflector))
		return;
	site->delay_s = config->delay_s;
	site->delay_at_s = -1;
	site->path_dead = false;
}

void carry_state(struct state *to, struct state *from)
{
	for (unsigned i = 0; i < to->config->sites; i++) {
		int before = state_find_site(from, to->config->site[i].name);

		if (before < 0)
			continue;
		to->site[i] = from->site[before];
		memset(to->site[i].place, 0, sizeof(to->site[i].place));
		carry_delay(&to->site[i], &to->config->site[i]);
	}
	for (unsigned i = 0; i < to->config->services; i++) {
		int before = state_find_service(from, to->config->service[i].name);

		to->service[i].dirty = true;
		if (before >= 0)
			carry_service(to, i, from, (unsigned)before);
	}
	for (unsigned i = 0; i < to->config->edges; i++) {
		int before = edge_before(from->config, to->config->edge[i].name);

		if (before >= 0)
			carry_edge(to, i, from, (unsigned)before);
	}
}

/* --- routes --------------------------------------------------------------------------------- */

static void carry_member(struct route *to, unsigned k, const struct route *from, unsigned m)
{
	to->use[k] = from->use[m];
	to->target[k] = from->target[m];
	to->share[k] = from->share[m];
	to->weight[k] = from->weight[m];
	to->standby[k] = from->standby[m];
	to->arrivals_per_s[k] = from->arrivals_per_s[m];
	to->response_s[k] = from->response_s[m];
	to->marginal_s[k] = from->marginal_s[m];
	for (unsigned i = 0; i < 2; i++)
		to->past[i][k] = from->past[i][m];
}

/* The row of the same edge in the old solution; -1: it is new. Rows are sorted by name. */
static int row_before(const struct routes *to, unsigned row, const struct routes *from)
{
	int edge = to->order[row];

	if (edge < 0)
		return (int)from->own;
	edge = edge_before(from->state->config, to->state->config->edge[edge].name);
	for (unsigned i = 0; edge >= 0 && i < from->edges; i++)
		if (from->order[i] == edge)
			return (int)i;
	return -1;
}

static void carry_route(struct routes *to, unsigned i, const struct routes *from, unsigned before)
{
	const struct config *config = to->state->config;
	const struct route *old = &from->service[before];
	struct route *route = &to->service[i];

	route->basis = old->basis;
	route->predicted_s = old->predicted_s;
	route->regret_s = old->regret_s;
	route->past_s = old->past_s;
	route->first_s = old->first_s;
	route->heard_s = old->heard_s;
	route->moved_s = old->moved_s;
	for (unsigned k = 0; k < config->service[i].sites; k++) {
		int m = member_before(config, i, k, from->state->config, before);

		if (m < 0)
			continue;
		carry_member(route, k, old, (unsigned)m);
		for (unsigned row = 0; row < to->edges; row++) {
			int r = row_before(to, row, from);

			if (r >= 0)
				route->x[row][k] = old->x[r][m];
		}
	}
}

void carry_routes(struct routes *to, const struct routes *from)
{
	to->settled = from->settled;
	to->solved = from->solved;
	to->rounds = from->rounds;
	to->refused = from->refused;
	for (unsigned i = 0; i < to->state->config->services; i++) {
		int before = state_find_service(from->state, to->state->config->service[i].name);

		if (before >= 0)
			carry_route(to, i, from, (unsigned)before);
	}
}

/* --- demand --------------------------------------------------------------------------------- */

static void carry_rates(struct demand *to, unsigned i, const struct demand *from, unsigned before)
{
	to->service[i] = from->service[before];
	for (unsigned k = 0; k < to->config->service[i].sites; k++) {
		unsigned index = to->counters.first[i] + k, old;
		int m = member_before(to->config, i, k, from->config, before);

		if (m < 0)
			continue;
		old = from->counters.first[before] + (unsigned)m;
		to->member[index] = from->member[old];
		to->total[index] = from->total[old];
		to->closed[index] = from->closed[old];
		to->counted[index] = from->counted[old];
	}
}

void carry_demand(struct demand *to, struct demand *from)
{
	to->sampled_s = from->sampled_s;
	to->counting_s = from->counting_s;
	to->publish_failed = from->publish_failed;
	for (unsigned i = 0; i < to->config->services; i++) {
		int before = state_find_service(from->state, to->config->service[i].name);

		if (before >= 0)
			carry_rates(to, i, from, (unsigned)before);
	}
	counters_carry(&to->counters, &from->counters);
}
