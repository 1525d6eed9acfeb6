/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suanlu is the product: every edge has a control of its own (state, usable, routes, model, solve,
 * rate) and a choice set as its dataplane has, solved at reports and at every demand interval. Only
 * what moves bytes is the simulator's: reports come as decoded ones, flows sent and closed are
 * counted by the simulator, routes are swapped at once.
 */
#include "../../dataplane/prefer.h"
#include "../rate.h"
#include "../routes.h"
#include "policy.h"
#include "world.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEMAND_VALID_MS 500
#define WHOLE_S 0.2 /* between, paths are not told: as demand.c does */

struct control {
	struct config config;
	struct config_service service;
	struct state state;
	struct routes routes;
	struct rate demand, member[SCENARIO_SITES_MAX];
	uint64_t sent[SCENARIO_SITES_MAX], closed[SCENARIO_SITES_MAX];
	double counted_s;
	double updated_s;
	double whole_s; /* paths are told from then on */
	struct prefer prefer;
	struct choice choice;
	struct sl_member_counters counters[SCENARIO_SITES_MAX];
};

struct message { /* of one edge's demand to another */
	double demand_per_s;
	uint64_t sent[SCENARIO_SITES_MAX], closed[SCENARIO_SITES_MAX];
	uint32_t next;
	uint16_t from, to;
	bool whole; /* with paths */
};

struct suanlu {
	unsigned edges;
	struct message *message;
	uint32_t room, free;
	struct control control[SCENARIO_EDGES_MAX];
};

static int open_config(const struct world *world, struct control *control, unsigned own)
{
	const struct scenario *scenario = world->scenario;
	struct config *config = &control->config;

	snprintf(config->node, sizeof(config->node), "%s", scenario->edge[own].name);
	config->interval_ms = (uint32_t)lround(1e3 * scenario->telemetry.demand_s);
	config->sites = scenario->sites;
	config->edges = scenario->edges - 1;
	config->services = 1;
	config->service = &control->service;
	config->site = calloc(config->sites, sizeof(*config->site));
	config->edge = calloc(config->edges + 1, sizeof(*config->edge));
	control->service = (struct config_service){
		.name = "service", .max_delay_s = INFINITY, .sites = config->sites};
	control->service.site = calloc(config->sites, sizeof(unsigned));
	if (!config->site || !config->edge || !control->service.site)
		return -ENOMEM;
	for (unsigned j = 0; j < config->sites; j++) {
		strcpy(config->site[j].name, scenario->site[j].name);
		config->site[j].servers = scenario->site[j].servers;
		config->site[j].flows_per_s = (uint32_t)ceil(scenario->site[j].servers /
							     scenario->site[j].service_time_s);
		config->site[j].delay_s = scenario->delay_s[own][j];
		control->service.site[j] = j;
	}
	for (unsigned i = 0, k = 0; i < scenario->edges; i++)
		if (i != own)
			strcpy(config->edge[k++].name, scenario->edge[i].name);
	return 0;
}

/* Index of edge `other` in the configuration of edge `own`. */
static unsigned place(unsigned own, unsigned other)
{
	return other < own ? other : other - 1;
}

static void publish(struct control *control)
{
	const struct route *route = &control->routes.service[0];
	struct choose_set set = {0};

	for (unsigned j = 0; j < control->config.sites; j++)
		choose_add(&set, control->config.site[j].name, route->weight[j], (uint16_t)j);
	prefer_init(&control->prefer, &set, route->wait_s, route->step_s, route->draws);
	prefer_begin(&control->choice, &control->prefer, &set, control->counters);
}

/* As demand_peek() does. */
static void peek(const struct world *world, struct control *control)
{
	const struct suanlu *suanlu = world->private;
	unsigned edge = (unsigned)(control - suanlu->control);

	for (unsigned j = 0; j < control->config.sites; j++)
		control->state.service[0].member[j].uncounted =
			world->view[edge][j].sent_total - control->sent[j];
}

static void update(struct world *world, struct control *control)
{
	double elapsed_s = world->now_s - control->updated_s;
	bool first = control->choice.set.candidates == 0;

	if (!first && elapsed_s < world->scenario->telemetry.solve_gap_s)
		return;
	world->result->solves++;
	peek(world, control);
	control->updated_s = world->now_s;
	if (routes_update(&control->routes, 0, world->now_s) || first)
		publish(control);
}

static int open_suanlu(struct world *world)
{
	struct suanlu *suanlu = calloc(1, sizeof(*suanlu));

	world->private = suanlu;
	if (!suanlu)
		return -ENOMEM;
	suanlu->free = WORLD_NONE;
	for (unsigned i = 0; i < world->scenario->edges; i++) {
		struct control *control = &suanlu->control[i];
		suanlu->edges = i + 1;
		if (open_config(world, control, i) < 0 ||
		    state_open(&control->state, &control->config) < 0 ||
		    routes_open(&control->routes, &control->state) < 0)
			return -ENOMEM;
		update(world, control);
		control->routes.settled = true;
	}
	return 0;
}

static void close_suanlu(struct world *world)
{
	struct suanlu *suanlu = world->private;

	for (unsigned i = 0; suanlu && i < suanlu->edges; i++) {
		struct control *control = &suanlu->control[i];
		routes_close(&control->routes);
		state_close(&control->state);
		free(control->service.site);
		free(control->config.edge);
		free(control->config.site);
	}
	free(suanlu ? suanlu->message : NULL);
	free(suanlu);
}

static void report_suanlu(struct world *world, unsigned edge, const struct report *report)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT, *loads = &load;
	Suanlu__Report message = SUANLU__REPORT__INIT;

	load.service = control->service.name;
	load.servers = report->servers;
	load.service_time_s = report->service_time_s;
	load.has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
	load.service_scv = report->scv;
	load.in_flight = report->in_flight;
	load.queued = report->queued;
	load.arrivals_per_s = report->arrivals_per_s;
	load.completions_per_s = report->completions_per_s;
	load.arrivals = report->arrivals;
	load.completions = report->completions;
	message.valid_for_ms = (uint32_t)(1e3 * scenario_valid_for_s(world->scenario));
	message.n_load = 1;
	message.load = &loads;
	state_site_report(&control->state, report->site, &message, world->now_s, report->measured_s,
			  0);
	update(world, control);
}

static void tell(struct world *world, unsigned from, unsigned to, bool whole)
{
	const struct scenario *scenario = world->scenario;
	struct suanlu *suanlu = world->private;
	uint32_t index = suanlu->free;
	double delay_s = INFINITY;

	if (index == WORLD_NONE) {
		uint32_t room = suanlu->room ? 2 * suanlu->room : 1024;
		void *grown = realloc(suanlu->message, room * sizeof(*suanlu->message));
		if (!grown) {
			world->out_of_memory = true;
			return;
		}
		suanlu->message = grown;
		for (uint32_t i = suanlu->room; i < room; i++)
			suanlu->message[i].next = i + 1 < room ? i + 1 : WORLD_NONE;
		index = suanlu->room;
		suanlu->room = room;
	}
	struct message *message = &suanlu->message[index];
	suanlu->free = message->next;
	message->demand_per_s = suanlu->control[from].state.service[0].demand_per_s;
	message->from = (uint16_t)from;
	message->to = (uint16_t)to;
	message->whole = whole;
	memcpy(message->sent, suanlu->control[from].sent, scenario->sites * sizeof(uint64_t));
	memcpy(message->closed, suanlu->control[from].closed, scenario->sites * sizeof(uint64_t));
	/* Edges have no path of their own in a scenario: by way of the nearest site. */
	for (unsigned j = 0; j < scenario->sites; j++)
		delay_s = fmin(delay_s, scenario->delay_s[from][j] + scenario->delay_s[to][j]);
	world_event(world, world->now_s + delay_s, index);
}

static void event_suanlu(struct world *world, uint32_t index)
{
	struct suanlu *suanlu = world->private;
	struct message *message = &suanlu->message[index];
	struct control *control = &suanlu->control[message->to];
	Suanlu__ServiceDemand demand = SUANLU__SERVICE_DEMAND__INIT, *demands = &demand;
	Suanlu__SiteFlows flows[SCENARIO_SITES_MAX], *flow[SCENARIO_SITES_MAX];
	Suanlu__PathDelay path[SCENARIO_SITES_MAX], *paths[SCENARIO_SITES_MAX];
	Suanlu__Report report = SUANLU__REPORT__INIT;

	demand.service = control->service.name;
	demand.new_flows_per_s = message->demand_per_s;
	for (unsigned j = 0; j < control->config.sites; j++) {
		path[j] = (Suanlu__PathDelay)SUANLU__PATH_DELAY__INIT;
		path[j].site = control->config.site[j].name;
		path[j].delay_s = world->scenario->delay_s[message->from][j];
		paths[j] = &path[j];
		if (message->sent[j] == 0)
			continue;
		flows[j] = (Suanlu__SiteFlows)SUANLU__SITE_FLOWS__INIT;
		flows[j].site = control->config.site[j].name;
		flows[j].sent = message->sent[j];
		flows[j].closed = message->closed[j];
		flow[demand.n_site++] = &flows[j];
	}
	demand.site = flow;
	report.valid_for_ms = DEMAND_VALID_MS;
	report.n_demand = 1;
	report.demand = &demands;
	report.n_path = message->whole ? control->config.sites : 0;
	report.path = paths;
	state_edge_report(&control->state, place(message->to, message->from), &report,
			  world->now_s);
	message->next = suanlu->free;
	suanlu->free = index;
}

/* As demand.c does with the dataplane's counters. */
static void count_demand(struct world *world, struct control *control, unsigned edge)
{
	double elapsed_s = world->now_s - control->counted_s;
	struct state_service *service = &control->state.service[0];
	uint64_t all = 0;

	for (unsigned j = 0; j < control->config.sites; j++) {
		uint64_t flows = world->view[edge][j].sent_total - control->sent[j];
		uint64_t closed = world_closed(world, edge, j) - control->closed[j];

		state_count(&control->state, 0, j, world->now_s, flows, closed);
		control->sent[j] += flows;
		control->closed[j] += closed;
		rate_count(&control->member[j], flows, elapsed_s);
		service->member[j].own_per_s = control->member[j].fast_per_s;
		all += flows;
	}
	rate_count(&control->demand, all, elapsed_s);
	service->demand_per_s = control->demand.slow_per_s;
	service->flows += all;
	state_tick(&control->state, world->now_s);
	control->counted_s = world->now_s;
}

static void tick_suanlu(struct world *world, unsigned edge)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];
	bool whole = world->now_s >= control->whole_s;

	if (world->now_s > control->counted_s)
		count_demand(world, control, edge);
	if (whole)
		control->whole_s = world->now_s + WHOLE_S - world->scenario->telemetry.demand_s / 2;
	for (unsigned i = 0; i < suanlu->edges; i++)
		if (i != edge)
			tell(world, edge, i, whole);
	update(world, control);
}

static unsigned choose_suanlu(struct world *world, unsigned edge)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];
	uint64_t hash = random_bits(&world->random);
	const struct choose_set *set = &control->choice.set;
	uint64_t now_us = (uint64_t)(1e6 * world->now_s);
	int winner;

	if (now_us >= control->choice.due) {
		control->choice.due = now_us + PREFER_US;
		prefer_renew(&control->choice, &control->prefer, control->counters);
	}
	winner = choose(set, hash);
	if (winner < 0)
		return 0;
	control->counters[set->member[winner]].new_flows++;
	return set->member[winner];
}

const struct policy policy_suanlu = {
	.name = "suanlu",
	.note = "the product: its model, solver and choice",
	.by_reports = true,
	.counts_closes = true,
	.open = open_suanlu,
	.close = close_suanlu,
	.choose = choose_suanlu,
	.report = report_suanlu,
	.tick = tick_suanlu,
	.event = event_suanlu,
};
