/* SPDX-License-Identifier: BSD-3-Clause */
#include "usable.h"
#include "log.h"
#include <math.h>

#define RETURN_S 0.25 /* longer than an agent's interval */

/* What excludes a member by itself, whatever the others do. */
static enum routes_use excluded(const struct state *state, unsigned service, unsigned k)
{
	const struct config_service *s = &state->config->service[service];

	if (state->site[s->site[k]].drained)
		return ROUTES_DRAINED;
	if (state_lacks(state, service, s->site[k]))
		return ROUTES_LABEL;
	if (state->site[s->site[k]].path_dead)
		return ROUTES_PATH;
	if (state->site[s->site[k]].delay_s > s->max_delay_s)
		return ROUTES_DELAY;
	return ROUTES_USABLE;
}

/*
 * Reports that all stopped do not come back at one instant: until all are there, or for a
 * moment, the first to come back would get everything.
 */
static bool coming_back(struct route *route, unsigned silent, double now_s)
{
	if (route->basis != ROUTES_HELD || silent == 0)
		return false;
	if (route->heard_s == 0)
		route->heard_s = now_s;
	return now_s - route->heard_s < RETURN_S;
}

/*
 * Sites do not send their first reports at one instant either: who has not said anything yet is
 * waited for as long as the reports of the others are valid, at least one interval.
 */
static bool first_is_due(struct route *route, const struct state_member *member, unsigned sites,
			 double now_s)
{
	double valid_s = 0;

	for (unsigned k = 0; k < sites; k++)
		if (estimate_state(&member[k].estimate, now_s) == ESTIMATE_FRESH)
			valid_s = fmax(valid_s, member[k].estimate.valid_until_s -
							member[k].estimate.measured_at_s);
	if (route->first_s == 0)
		route->first_s = now_s;
	return now_s - route->first_s >= valid_s;
}

/* Sites that report by a path that is said to be dead; returns how many. */
static unsigned disbelieve_probes(const struct state_member *member, struct route *route,
				  unsigned sites, double now_s)
{
	unsigned open = 0;

	for (unsigned k = 0; k < sites; k++)
		if (route->use[k] == ROUTES_PATH &&
		    estimate_state(&member[k].estimate, now_s) == ESTIMATE_FRESH) {
			route->use[k] = ROUTES_USABLE;
			open++;
		}
	return open;
}

/*
 * 1. Excluded members are never used. But if all paths are dead and reports still come, then
 *    probes are at fault and not the network: those sites are used.
 * 2. If any of the rest is fresh, only fresh ones are used, and those whose first report is due.
 * 3. If none ever reported, all are, by capacity.
 * 4. If reports were there and all stopped, the fault is more likely on our side than at all
 *    sites at once: the last routes stay.
 */
enum routes_basis usable_decide(const struct routes *routes, unsigned service, double now_s)
{
	const struct state *state = routes->state;
	const struct state_member *member = state->service[service].member;
	struct route *route = &routes->service[service];
	unsigned sites = state->config->service[service].sites;
	unsigned count[3] = {}, open = 0;

	for (unsigned k = 0; k < sites; k++) {
		route->use[k] = excluded(state, service, k);
		open += route->use[k] == ROUTES_USABLE;
	}
	if (open == 0)
		open = disbelieve_probes(member, route, sites, now_s);
	for (unsigned k = 0; k < sites; k++)
		if (route->use[k] == ROUTES_USABLE)
			count[estimate_state(&member[k].estimate, now_s)]++;
	if (open == 0)
		return ROUTES_NOTHING;
	if (count[ESTIMATE_FRESH] == 0) {
		route->heard_s = 0;
		return count[ESTIMATE_SILENT] ? ROUTES_HELD : ROUTES_CAPACITY;
	}
	if (coming_back(route, count[ESTIMATE_SILENT], now_s))
		return ROUTES_HELD;
	bool due = first_is_due(route, member, sites, now_s);
	for (unsigned k = 0; k < sites; k++) {
		enum estimate_state at = estimate_state(&member[k].estimate, now_s);

		if (route->use[k] == ROUTES_USABLE && at != ESTIMATE_FRESH)
			route->use[k] = at == ESTIMATE_SILENT ? ROUTES_SILENT
					: due		      ? ROUTES_NEVER
							      : ROUTES_USABLE;
	}
	return ROUTES_LOAD;
}

void usable_log(const struct state *state, unsigned service, enum routes_basis before,
		enum routes_basis now, bool first)
{
	const char *name = state->config->service[service].name;

	if (before == now && !first)
		return;
	if (now == ROUTES_NOTHING)
		log_warning(
			"service %s: every site is drained, too far, cut off or lacks a label; new "
			"flows are dropped",
			name);
	else if (now == ROUTES_HELD)
		log_warning("service %s: all reports stopped; the last routes stay", name);
	else if (now == ROUTES_LOAD && !first)
		log_info("service %s: routes follow reported load", name);
}
