/* SPDX-License-Identifier: BSD-3-Clause */
#include "target.h"
#include "prune.h"
#include "solve/spread.h"
#include <errno.h>
#include <math.h>
#include <string.h>

#define PAST_S 1

static void target_clear(struct route *route)
{
	memset(route->target, 0, sizeof(route->target));
}

void target_capacities(const struct config *config, unsigned service, const struct route *route,
		       uint32_t capacity[SL_CANDIDATES_MAX])
{
	const struct config_service *s = &config->service[service];
	bool said = true;

	for (unsigned k = 0; k < s->sites; k++)
		said = said &&
		       (route->use[k] != ROUTES_USABLE || config->site[s->site[k]].flows_per_s > 0);
	for (unsigned k = 0; k < s->sites; k++) {
		const struct config_site *site = &config->site[s->site[k]];

		capacity[k] = said ? site->flows_per_s : site->servers;
		if (route->use[k] != ROUTES_USABLE)
			capacity[k] = 0;
	}
}

static void target_capacity(const struct routes *routes, unsigned service, struct route *route)
{
	const struct config *config = routes->state->config;
	unsigned sites = config->service[service].sites;
	uint32_t capacity[SL_CANDIDATES_MAX];
	double sum = 0;

	target_capacities(config, service, route, capacity);
	target_clear(route);
	for (unsigned k = 0; k < sites; k++)
		sum += capacity[k];
	for (unsigned k = 0; sum > 0 && k < sites; k++)
		route->target[k] = capacity[k] / sum;
}

static void target_nearest(const struct routes *routes, unsigned service, struct route *route)
{
	const struct config_service *s = &routes->state->config->service[service];
	const struct state_site *site = routes->state->site;
	int nearest = -1;

	target_clear(route);
	for (unsigned k = 0; k < s->sites; k++)
		if (route->use[k] == ROUTES_USABLE &&
		    (nearest < 0 || site[s->site[k]].delay_s < site[s->site[nearest]].delay_s))
			nearest = (int)k;
	if (nearest >= 0)
		route->target[nearest] = 1;
}

static void remember(struct route *route, double now_s)
{
	if (route->past_s > 0 && now_s - route->past_s < PAST_S)
		return;
	memcpy(route->past[1], route->past_s > 0 ? route->past[0] : route->target,
	       sizeof(route->target));
	memcpy(route->past[0], route->target, sizeof(route->target));
	route->past_s = now_s;
}

/* The last routes, without the members excluded since; by capacity if none is left. */
static void target_held(const struct routes *routes, unsigned service, struct route *route)
{
	unsigned sites = routes->state->config->service[service].sites;
	double sum = 0;

	for (unsigned k = 0; k < sites; k++)
		sum += route->use[k] == ROUTES_USABLE ? route->past[1][k] : 0;
	if (!(sum > 0)) {
		target_capacity(routes, service, route);
		return;
	}
	for (unsigned k = 0; k < sites; k++)
		route->target[k] = route->use[k] == ROUTES_USABLE ? route->past[1][k] / sum : 0;
}

/* Is the site open to another edge, as far as can be told from here? */
static double other_delay_s(const struct routes *routes, unsigned service, unsigned k,
			    unsigned edge, double now_s)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];
	enum routes_use use = routes->service[service].use[k];
	double delay_s = state_edge_delay_s(state, edge, s->site[k], now_s);

	if (use == ROUTES_LABEL || use == ROUTES_SILENT || use == ROUTES_NEVER ||
	    delay_s > s->max_delay_s)
		return INFINITY;
	/* Drained, too far or cut off for this node only: the state of its reports still counts. */
	if (use != ROUTES_USABLE &&
	    estimate_state(&state->service[service].member[k].estimate, now_s) != ESTIMATE_FRESH)
		return INFINITY;
	return delay_s;
}

static void describe_edge(const struct routes *routes, unsigned service, unsigned row, double now_s,
			  struct solve_edge *out)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];
	const struct route *route = &routes->service[service];
	int edge = routes->order[row];

	out->demand_per_s = edge < 0 ? state->service[service].demand_per_s
				     : state->edge[edge].demand_per_s[service];
	for (unsigned k = 0; k < s->sites; k++) {
		if (edge >= 0)
			out->delay_s[k] = other_delay_s(routes, service, k, (unsigned)edge, now_s);
		else
			out->delay_s[k] = route->use[k] == ROUTES_USABLE
						  ? state->site[s->site[k]].delay_s
						  : INFINITY;
	}
}

/* What the other edges send each member: the solution's loads without this node's part. */
static void attribute(const struct routes *routes, unsigned service, const struct solve_edge *edge)
{
	const struct state *state = routes->state;
	struct state_service *s = &state->service[service];
	const struct route *route = &routes->service[service];

	for (unsigned k = 0; k < state->config->service[service].sites; k++) {
		double sum = -edge[routes->own].demand_per_s * route->target[k];

		for (unsigned i = 0; i < routes->edges; i++)
			sum += edge[i].demand_per_s * route->x[i][k];
		s->member[k].others_per_s = fmax(0, sum);
	}
}

/* The same while all edges send by capacity: as this one does. */
static void attribute_alike(const struct routes *routes, unsigned service)
{
	const struct state *state = routes->state;
	struct state_service *s = &state->service[service];

	for (unsigned k = 0; k < state->config->service[service].sites; k++) {
		s->member[k].others_per_s = 0;
		for (unsigned i = 0; i < state->config->edges; i++)
			s->member[k].others_per_s += state->edge[i].demand_per_s[service] *
						     routes->service[service].target[k];
	}
}

/* Each row keeps the sites that its edge may need. */
static void prune_rows(const struct routes *routes, unsigned service, const struct solve_site *site,
		       struct solve_edge *edge)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];
	const struct route *route = &routes->service[service];
	double marginal_s[SL_CANDIDATES_MAX], all_per_s = 0;

	if (s->sites <= PRUNE_SITES)
		return;
	for (unsigned k = 0; k < s->sites; k++)
		marginal_s[k] = route->marginal_s[k] - state->site[s->site[k]].delay_s;
	for (unsigned i = 0; i < routes->edges; i++)
		all_per_s += edge[i].demand_per_s;
	for (unsigned i = 0; i < routes->edges; i++)
		prune_edge(&edge[i], site, s->sites, marginal_s, all_per_s);
}

/* The solver sees the sites that are left; x has the numbers of all, target this node's shares. */
static int solve_kept(const struct routes *routes, struct route *route, unsigned sites,
		      const struct solve_site *site, struct solve_edge *edge,
		      struct solve_result *result)
{
	struct solve_site some[SL_CANDIDATES_MAX];
	solve_row x[SOLVE_EDGES_MAX];
	unsigned kept[SL_CANDIDATES_MAX];
	struct solve_problem problem = {.edges = routes->edges, .edge = edge, .site = some};

	memcpy(some, site, sites * sizeof(*site));
	problem.sites = prune_columns(edge, routes->edges, some, sites, kept);
	for (unsigned i = 0; i < routes->edges; i++)
		for (unsigned k = 0; k < problem.sites; k++)
			x[i][k] = route->x[i][kept[k]];
	if (solve(&problem, x, result) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < routes->edges; i++) {
		memset(route->x[i], 0, sizeof(route->x[i]));
		for (unsigned k = 0; k < problem.sites; k++)
			route->x[i][kept[k]] = x[i][k];
	}
	spread(&problem, x);
	target_clear(route);
	for (unsigned k = 0; k < problem.sites; k++)
		route->target[kept[k]] = x[routes->own][k];
	return 0;
}

/* Solves and takes this node's row; false if the inputs were refused. */
static bool target_solve(struct routes *routes, unsigned service, struct route *route,
			 const struct solve_site *site, double now_s)
{
	struct solve_edge edge[SOLVE_EDGES_MAX];
	struct solve_result result;

	for (unsigned i = 0; i < routes->edges; i++)
		describe_edge(routes, service, i, now_s, &edge[i]);
	prune_rows(routes, service, site, edge);
	if (solve_kept(routes, route, routes->state->config->service[service].sites, site, edge,
		       &result) < 0) {
		routes->refused++;
		return false;
	}
	routes->solved++;
	routes->rounds += result.rounds;
	attribute(routes, service, edge);
	return true;
}

void target_decide(struct routes *routes, unsigned service, enum routes_basis basis,
		   const struct solve_site *site, double now_s)
{
	struct route *route = &routes->service[service];

	if (basis == ROUTES_NOTHING)
		target_clear(route);
	else if (basis == ROUTES_HELD)
		target_held(routes, service, route);
	else if (routes->state->config->steering == CONFIG_STEERING_NEAREST)
		target_nearest(routes, service, route);
	else if (basis == ROUTES_CAPACITY) {
		target_capacity(routes, service, route);
		attribute_alike(routes, service);
	} else if (!target_solve(routes, service, route, site, now_s))
		target_held(routes, service, route);
	if (basis == ROUTES_LOAD || basis == ROUTES_CAPACITY)
		remember(route, now_s);
}
