/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"
#include <math.h>
#include <stdlib.h>

#define METER_S 2.0    /* service times are forgotten with this time constant */
#define METER_LEAST 20 /* completions, to say anything, as the agent */

/* --- a site's meter --- */

void telemetry_busy(struct world *world, struct world_site *site, int change)
{
	site->occupied_s += site->busy * (world->now_s - site->moved_s);
	site->moved_s = world->now_s;
	site->busy += (uint32_t)change;
}

void telemetry_done(struct world_site *site, double service_s)
{
	site->completions++;
	site->weight += 1;
	site->mean += service_s;
	site->square += service_s * service_s;
}

static struct report measure(struct world *world, unsigned j)
{
	struct world_site *site = &world->site[j];
	double elapsed_s = world->now_s - site->metered_s;
	struct report report = {
		.measured_s = world->now_s,
		.arrivals = site->arrivals,
		.completions = site->completions,
		.servers = site->servers,
		.in_flight = site->busy,
		.queued = site->queued,
		.site = (uint16_t)j,
	};

	if (elapsed_s > 0) {
		report.arrivals_per_s =
			(double)(site->arrivals - site->metered_arrivals) / elapsed_s;
		report.completions_per_s =
			(double)(site->completions - site->metered_completions) / elapsed_s;
	}
	telemetry_busy(world, site, 0);
	report.scv = 1;
	if (site->weight >= METER_LEAST) {
		double mean_s = site->mean / site->weight;
		report.service_time_s = site->occupied_s / site->weight;
		report.scv = fmax(0, site->square / site->weight / (mean_s * mean_s) - 1);
	}
	/* As the agent: so many completions are kept, whatever the time they took. */
	double enough = fmax(METER_LEAST, site->servers);
	double keep = fmax(exp(-elapsed_s / METER_S), fmin(1, enough / fmax(site->weight, 1)));
	site->weight *= keep;
	site->mean *= keep;
	site->square *= keep;
	site->occupied_s *= keep;
	site->metered_s = world->now_s;
	site->metered_arrivals = site->arrivals;
	site->metered_completions = site->completions;
	return report;
}

/* --- on the way, and at an edge --- */

/* A pool that doubles; what it held is taken again from the free list. */
static uint32_t take_delivery(struct world *world)
{
	uint32_t index = world->free_delivery;

	if (index == WORLD_NONE) {
		uint32_t room = world->deliveries ? 2 * world->deliveries : 1024;
		void *grown = realloc(world->delivery, room * sizeof(*world->delivery));
		if (!grown) {
			world->out_of_memory = true;
			return WORLD_NONE;
		}
		world->delivery = grown;
		for (uint32_t i = world->deliveries; i < room; i++)
			world->delivery[i].next = i + 1 < room ? i + 1 : WORLD_NONE;
		index = world->deliveries;
		world->deliveries = room;
	}
	world->free_delivery = world->delivery[index].next;
	return index;
}

void telemetry_publish(struct world *world, unsigned j)
{
	const struct scenario *scenario = world->scenario;
	struct report report = measure(world, j);

	world_push(world, world->now_s + scenario->telemetry.interval_s, EVENT_MEASURE, j);
	for (unsigned i = 0; i < scenario->edges; i++) {
		/* drawn in any case: the same for every policy */
		bool lost = random_uniform(&world->network) <= scenario->telemetry.loss;
		uint32_t index = lost || world->site[j].lost ? WORLD_NONE : take_delivery(world);
		if (index == WORLD_NONE)
			continue;
		world->delivery[index].report = report;
		world->delivery[index].edge = (uint16_t)i;
		world_push(world,
			   world->now_s + scenario->delay_s[i][j] + scenario->telemetry.delay_s +
				   world->site[j].lag_s,
			   EVENT_REPORT, index);
	}
}

/* Sites whose reports stopped take nothing, unless all stopped. */
void telemetry_look(struct world *world, unsigned edge)
{
	unsigned sites = world->scenario->sites, usable = 0;
	struct view *view = world->view[edge];

	for (unsigned j = 0; j < sites; j++) {
		view[j].usable = view[j].heard_s < 0 || world->now_s <= view[j].valid_until_s;
		usable += view[j].usable;
	}
	for (unsigned j = 0; usable == 0 && j < sites; j++)
		view[j].usable = true;
}

void telemetry_deliver(struct world *world, uint32_t index)
{
	struct delivery *delivery = &world->delivery[index];
	unsigned edge = delivery->edge;
	struct view *view = &world->view[edge][delivery->report.site];

	/* Late ones are overtaken when a lag ends: older than what is known, they are void. */
	if (view->heard_s < 0 || delivery->report.measured_s > view->report.measured_s) {
		view->report = delivery->report;
		view->heard_s = world->now_s;
		view->valid_until_s =
			delivery->report.measured_s + scenario_valid_for_s(world->scenario);
		view->sent = 0;
		telemetry_look(world, edge);
		if (world->policy->report)
			world->policy->report(world, edge, &view->report);
	}
	delivery->next = world->free_delivery;
	world->free_delivery = index;
}
