/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy.h"
#include "world.h"
#include <string.h>

#define WATERFALL_FULL 0.8 /* of the servers busy: the next one's turn */

const struct policy *const policies[] = {
	&policy_nearest,      &policy_random,	    &policy_static,
	&policy_least_loaded, &policy_power_of_two, &policy_load_interpretation,
	&policy_lsq,	      &policy_prequal,	    &policy_waterfall,
	&policy_oracle,	      &policy_suanlu,	    NULL,
};

const struct policy *policy_find(const char *name)
{
	for (unsigned i = 0; policies[i]; i++)
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	return NULL;
}

/* Mean work time as the site said, else as configured. */
static double service_time_s(const struct world *world, unsigned edge, unsigned site)
{
	const struct view *view = &world->view[edge][site];

	return view->heard_s >= 0 && view->report.service_time_s > 0
		       ? view->report.service_time_s
		       : world->scenario->site[site].service_time_s;
}

double policy_expected_s(const struct world *world, unsigned edge, unsigned site, double present)
{
	double servers = world->scenario->site[site].servers;
	double service_s = service_time_s(world, edge, site);

	return world->scenario->delay_s[edge][site] + service_s +
	       fmax(0, present + 1 - servers) * service_s / servers;
}

unsigned policy_least(struct world *world, unsigned edge, const double *cost)
{
	unsigned least = 0, alike = 0;
	double least_cost = INFINITY;

	for (unsigned j = 0; j < world->scenario->sites; j++) {
		if (!world->view[edge][j].usable)
			continue;
		alike = cost[j] < least_cost ? 0 : alike;
		if (cost[j] <= least_cost && random_below(&world->random, ++alike) == 0)
			least = j;
		least_cost = fmin(least_cost, cost[j]);
	}
	return least;
}

unsigned policy_draw(struct world *world, unsigned edge, const double *weight)
{
	const struct view *view = world->view[edge];
	double sum = 0;
	unsigned last = 0;

	for (unsigned j = 0; j < world->scenario->sites; j++)
		sum += view[j].usable ? weight[j] : 0;
	sum *= random_uniform(&world->random);
	for (unsigned j = 0; j < world->scenario->sites; j++) {
		if (!view[j].usable || !(weight[j] > 0))
			continue;
		last = j;
		sum -= weight[j];
		if (sum <= 0)
			break;
	}
	return last;
}

static unsigned choose_nearest(struct world *world, unsigned edge)
{
	return policy_least(world, edge, world->scenario->delay_s[edge]);
}

const struct policy policy_nearest = {.name = "nearest", .choose = choose_nearest};

static unsigned choose_random(struct world *world, unsigned edge)
{
	double weight[SCENARIO_SITES_MAX];

	for (unsigned j = 0; j < world->scenario->sites; j++)
		weight[j] = 1;
	return policy_draw(world, edge, weight);
}

const struct policy policy_random = {.name = "random", .choose = choose_random};

/* The true capacities: whoever configures shares has measured. */
static void capacities(const struct world *world, double *weight)
{
	for (unsigned j = 0; j < world->scenario->sites; j++)
		weight[j] =
			world->scenario->site[j].servers / world->scenario->site[j].service_time_s;
}

static unsigned choose_static(struct world *world, unsigned edge)
{
	double weight[SCENARIO_SITES_MAX];

	capacities(world, weight);
	return policy_draw(world, edge, weight);
}

const struct policy policy_static = {.name = "static", .choose = choose_static};

static double reported(const struct world *world, unsigned edge, unsigned site)
{
	const struct report *report = &world->view[edge][site].report;

	return (double)report->in_flight + report->queued;
}

static unsigned choose_least_loaded(struct world *world, unsigned edge)
{
	double cost[SCENARIO_SITES_MAX];

	for (unsigned j = 0; j < world->scenario->sites; j++)
		cost[j] = policy_expected_s(world, edge, j, reported(world, edge, j));
	return policy_least(world, edge, cost);
}

const struct policy policy_least_loaded = {
	.name = "least-loaded", .by_reports = true, .choose = choose_least_loaded};

/* Mitzenmacher 2001; the two are drawn by capacity, as sites are of different size. */
static unsigned choose_power_of_two(struct world *world, unsigned edge)
{
	double weight[SCENARIO_SITES_MAX];

	capacities(world, weight);
	unsigned a = policy_draw(world, edge, weight);
	weight[a] = 0;
	unsigned b = policy_draw(world, edge, weight);
	if (!world->view[edge][b].usable || weight[b] == 0) /* there is no other */
		return a;
	return policy_expected_s(world, edge, a, reported(world, edge, a)) <=
			       policy_expected_s(world, edge, b, reported(world, edge, b))
		       ? a
		       : b;
}

const struct policy policy_power_of_two = {
	.name = "power-of-two", .by_reports = true, .choose = choose_power_of_two};

/*
 * Local shortest queue (Vargaftik, Keslassy and Orda 2020): a queue length of its own for every
 * site at every edge, raised by what it sends, replaced by what the site says.
 */
static unsigned choose_lsq(struct world *world, unsigned edge)
{
	double cost[SCENARIO_SITES_MAX];

	for (unsigned j = 0; j < world->scenario->sites; j++)
		cost[j] = policy_expected_s(world, edge, j,
					    reported(world, edge, j) + world->view[edge][j].sent);
	return policy_least(world, edge, cost);
}

const struct policy policy_lsq = {.name = "lsq", .by_reports = true, .choose = choose_lsq};

/* The nearest with room, as Google's Traffic Director spills over; if none has, the emptiest. */
static unsigned choose_waterfall(struct world *world, unsigned edge)
{
	double cost[SCENARIO_SITES_MAX];

	for (unsigned j = 0; j < world->scenario->sites; j++) {
		double present = reported(world, edge, j) + world->view[edge][j].sent;
		double busy = present / world->scenario->site[j].servers;
		cost[j] = busy < WATERFALL_FULL ? world->scenario->delay_s[edge][j] : 1e3 + busy;
	}
	return policy_least(world, edge, cost);
}

const struct policy policy_waterfall = {
	.name = "waterfall", .by_reports = true, .choose = choose_waterfall};

/*
 * Greedy: the least expected time, knowing at this instant all that is at every site and on its
 * way there, how fast each works, and which are dead; what is there drains while the request
 * travels. It does not know the work of requests, nor what comes next.
 */
static unsigned choose_oracle(struct world *world, unsigned edge)
{
	double cost[SCENARIO_SITES_MAX];

	for (unsigned j = 0; j < world->scenario->sites; j++) {
		const struct world_site *site = &world->site[j];
		double present = (double)site->busy + site->queued + site->in_transit;
		double free_s = (present + 1 - site->servers) * site->slowness / site->servers;
		double delay_s = world->scenario->delay_s[edge][j];
		cost[j] = site->lost ? 1e6 + delay_s : fmax(delay_s, free_s) + site->slowness;
		world->view[edge][j].usable = true;
	}
	return policy_least(world, edge, cost);
}

const struct policy policy_oracle = {.name = "oracle", .choose = choose_oracle};
