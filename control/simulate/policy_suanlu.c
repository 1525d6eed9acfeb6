/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suanlu is the product: every edge has a control of its own (state, usable, routes, model, solve,
 * rate) and a choice set as its dataplane has, one weighted draw a request, solved at every report
 * and every demand interval. Only what moves bytes is the simulator's: reports come as decoded
 * ones, demand is counted by the simulator, routes are swapped at once.
 *
 * suanlu-pair is an experiment, which the worker does not do yet: of two draws the one with less to
 * wait for (choose_pair.h), told to the dataplane every 20 ms with a factor fitted for it.
 */
#include "../rate.h"
#include "../routes.h"
#include "choose_pair.h"
#include "policy.h"
#include "world.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEMAND_VALID_MS 500
/* suanlu-pair */
#define PAIR_TICK_S 0.02
#define PAIR_GAP_S 0.01 /* reports that come closer wait for the next solution */
#define FADE_S 1.0 /* what is known of a queue fades in this and so many times its drain time */
#define FADE_DRAINS 2
/* Erlang-C is of a site that is left to chance. Queues that are evened out by the choice of two
 * wait about this part of it; fitted to tests/data/swing*.yaml. */
#define EVENED 0.3

struct control {
	struct config config;
	struct config_service service;
	struct state state;
	struct routes routes;
	struct rate demand, member[SCENARIO_SITES_MAX];
	uint64_t counted[SCENARIO_SITES_MAX];
	double counted_s;
	struct choose_set set;
	double updated_s;
	struct choose_load load;		/* suanlu-pair */
	double scv_service[SCENARIO_SITES_MAX]; /* suanlu-pair: as the estimate has it */
};

struct message { /* of one edge's demand to another */
	double demand_per_s;
	uint32_t next;
	uint16_t from, to;
};

struct suanlu {
	bool pair;
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
	config->interval_ms = (uint32_t)lround(1e3 * policy_tick_s(world));
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
	control->set = set;
}

/*
 * The wait that one more flow meets: as servers are seldom free for long when nearly all are busy,
 * it begins sqrt(servers) before the last one.
 */
static double pressure_s(const struct estimate *estimate, const struct queue *queue, double now_s)
{
	if (estimate_state(estimate, now_s) != ESTIMATE_FRESH)
		return 0;
	double age_s = fmax(0, now_s - estimate->measured_at_s);
	double all = (double)estimate->in_flight + estimate->queued;
	double over = estimate_flows_now(estimate, queue, now_s) - estimate->servers +
		      sqrt(estimate->servers);
	double capacity = queue_capacity_per_s(queue);

	return fmax(0, over) / capacity * exp(-age_s / (FADE_S + FADE_DRAINS * all / capacity));
}

static void publish_load(struct control *control, double now_s, double elapsed_s)
{
	struct choose_load *load = &control->load;

	for (unsigned j = 0; j < control->config.sites; j++) {
		const struct estimate *estimate = &control->state.service[0].member[j].estimate;
		struct queue queue = estimate_queue(estimate, now_s);

		load->backlog_s[j] = (float)pressure_s(estimate, &queue, now_s);
		load->step_s[j] = (float)(1 / queue_capacity_per_s(&queue));
		load->share[j] = (float)control->routes.service[0].weight[j] / ROUTES_WEIGHT_SUM;
	}
	choose_forget(load, (float)exp(-elapsed_s / CHOOSE_FORGET_S));
}

static void update(struct world *world, struct control *control)
{
	bool pair = ((struct suanlu *)world->private)->pair;
	double elapsed_s = world->now_s - control->updated_s;
	bool first = control->set.candidates == 0;

	if (!first && elapsed_s < (pair ? PAIR_GAP_S : world->scenario->telemetry.solve_gap_s))
		return;
	world->result->solves++;
	control->updated_s = world->now_s;
	if (routes_update(&control->routes, 0, world->now_s) || first)
		publish(control);
	if (pair)
		publish_load(control, world->now_s, elapsed_s);
}

/* queue.scv becomes EVENED of what it is, but the next report finds the estimate as it was. */
static void even(struct control *control, unsigned site)
{
	struct estimate *estimate = &control->state.service[0].member[site].estimate;

	control->scv_service[site] = estimate->scv_service;
	estimate->scv_service = EVENED * (1 + estimate->scv_service) - 1;
}

static void uneven(struct control *control, unsigned site)
{
	control->state.service[0].member[site].estimate.scv_service = control->scv_service[site];
}

static int open_suanlu(struct world *world)
{
	struct suanlu *suanlu = calloc(1, sizeof(*suanlu));

	world->private = suanlu;
	if (!suanlu)
		return -ENOMEM;
	suanlu->free = WORLD_NONE;
	suanlu->pair = world->policy == &policy_suanlu_pair;
	for (unsigned i = 0; i < world->scenario->edges; i++) {
		struct control *control = &suanlu->control[i];
		suanlu->edges = i + 1;
		if (open_config(world, control, i) < 0 ||
		    state_open(&control->state, &control->config) < 0 ||
		    routes_open(&control->routes, &control->state) < 0)
			return -ENOMEM;
		for (unsigned j = 0; suanlu->pair && j < control->config.sites; j++)
			even(control, j);
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
	if (suanlu->pair)
		uneven(control, report->site);
	state_site_report(&control->state, report->site, &message, world->now_s, report->measured_s,
			  0);
	if (suanlu->pair)
		even(control, report->site);
	update(world, control);
}

static void tell(struct world *world, unsigned from, unsigned to, double demand_per_s)
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
	*message = (struct message){
		.demand_per_s = demand_per_s, .from = (uint16_t)from, .to = (uint16_t)to};
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
	Suanlu__PathDelay path[SCENARIO_SITES_MAX], *paths[SCENARIO_SITES_MAX];
	Suanlu__Report report = SUANLU__REPORT__INIT;

	demand.service = control->service.name;
	demand.new_flows_per_s = message->demand_per_s;
	for (unsigned j = 0; j < control->config.sites; j++) {
		path[j] = (Suanlu__PathDelay)SUANLU__PATH_DELAY__INIT;
		path[j].site = control->config.site[j].name;
		path[j].delay_s = world->scenario->delay_s[message->from][j];
		paths[j] = &path[j];
	}
	report.valid_for_ms = DEMAND_VALID_MS;
	report.n_demand = 1;
	report.demand = &demands;
	report.n_path = control->config.sites;
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
		uint64_t total = world->view[edge][j].sent_total;
		uint64_t flows = total - control->counted[j];

		control->counted[j] = total;
		rate_count(&control->member[j], flows, elapsed_s);
		service->member[j].own_per_s = control->member[j].fast_per_s;
		all += flows;
	}
	rate_count(&control->demand, all, elapsed_s);
	service->demand_per_s = control->demand.slow_per_s;
	service->flows += all;
	control->counted_s = world->now_s;
}

static void tick_suanlu(struct world *world, unsigned edge)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];

	if (world->now_s > control->counted_s)
		count_demand(world, control, edge);
	for (unsigned i = 0; i < suanlu->edges; i++)
		if (i != edge)
			tell(world, edge, i, control->state.service[0].demand_per_s);
	update(world, control);
}

static unsigned choose_suanlu(struct world *world, unsigned edge)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];
	int winner = choose(&control->set, random_bits(&world->random));

	return winner < 0 ? 0 : control->set.member[winner];
}

const struct policy policy_suanlu = {
	.name = "suanlu",
	.note = "the product: its model, solver and choice",
	.by_reports = true,
	.open = open_suanlu,
	.close = close_suanlu,
	.choose = choose_suanlu,
	.report = report_suanlu,
	.tick = tick_suanlu,
	.event = event_suanlu,
};

static unsigned choose_suanlu_pair(struct world *world, unsigned edge)
{
	struct suanlu *suanlu = world->private;
	struct control *control = &suanlu->control[edge];
	int winner = choose_pair(&control->set, &control->load, random_bits(&world->random));

	return winner < 0 ? 0 : control->set.member[winner];
}

const struct policy policy_suanlu_pair = {
	.name = "suanlu-pair",
	.note = "an experiment that the worker does not do yet: the better of two draws, every 20 "
		"ms",
	.by_reports = true,
	.tick_s = PAIR_TICK_S,
	.open = open_suanlu,
	.close = close_suanlu,
	.choose = choose_suanlu_pair,
	.report = report_suanlu,
	.tick = tick_suanlu,
	.event = event_suanlu,
};
