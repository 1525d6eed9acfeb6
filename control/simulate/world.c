/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"
#include "telemetry.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define PROGRESS_EVENTS 0xffff
#define SECOND_S 1.0
#define DRAIN_DURATIONS 4 /* no longer than that for what waits at the end */
#define UNBORN_S -1.0	  /* of a request that is free */
#define CHURN_LEAST 20	  /* requests of an edge in a second, to say anything */

void world_push(struct world *world, double at_s, enum event_kind kind, uint32_t index)
{
	world->out_of_memory |= !heap_push(&world->heap, at_s, kind, index);
}

void world_event(struct world *world, double at_s, uint32_t index)
{
	world_push(world, at_s, EVENT_POLICY, index);
}

/* Pools double; what they held is taken again from the free list. */
static uint32_t take_request(struct world *world)
{
	uint32_t index = world->free_request;

	if (index == WORLD_NONE) {
		uint32_t room = world->requests ? 2 * world->requests : 4096;
		void *grown = realloc(world->request, room * sizeof(*world->request));
		if (!grown) {
			world->out_of_memory = true;
			return WORLD_NONE;
		}
		world->request = grown;
		for (uint32_t i = world->requests; i < room; i++) {
			world->request[i].next = i + 1 < room ? i + 1 : WORLD_NONE;
			world->request[i].born_s = UNBORN_S;
		}
		index = world->requests;
		world->requests = room;
	}
	world->free_request = world->request[index].next;
	return index;
}

static void steer(struct world *world, uint32_t index)
{
	struct request *request = &world->request[index];
	unsigned edge = request->edge, site = world->policy->choose(world, edge);

	request->site = (uint16_t)site;
	world->view[edge][site].sent++;
	world->view[edge][site].sent_total++;
	world->sent[edge][site]++;
	world->site[site].in_transit++;
	world_push(world, world->now_s + world->scenario->delay_s[edge][site], EVENT_AT_SITE,
		   index);
}

static void arrival(struct world *world, unsigned edge)
{
	uint32_t index = take_request(world);

	if (index == WORLD_NONE)
		return;
	world->request[index] = (struct request){
		.born_s = world->now_s, .work = world->next_work[edge], .edge = (uint16_t)edge};
	world->result->all_requests++;
	world->outstanding++;
	steer(world, index);
	double next_s = workload_next(&world->load[edge], &world->next_work[edge]);
	if (next_s < world->end_s)
		world_push(world, next_s, EVENT_ARRIVAL, edge);
}

static void begin(struct world *world, struct world_site *site, uint32_t index)
{
	double service_s = world->request[index].work * site->slowness;

	telemetry_busy(world, site, 1);
	if (world->now_s > world->scenario->warmup_s)
		site->busy_s += service_s;
	world_push(world, world->now_s + service_s, EVENT_DONE, index);
}

static void again(struct world *world, uint32_t index, double from_s)
{
	world->result->again++;
	world_push(world, fmax(world->now_s, from_s + world->scenario->timeout_s), EVENT_AGAIN,
		   index);
}

static void at_site(struct world *world, uint32_t index)
{
	struct request *request = &world->request[index];
	struct world_site *site = &world->site[request->site];

	site->in_transit--;
	if (site->lost) {
		again(world, index, world->now_s);
		return;
	}
	site->arrivals++;
	request->epoch = site->epoch;
	request->at_site_s = world->now_s;
	request->seen = site->busy + site->queued;
	if (site->busy < site->servers) {
		begin(world, site, index);
		return;
	}
	request->next = WORLD_NONE;
	if (site->queued++ > 0)
		world->request[site->tail].next = index;
	else
		site->head = index;
	site->tail = index;
}

static void close_flow(struct world *world, const struct request *request)
{
	struct closing *closing = &world->closing[request->edge][request->site];

	if (closing->count == closing->room) {
		uint32_t room = closing->room ? 2 * closing->room : 256;
		double *grown = malloc(room * sizeof(*grown));
		if (!grown) {
			world->out_of_memory = true;
			return;
		}
		for (uint32_t i = 0; i < closing->count; i++)
			grown[i] = closing->at_s[(closing->first + i) & (closing->room - 1)];
		free(closing->at_s);
		*closing = (struct closing){grown, 0, closing->count, room, closing->closed};
	}
	closing->at_s[(closing->first + closing->count++) & (closing->room - 1)] =
		world->now_s + world->scenario->delay_s[request->edge][request->site];
}

uint64_t world_closed(struct world *world, unsigned edge, unsigned site)
{
	struct closing *closing = &world->closing[edge][site];

	while (closing->count > 0 &&
	       closing->at_s[closing->first & (closing->room - 1)] <= world->now_s) {
		closing->first++;
		closing->count--;
		closing->closed++;
	}
	return closing->closed;
}

static void done(struct world *world, uint32_t index)
{
	struct request *request = &world->request[index];
	struct world_site *site = &world->site[request->site];

	if (request->epoch != site->epoch) { /* it died with its site */
		again(world, index, site->died_s);
		return;
	}
	telemetry_done(site, request->work * site->slowness);
	if (world->policy->counts_closes)
		close_flow(world, request);
	if (world->policy->done)
		world->policy->done(world, index);
	if (request->born_s >= world->scenario->warmup_s) {
		world->result->path_s += world->scenario->delay_s[request->edge][request->site];
		world->result->work_s += request->work * site->slowness;
	}
	if (request->born_s >= world->scenario->warmup_s)
		result_add(world->result, world->now_s - request->born_s);
	telemetry_busy(world, site, -1);
	world->outstanding--;
	request->born_s = UNBORN_S;
	request->next = world->free_request;
	world->free_request = index;
	if (site->queued > 0) {
		uint32_t first = site->head;
		site->head = world->request[first].next;
		site->queued--;
		begin(world, site, first);
	}
}

static void tick(struct world *world, unsigned edge)
{
	world_push(world, world->now_s + world->scenario->telemetry.demand_s, EVENT_TICK, edge);
	telemetry_look(world, edge);
	if (world->policy->tick)
		world->policy->tick(world, edge);
}

static void die(struct world *world, struct world_site *site)
{
	site->lost = true;
	site->died_s = world->now_s;
	site->epoch++;
	for (uint32_t index = site->head; site->queued > 0; site->queued--) {
		uint32_t next = world->request[index].next;
		again(world, index, world->now_s);
		index = next;
	}
	telemetry_busy(world, site, -(int)site->busy);
}

static void change(struct world *world, uint32_t index)
{
	const struct scenario_event *event = &world->scenario->event[index / 2];
	bool ends = index % 2;

	if (event->site < 0)
		return; /* the workload knows */
	struct world_site *site = &world->site[event->site];
	site->slowness *= ends ? event->speed : 1 / event->speed;
	site->lag_s += ends ? -event->lag_s : event->lag_s;
	if (event->lost && !ends)
		die(world, site);
	else if (event->lost)
		site->lost = false;
}

/* Part of this second's requests that the shares of the one before would have sent elsewhere. */
static void second(struct world *world)
{
	for (unsigned i = 0; i < world->scenario->edges; i++) {
		double now = 0, before = 0, moved = 0;
		for (unsigned j = 0; j < world->scenario->sites; j++) {
			now += world->sent[i][j];
			before += world->sent_before[i][j];
		}
		for (unsigned j = 0;
		     now > CHURN_LEAST && before > CHURN_LEAST && j < world->scenario->sites; j++)
			moved += fabs(world->sent[i][j] / now - world->sent_before[i][j] / before) /
				 2;
		if (now > CHURN_LEAST && before > CHURN_LEAST &&
		    world->now_s > world->scenario->warmup_s) {
			world->result->churn += moved * now;
			world->result->churn_weight += now;
		}
	}
	memcpy(world->sent_before, world->sent, sizeof(world->sent));
	memset(world->sent, 0, sizeof(world->sent));
	world_push(world, world->now_s + SECOND_S, EVENT_SECOND, 0);
}

static void handle(struct world *world, const struct event *event)
{
	switch ((enum event_kind)event->kind) {
	case EVENT_ARRIVAL:
		arrival(world, event->index);
		break;
	case EVENT_AT_SITE:
		at_site(world, event->index);
		break;
	case EVENT_DONE:
		done(world, event->index);
		break;
	case EVENT_AGAIN:
		steer(world, event->index);
		break;
	case EVENT_MEASURE:
		telemetry_publish(world, event->index);
		break;
	case EVENT_REPORT:
		telemetry_deliver(world, event->index);
		break;
	case EVENT_TICK:
		tick(world, event->index);
		break;
	case EVENT_CHANGE:
		change(world, event->index);
		break;
	case EVENT_POLICY:
		world->policy->event(world, event->index);
		break;
	case EVENT_SECOND:
		second(world);
		break;
	}
}

static void start(struct world *world)
{
	const struct scenario *scenario = world->scenario;

	random_seed(&world->random, scenario->seed, 1);
	random_seed(&world->network, scenario->seed, 2);
	for (unsigned j = 0; j < scenario->sites; j++) {
		world->site[j].servers = scenario->site[j].servers;
		world->site[j].slowness = scenario->site[j].service_time_s;
		world_push(world, random_uniform(&world->network) * scenario->telemetry.interval_s,
			   EVENT_MEASURE, j);
	}
	for (unsigned i = 0; i < scenario->edges; i++) {
		workload_open(&world->load[i], scenario, i, scenario->seed);
		for (unsigned j = 0; j < scenario->sites; j++)
			world->view[i][j] = (struct view){.heard_s = -1, .usable = true};
		double first_s = workload_next(&world->load[i], &world->next_work[i]);
		if (first_s < world->end_s)
			world_push(world, first_s, EVENT_ARRIVAL, i);
		world_push(world,
			   random_uniform(&world->network) * world->scenario->telemetry.demand_s,
			   EVENT_TICK, i);
	}
	for (unsigned k = 0; k < scenario->events; k++) {
		double at_s = scenario->warmup_s + scenario->event[k].at_s;
		world_push(world, at_s, EVENT_CHANGE, 2 * k);
		world_push(world, at_s + scenario->event[k].for_s, EVENT_CHANGE, 2 * k + 1);
	}
	world_push(world, SECOND_S, EVENT_SECOND, 0);
}

/* Until every request that came has been answered: a backlog counts as well. */
static void run(struct world *world, void (*progress)(void *, double), void *argument)
{
	double last_s = world->end_s + DRAIN_DURATIONS * world->scenario->duration_s;
	uint64_t events = 0;

	while (world->heap.count > 0 && !world->out_of_memory) {
		struct event event = heap_pop(&world->heap);
		world->now_s = event.at_s;
		if (event.at_s > last_s || (event.at_s > world->end_s && world->outstanding == 0))
			break;
		handle(world, &event);
		if (progress && (++events & PROGRESS_EVENTS) == 0)
			progress(argument, fmin(1, world->now_s / world->end_s));
	}
}

/* Who waits still has waited so long at least: left out, a policy would look better the worse it
 * is. */
static void count_unanswered(struct world *world)
{
	for (uint32_t i = 0; i < world->requests; i++) {
		if (world->request[i].born_s < world->scenario->warmup_s)
			continue;
		result_add(world->result, world->now_s - world->request[i].born_s);
		world->result->unanswered++;
	}
}

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void summarise(struct world *world, double began_s)
{
	double servers = 0, busy_s = 0;

	for (unsigned j = 0; j < world->scenario->sites; j++) {
		servers += world->site[j].servers;
		busy_s += world->site[j].busy_s;
	}
	world->result->utilisation = busy_s / servers / world->scenario->duration_s;
	world->result->simulated_s = world->now_s;
	world->result->took_s = clock_s() - began_s;
}

int world_run(const struct scenario *scenario, const struct policy *policy, struct result *result,
	      void (*progress)(void *argument, double part), void *argument)
{
	struct world *world = calloc(1, sizeof(*world));
	double began_s = clock_s();
	int failed;

	if (!world)
		return -ENOMEM;
	*result = (struct result){.scenario = scenario->name,
				  .policy = policy->name,
				  .interval_s = scenario->telemetry.interval_s};
	world->scenario = scenario;
	world->policy = policy;
	world->result = result;
	world->free_request = world->free_delivery = WORLD_NONE;
	world->end_s = scenario->warmup_s + scenario->duration_s;
	start(world);
	failed = policy->open ? policy->open(world) : 0;
	if (failed == 0) {
		run(world, progress, argument);
		count_unanswered(world);
	}
	if (failed == 0 && policy->close)
		policy->close(world);
	summarise(world, began_s);
	if (world->out_of_memory)
		failed = -ENOMEM;
	for (unsigned i = 0; i < scenario->edges; i++)
		for (unsigned j = 0; j < scenario->sites; j++)
			free(world->closing[i][j].at_s);
	free(world->heap.event);
	free(world->request);
	free(world->delivery);
	free(world);
	return failed;
}
