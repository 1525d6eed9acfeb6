/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load interpretation (Dahlin, "Interpreting stale load information", 2000), Basic LI:
 * probabilities such that by the end of a phase, when about K requests have come since the reports,
 * all sites stand equal. Of sites of different size it is the time to finish, path delay included,
 * that is made equal; K is counted by what the sites report of their arrivals, over a report's
 * interval.
 */
#include "policy.h"
#include "world.h"
#include <errno.h>

struct interpretation {
	double weight[SCENARIO_EDGES_MAX][SCENARIO_SITES_MAX];
};

/* Requests that raise every site up to this time to finish. */
static double below(const struct world *world, unsigned edge, double level_s, double *room)
{
	double sum = 0;

	for (unsigned j = 0; j < world->scenario->sites; j++) {
		const struct view *view = &world->view[edge][j];
		double service_s =
			policy_expected_s(world, edge, j, 0) - world->scenario->delay_s[edge][j];
		double servers = world->scenario->site[j].servers;
		double present = view->heard_s < 0
					 ? 0
					 : (double)view->report.in_flight + view->report.queued;
		/* an idle server stands at path delay and service, below it by its part of c */
		double depth = (level_s - world->scenario->delay_s[edge][j]) * servers / service_s;
		room[j] = view->usable ? fmax(0, depth - present) : 0;
		sum += room[j];
	}
	return sum;
}

static void interpret(struct world *world, unsigned edge, double *weight)
{
	double low_s = 0, high_s = 1e-3, arrivals_per_s = 0;

	for (unsigned j = 0; j < world->scenario->sites; j++)
		arrivals_per_s += world->view[edge][j].report.arrivals_per_s;
	double coming = fmax(1, arrivals_per_s * world->scenario->telemetry.interval_s);
	while (below(world, edge, high_s, weight) < coming && high_s < 1e9)
		high_s *= 2;
	for (unsigned round = 0; round < 40; round++) {
		double middle_s = (low_s + high_s) / 2;
		if (below(world, edge, middle_s, weight) < coming)
			low_s = middle_s;
		else
			high_s = middle_s;
	}
	below(world, edge, high_s, weight);
}

static int open_dahlin(struct world *world)
{
	struct interpretation *all = calloc(1, sizeof(*all));

	world->private = all;
	if (!all)
		return -ENOMEM;
	for (unsigned i = 0; i < world->scenario->edges; i++)
		interpret(world, i, all->weight[i]);
	return 0;
}

static void close_dahlin(struct world *world)
{
	free(world->private);
}

static void report_dahlin(struct world *world, unsigned edge, const struct report *report)
{
	struct interpretation *all = world->private;

	(void)report;
	interpret(world, edge, all->weight[edge]);
}

static unsigned choose_dahlin(struct world *world, unsigned edge)
{
	struct interpretation *all = world->private;

	return policy_draw(world, edge, all->weight[edge]);
}

const struct policy policy_load_interpretation = {
	.name = "load-interpretation",
	.by_reports = true,
	.open = open_dahlin,
	.close = close_dahlin,
	.report = report_dahlin,
	.choose = choose_dahlin,
};
