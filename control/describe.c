/* SPDX-License-Identifier: BSD-3-Clause */
#include "describe.h"
#include <math.h>

/*
 * What seems to come from nowhere at one site and is missing at another only went there by another
 * share than thought: background counts as far as the excess of all sites together does.
 */
static double background_part(const struct state_member *member, unsigned sites, double now_s)
{
	double all = 0, positive = 0;

	for (unsigned k = 0; k < sites; k++) {
		const struct estimate *estimate = &member[k].estimate;
		if (estimate_state(estimate, now_s) != ESTIMATE_FRESH)
			continue;
		all += estimate->excess_per_s;
		positive += fmax(0, estimate->excess_per_s);
	}
	return positive > 0 ? fmax(0, all) / positive : 0;
}

/* Sites that never reported work as fast as they may, or as the others do. */
static void describe_unheard(const struct state *state, unsigned service, struct solve_site *out)
{
	const struct config_service *s = &state->config->service[service];
	const struct state_member *member = state->service[service].member;
	unsigned sites = s->sites;
	double sum_s = 0, servers = 0;

	for (unsigned k = 0; k < sites; k++) {
		const struct estimate *estimate = &member[k].estimate;
		if (estimate->last_report_s < 0 || !(estimate->service_time_s > 0))
			continue;
		sum_s += estimate->servers * estimate->service_time_s;
		servers += estimate->servers;
	}
	for (unsigned k = 0; k < sites; k++) {
		const struct config_site *site = &state->config->site[s->site[k]];

		if (member[k].estimate.last_report_s >= 0)
			continue;
		if (site->flows_per_s > 0)
			out[k].queue.service_time_s = site->servers / (double)site->flows_per_s;
		else if (servers > 0)
			out[k].queue.service_time_s = sum_s / servers;
	}
}

/* However short it says its work is, a site finishes no more than the operator gave it. */
static void bound_claim(const struct config_site *site, struct queue *queue)
{
	if (site->flows_per_s > 0)
		queue->service_time_s =
			fmax(queue->service_time_s, queue->servers / (double)site->flows_per_s);
}

/*
 * What this node sent within the last round trip, which nobody has seen at the site, is known
 * exactly: by how much it is more than the mean rate has in that time.
 */
static double ahead(const struct state_member *member, double path_s, double now_s)
{
	double since_s = now_s - member->counted.at_s + 2 * path_s;

	if (!(member->counted.at_s > 0))
		return 0;
	return (double)member->uncounted + member->counted.transit - member->own_per_s * since_s;
}

void describe_sites(const struct state *state, unsigned service, double now_s,
		    struct solve_site *out)
{
	struct state_member *member = state->service[service].member;
	unsigned sites = state->config->service[service].sites;
	double part = background_part(member, sites, now_s);

	for (unsigned k = 0; k < sites; k++) {
		struct estimate *estimate = &member[k].estimate;
		unsigned at = state->config->service[service].site[k];

		estimate->ahead = ahead(&member[k], state->site[at].delay_s, now_s);
		out[k].background_per_s = part * fmax(0, estimate->background_per_s);
		estimate->inflow_per_s =
			member[k].own_per_s + member[k].others_per_s + out[k].background_per_s;
		out[k].queue = estimate_queue(estimate, now_s);
		bound_claim(&state->config->site[at], &out[k].queue);
	}
	describe_unheard(state, service, out);
}
