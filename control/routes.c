/* SPDX-License-Identifier: BSD-3-Clause */
#include "routes.h"
#include "describe.h"
#include "target.h"
#include "usable.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL_S 0.05	/* how often sites without a share are looked at too */
#define SWING_S 0.25	/* a share goes from 0 to 1 in no less */
#define SHARE_OFF 0.001 /* a used site with less gets none */
#define SHARE_ON 0.005	/* an unused site with less stays unused */
#define DRAWS_LEAST 2	/* however many edges there are */
#define WAIT_MAX_S 1e6
#define WAIT_WORTH 0.05	  /* of a service time: a smaller change of a wait is not told */
#define WAIT_GAP_S 0.01	  /* nor one so soon after another */
#define SHARE_WORTH 0.005 /* a smaller change is not published */

static int by_name(const void *a, const void *b, void *config)
{
	const struct config *c = config;
	int i = *(const int *)a, k = *(const int *)b;

	return strcmp(i < 0 ? c->node : c->edge[i].name, k < 0 ? c->node : c->edge[k].name);
}

int routes_open(struct routes *routes, struct state *state)
{
	const struct config *config = state->config;

	*routes = (struct routes){.state = state, .edges = config->edges + 1};
	for (unsigned i = 0; i < routes->edges; i++)
		routes->order[i] = (int)i - 1;
	/* Every edge solves in the same order, so all find the same solution. */
	qsort_r(routes->order, routes->edges, sizeof(int), by_name, (void *)config);
	while (routes->order[routes->own] >= 0)
		routes->own++;
	routes->service = calloc(config->services + 1, sizeof(*routes->service));
	if (!routes->service)
		return -ENOMEM;
	for (unsigned i = 0; i < config->services; i++) {
		routes->service[i].draws = 1;
		routes->service[i].x = calloc(routes->edges, sizeof(solve_row));
		if (!routes->service[i].x) {
			routes_close(routes);
			return -ENOMEM;
		}
	}
	return 0;
}

void routes_close(struct routes *routes)
{
	for (unsigned i = 0; routes->service && i < routes->state->config->services; i++)
		free(routes->service[i].x);
	free(routes->service);
	routes->service = NULL;
}

/* Unusable members lose their share at once, the others take it in proportion. */
static bool drop_unusable(struct route *route, unsigned sites)
{
	double sum = 0;

	for (unsigned k = 0; k < sites; k++) {
		if (route->use[k] != ROUTES_USABLE)
			route->share[k] = 0;
		sum += route->share[k];
	}
	for (unsigned k = 0; sum > 0 && k < sites; k++)
		route->share[k] /= sum;
	return sum > 0;
}

/*
 * All shares go the same part of their way, so that they still sum to 1 and none rises by more than
 * elapsed / SWING_S.
 */
static void move(const struct routes *routes, struct route *route, unsigned sites, double now_s)
{
	bool some = drop_unusable(route, sites);
	double elapsed_s = now_s - route->moved_s, rise = 0, part = 1;

	for (unsigned k = 0; k < sites; k++)
		rise = fmax(rise, route->target[k] - route->share[k]);
	if (routes->settled && some && route->moved_s > 0 && rise > elapsed_s / SWING_S)
		part = elapsed_s / SWING_S / rise;
	for (unsigned k = 0; k < sites; k++)
		route->share[k] += part * (route->target[k] - route->share[k]);
	route->moved_s = now_s;
}

/*
 * Of sites without a share only when there is news of them, and every now and then: with many
 * sites theirs would be most of the work.
 */
static void predict(const struct routes *routes, unsigned service, struct route *route,
		    const struct solve_site *site, double now_s)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];

	const struct queue *queue[SL_CANDIDATES_MAX];
	double arrivals_per_s[SL_CANDIDATES_MAX];
	struct queue_delay delay[SL_CANDIDATES_MAX];
	unsigned kept[SL_CANDIDATES_MAX], n = 0;
	bool all = now_s - route->all_s >= ALL_S;

	if (all)
		route->all_s = now_s;
	route->predicted_s = route->basis == ROUTES_NOTHING ? NAN : 0;
	for (unsigned k = 0; k < s->sites; k++) {
		const struct state_member *member = &state->service[service].member[k];

		if (!all && route->share[k] <= 0 && route->target[k] <= 0 &&
		    member->estimate.last_report_s < route->predicted_at_s)
			continue;
		kept[n] = k;
		queue[n] = &site[k].queue;
		arrivals_per_s[n++] = member->others_per_s + site[k].background_per_s +
				      state->service[service].demand_per_s * route->share[k];
	}
	queue_delays(n, queue, arrivals_per_s, delay);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = kept[i];
		const struct state_member *member = &state->service[service].member[k];
		double delay_s = state->site[s->site[k]].delay_s;
		bool known = member->estimate.last_report_s >= 0;

		route->arrivals_per_s[k] = arrivals_per_s[i];
		route->response_s[k] = known ? delay[i].response_s : NAN;
		route->marginal_s[k] = known ? delay_s + delay[i].marginal_s : NAN;
		if (route->share[k] > 0)
			route->predicted_s += route->share[k] * (delay_s + route->response_s[k]);
	}
	route->predicted_at_s = now_s;
}

/* RFC 10054 R15: how good is the selection, by the model, while it runs? */
static void judge(const struct routes *routes, unsigned service, struct route *route,
		  const struct solve_site *site)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];
	double demand = state->service[service].demand_per_s, cost = 0;
	const struct queue *queue[2 * SL_CANDIDATES_MAX];
	double arrivals_per_s[2 * SL_CANDIDATES_MAX]; /* now and at best of each in turn */
	struct queue_delay delay[2 * SL_CANDIDATES_MAX];
	unsigned n = 0;

	for (unsigned k = 0; k < s->sites; k++) {
		double others =
			state->service[service].member[k].others_per_s + site[k].background_per_s;
		double now = demand * route->weight[k] / ROUTES_WEIGHT_SUM;
		double best = demand * route->target[k];

		if (now == best) /* so often zero */
			continue;
		cost += (now - best) * state->site[s->site[k]].delay_s;
		queue[n] = queue[n + 1] = &site[k].queue;
		arrivals_per_s[n++] = others + now;
		arrivals_per_s[n++] = others + best;
	}
	queue_delays(n, queue, arrivals_per_s, delay);
	for (unsigned i = 0; i < n; i += 2)
		cost += arrivals_per_s[i] * delay[i].response_s -
			arrivals_per_s[i + 1] * delay[i + 1].response_s;
	route->regret_s = route->basis == ROUTES_LOAD && demand > 0 ? fmax(0, cost / demand) : NAN;
}

/* To weights; true if they differ from the published ones by enough. */
static bool quantise(struct route *route, unsigned sites)
{
	uint32_t weight[SL_CANDIDATES_MAX];
	bool worth = false;

	for (unsigned k = 0; k < sites; k++) {
		double least = route->weight[k] ? SHARE_OFF : SHARE_ON;
		double before = route->weight[k] / (double)ROUTES_WEIGHT_SUM;

		if (route->share[k] < least && route->target[k] < least)
			weight[k] = 0;
		else if (route->share[k] < least)
			weight[k] =
				route->weight[k] ? (uint32_t)(SHARE_OFF * ROUTES_WEIGHT_SUM) : 0;
		else
			weight[k] = (uint32_t)lround(route->share[k] * ROUTES_WEIGHT_SUM);
		worth |= fabs(route->share[k] - before) > SHARE_WORTH;
		worth |= (weight[k] == 0) != (route->weight[k] == 0);
	}
	if (worth)
		memcpy(route->weight, weight, sites * sizeof(*weight));
	return worth;
}

/*
 * Of the best of how many draws flows take. What this edge sends it knows at once, what others send
 * only when they tell: the more of all is its own, the nearer to the least wait it may go without
 * meeting the others there. The line is by simulation of 1 to 12 edges.
 */
static unsigned draws(const struct state *state, unsigned service)
{
	const struct state_service *s = &state->service[service];
	double own = s->demand_per_s, all = own;

	for (unsigned k = 0; k < state->config->service[service].sites; k++)
		all += s->member[k].others_per_s;
	double part = all > 0 ? own / all : 1.0 / (1 + state->config->edges);
	return DRAWS_LEAST + (unsigned)lround((SL_DRAWS_MAX - DRAWS_LEAST) * part);
}

/*
 * What the dataplane compares its draws by. True if that changed for a site in use by enough to be
 * told, and was not told just now: the dataplane counts itself what it sends.
 */
static bool know(const struct state *state, unsigned service, struct route *route,
		 const struct solve_site *site, bool worth, double now_s)
{
	float wait_s[SL_CANDIDATES_MAX] = {0}, step_s[SL_CANDIDATES_MAX] = {0};
	bool late = now_s - route->told_s >= WAIT_GAP_S;
	unsigned best_of = draws(state, service);

	for (unsigned k = 0; k < state->config->service[service].sites; k++) {
		const struct estimate *estimate = &state->service[service].member[k].estimate;
		const struct queue *queue = &site[k].queue;

		if (route->weight[k] == 0)
			continue;
		if (route->basis == ROUTES_LOAD && estimate->last_report_s >= 0) {
			wait_s[k] =
				(float)fmin(estimate_wait_s(estimate, queue, now_s), WAIT_MAX_S);
			step_s[k] = (float)(1 / queue_capacity_per_s(queue));
		}
		worth |= (step_s[k] > 0) != (route->step_s[k] > 0);
		worth |= late &&
			 fabsf(wait_s[k] - route->wait_s[k]) > WAIT_WORTH * queue->service_time_s;
	}
	worth |= late && best_of != route->draws;
	if (!worth)
		return false;
	route->draws = best_of;
	memcpy(route->wait_s, wait_s, sizeof(wait_s));
	memcpy(route->step_s, step_s, sizeof(step_s));
	route->told_s = now_s;
	return true;
}

static void count_sent(struct state_member *member, unsigned sites, double elapsed_s)
{
	for (unsigned k = 0; k < sites; k++)
		member[k].sent += elapsed_s * (member[k].own_per_s + member[k].others_per_s);
}

/* The dataplane decides by itself when a path dies: who may then take what is left. */
static bool stand_by(const struct config *config, unsigned service, struct route *route)
{
	uint32_t standby[SL_CANDIDATES_MAX] = {0};
	bool changed;

	target_capacities(config, service, route, standby);
	changed = memcmp(route->standby, standby, sizeof(standby)) != 0;
	memcpy(route->standby, standby, sizeof(standby));
	return changed;
}

bool routes_update(struct routes *routes, unsigned service, double now_s)
{
	struct route *route = &routes->service[service];
	struct state *state = routes->state;
	unsigned sites = state->config->service[service].sites;
	struct solve_site site[SL_CANDIDATES_MAX];
	enum routes_basis basis = usable_decide(routes, service, now_s);
	bool first = route->moved_s == 0;

	usable_log(state, service, route->basis, basis, first);
	if (!first)
		count_sent(state->service[service].member, sites, now_s - route->moved_s);
	route->basis = basis;
	describe_sites(state, service, now_s, site);
	target_decide(routes, service, basis, site, now_s);
	move(routes, route, sites, now_s);
	predict(routes, service, route, site, now_s);
	bool worth = quantise(route, sites);
	worth |= stand_by(state->config, service, route);
	worth = know(state, service, route, site, worth, now_s);
	judge(routes, service, route, site);
	return worth;
}
