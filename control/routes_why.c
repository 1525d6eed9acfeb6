/* SPDX-License-Identifier: BSD-3-Clause */
#include "routes.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

double routes_published_share(const struct routes *routes, unsigned service, unsigned member)
{
	const struct route *route = &routes->service[service];
	double sum = 0;

	for (unsigned k = 0; k < routes->state->config->service[service].sites; k++)
		sum += route->weight[k];
	return sum > 0 ? route->weight[member] / sum : 0;
}

/* How much one more flow would cost here above the cheapest usable member. */
static double dearer_s(const struct routes *routes, unsigned service, unsigned member)
{
	const struct route *route = &routes->service[service];
	double least = INFINITY;

	for (unsigned k = 0; k < routes->state->config->service[service].sites; k++)
		if (route->use[k] == ROUTES_USABLE)
			least = fmin(least, route->marginal_s[k]);
	return route->marginal_s[member] - least;
}

static void why_usable(const struct routes *routes, unsigned service, unsigned member, char *out,
		       size_t bytes)
{
	const struct route *route = &routes->service[service];
	const char *basis = route->basis == ROUTES_CAPACITY ? ", by capacity: no report yet"
			    : route->basis == ROUTES_HELD   ? ", last routes: all reports stopped"
							    : "";

	if (route->weight[member] > 0)
		snprintf(out, bytes, "used%s", basis);
	else if (routes->state->config->steering == CONFIG_STEERING_NEAREST)
		snprintf(out, bytes, "not the nearest");
	else if (isfinite(dearer_s(routes, service, member)))
		snprintf(out, bytes, "dearer by %.1f ms",
			 1000 * fmax(0, dearer_s(routes, service, member)));
	else
		snprintf(out, bytes, "not used%s", basis);
}

void routes_why(const struct routes *routes, unsigned service, unsigned member, double now_s,
		char *out, size_t bytes)
{
	const struct state *state = routes->state;
	const struct config_service *s = &state->config->service[service];
	unsigned site = s->site[member];
	const struct estimate *estimate = &state->service[service].member[member].estimate;

	switch (routes->service[service].use[member]) {
	case ROUTES_USABLE:
		why_usable(routes, service, member, out, bytes);
		break;
	case ROUTES_DRAINED:
		snprintf(out, bytes, "drained");
		break;
	case ROUTES_LABEL:
		snprintf(out, bytes, "lacks label %s", state_lacks(state, service, site) ?: "");
		break;
	case ROUTES_DELAY:
		snprintf(out, bytes, "delay %g ms over %g ms", 1000 * state->site[site].delay_s,
			 1000 * s->max_delay_s);
		break;
	case ROUTES_PATH:
		snprintf(out, bytes, "the path is dead");
		break;
	case ROUTES_SILENT:
		snprintf(out, bytes, "silent for %.1f s", now_s - estimate->last_report_s);
		break;
	case ROUTES_NEVER:
		snprintf(out, bytes, "never reported");
		break;
	}
}
