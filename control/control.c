/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"
#include "clock.h"
#include "log.h"
#include "reload.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A control that starts beside a running dataplane must not replace good routes by ones that
 * know nothing: it waits for every site's first report, but no longer than this. */
#define SETTLE_S 0.6
#define BEAT_US 2000000 /* a dataplane that lives renews its heartbeat each second */
#define COUNT_S 0.2	/* and it counts demand for so long, if a dataplane counts */
#define RESTS 0.5	/* times as long as solving took, */
#define BUSY_RESTS 60	/* and while reports wait to be read */
#define SLICE_S 0.005	/* then it rests, and goes on with the service that is next */

static void log_weights(const struct control *control, unsigned service)
{
	const struct config_service *s = &control->config->service[service];
	char text[400] = "";
	size_t length = 0;

	if (!log_verbose)
		return;
	for (unsigned k = 0; k < s->sites && length < sizeof(text) - SL_NAME_MAX - 16; k++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, " %s %.3f",
					   control->config->site[s->site[k]].name,
					   control->routes.service[service].weight[k] /
						   (double)ROUTES_WEIGHT_SUM);
	log_debug("service %s:%s", s->name, text);
}

static void update(struct control *control, unsigned service, double now_s)
{
	struct state_service *state = &control->state.service[service];
	struct reaction_cause cause = state->cause;

	state->dirty = false;
	state->cause = (struct reaction_cause){};
	demand_peek(&control->demand, service);
	if (!routes_update(&control->routes, service, now_s))
		return;
	log_weights(control, service);
	link_standby(&control->link, service, control->routes.service[service].standby);
	link_know(&control->link, service, control->routes.service[service].wait_s,
		  control->routes.service[service].step_s, control->routes.service[service].draws);
	link_set(&control->link, service, control->routes.service[service].weight, cause);
}

void control_update(struct control *control, unsigned service)
{
	update(control, service, clock_s());
}

/* A dataplane that hangs keeps its connection and is not asked anything while no weight changes.
 * Only what counters say is held against it: without them its answers are believed. */
static bool dataplane_beats(const struct control *control)
{
	const struct sl_counters *map = control->demand.counters.map;

	return !map || (int64_t)(clock_unix_us() -
				 __atomic_load_n(&map->heartbeat_us, __ATOMIC_RELAXED)) < BEAT_US;
}

void control_announce(struct control *control)
{
	announce_update(&control->announce, &control->routes, &control->link,
			dataplane_beats(control), clock_s());
}

static bool everyone_reported(const struct control *control, double now_s)
{
	for (unsigned i = 0; i < control->config->sites; i++)
		if (control->config->site[i].has_key &&
		    state_site_state(&control->state, i, now_s) != ESTIMATE_FRESH)
			return false;
	return true;
}

static void settle(struct control *control, double now_s)
{
	double counting_s = control->demand.counting_s;
	bool deaf = !control->ingest.verify;

	if (control->started_link)
		return;
	if (counting_s > 0 && now_s - counting_s < COUNT_S)
		return;
	if (!deaf && !everyone_reported(control, now_s) && now_s - control->started_s < SETTLE_S)
		return;
	for (unsigned i = 0; i < control->config->services; i++)
		update(control, i, now_s);
	control->routes.settled = true;
	control->started_link = true;
	link_start(&control->link);
}

/* For people: how long a start takes. */
static void note_complete(struct control *control, double now_s)
{
	if (!isnan(control->complete_s) || !everyone_reported(control, now_s))
		return;
	for (unsigned i = 0; i < control->config->services; i++) {
		const struct link_service *service = &control->link.service[i];

		if (service->acknowledged == 0 || service->acknowledged != service->generation)
			return;
	}
	control->complete_s = now_s - control->started_s;
}

/*
 * Only services with news are solved. Under load that takes more time than reports take to come;
 * so it rests for half as long as it took, and while reports wait to be read, sixty times.
 * False: some are left for the next time.
 */
static bool solve_news(struct control *control)
{
	unsigned services = control->config->services, done = 0;
	/* while others have the core it does not take anything from reports */
	uint64_t used_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	double begun_s = clock_s();

	control->solved_s = begun_s;
	for (; done < services && control->solved_s - begun_s < SLICE_S; done++) {
		unsigned i = control->next_news;

		control->next_news = (i + 1) % services;
		if (!control->state.service[i].dirty)
			continue;
		update(control, i, begun_s);
		link_take(&control->link);
		control->solved_s = clock_s();
	}
	control->took_s = (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - used_ns) / 1e9;
	note_complete(control, control->solved_s);
	return done == services;
}

/* Now, or once it has rested, and again as long as news are left. */
static void solve_rested(struct control *control)
{
	double rests = control->busy ? BUSY_RESTS : RESTS, rest_s;

	do {
		rest_s = control->solved_s + rests * control->took_s - clock_s();
		if (rest_s > 0) {
			struct timeval rest = {.tv_usec = (suseconds_t)(rest_s * 1e6)};

			event_add(control->rested, &rest);
			return;
		}
	} while (!solve_news(control));
}

static void on_rested(int fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	solve_rested(argument);
}

/* Called after a burst of reports. */
static void on_reports(void *argument, bool more)
{
	struct control *control = argument;
	double now_s = clock_s();

	control->busy = more;
	settle(control, now_s);
	solve_rested(control);
	upward_step(&control->upward, now_s);
}

static void log_site(struct control *control, unsigned site, double now_s)
{
	enum estimate_state now = state_site_state(&control->state, site, now_s);
	enum estimate_state before = control->told[site];
	const char *name = control->config->site[site].name;

	if (now == before)
		return;
	control->told[site] = now;
	if (now == ESTIMATE_SILENT)
		log_warning("site %s: silent for %.1f s, takes no new flows while others report",
			    name, now_s - control->state.site[site].last_report_s);
	else
		log_info("site %s: %s", name,
			 before == ESTIMATE_NEVER ? "first report" : "reports again");
}

/*
 * All services once an interval, but at most half of the time: reports come between. While they
 * wait to be read, a hundredth.
 */
static void update_all(struct control *control, double now_s)
{
	unsigned services = control->config->services;
	double interval_s = control->config->interval_ms / 1000.0;
	double until_s = now_s + (control->busy ? interval_s / 100 : interval_s / 2);

	for (unsigned i = 0; i < services && (i == 0 || clock_s() < until_s); i++) {
		update(control, control->next, clock_s());
		control->next = (control->next + 1) % services;
	}
}

static void on_interval(int fd, short what, void *argument)
{
	struct control *control = argument;
	double now_s = clock_s();

	(void)fd;
	(void)what;
	demand_sample(&control->demand, now_s);
	ways_update(&control->ways, paths_refresh(&control->paths), now_s);
	demand_publish(&control->demand, now_s);
	for (unsigned i = 0; i < control->config->sites; i++)
		log_site(control, i, now_s);
	ingest_watch_clock(&control->ingest);
	ingest_log_refused(&control->ingest, now_s);
	ingest_bus_log(&control->bus, now_s);
	if (discover_step(&control->discover, clock_unix_us(), now_s))
		reload_discovered(control);
	settle(control, now_s);
	update_all(control, now_s);
	upward_step(&control->upward, clock_s());
	note_complete(control, now_s);
	control_announce(control);
}

static int out_of_memory(struct config_error *error)
{
	snprintf(error->text, sizeof(error->text), "no memory");
	return -ENOMEM;
}

int control_shape(struct control *control, struct config_error *error)
{
	struct state *state = &control->state;
	int result;

	control->told = calloc(control->config->sites + 1, sizeof(*control->told));
	if (!control->told || state_open(state, control->config) < 0 ||
	    routes_open(&control->routes, state) < 0)
		return out_of_memory(error);
	result = demand_open(&control->demand, state, &control->key, control->bus.bus, error);
	return result < 0 ? result
			  : upward_open(&control->upward, state, &control->routes, &control->key,
					control->bus.bus, error);
}

void control_unshape(struct control *control)
{
	upward_close(&control->upward);
	demand_close(&control->demand);
	routes_close(&control->routes);
	state_close(&control->state);
	free(control->told);
	control->told = NULL;
}

bool control_needs_key(const struct config *config)
{
	return config->telemetry_listen.ss_family || config->bus.servers || config->edges > 0 ||
	       config_is_site(config);
}

/* Rests are shorter than the milliseconds that libevent counts otherwise. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

/* What stands after the configuration, in the order of the ladder; closed in reverse. */
static int open_parts(struct control *control, struct config_error *error)
{
	const struct config *config = control->config;
	int result = 0;

	if (control_needs_key(config))
		result =
			key_read(config->key_file, &control->key, error->text, sizeof(error->text));
	if (result == 0)
		result = ingest_bus_open(&control->bus, &control->ingest, config, error);
	if (result == 0)
		result = control_shape(control, error);
	if (result < 0)
		return result;
	control->base = new_base();
	if (!control->base || link_open(&control->link, control->base, config) < 0)
		return out_of_memory(error);
	paths_open(&control->paths, config);
	if (ways_open(&control->ways, &control->state, &control->link) < 0)
		return out_of_memory(error);
	result = ingest_open(&control->ingest, &control->state, &control->key, error);
	if (result == 0)
		result = announce_open(&control->announce, config, error);
	return result < 0 ? result : rundir_read_drained(&control->rundir, &control->state, error);
}

int control_open(struct control *control, const char *file, struct config_error *error)
{
	int result;

	*control = (struct control){.file = file,
				    .rundir.lock = -1,
				    .link.fd = -1,
				    .ingest.fd = -1,
				    .started_s = clock_s(),
				    .complete_s = NAN};
	discover_open(&control->discover, &control->state);
	result = config_load(file, &control->config, error);
	if (result == 0)
		result = rundir_open(&control->rundir, control->config, error);
	if (result == 0)
		result = open_parts(control, error);
	if (result < 0)
		control_close(control);
	return result;
}

void control_close(struct control *control)
{
	if (control->interval)
		event_free(control->interval);
	if (control->rested)
		event_free(control->rested);
	if (control->config) {
		announce_close(&control->announce);
		ingest_close(&control->ingest);
		ways_close(&control->ways);
		paths_close(&control->paths);
		link_close(&control->link);
		control_unshape(control);
		discover_close(&control->discover);
		ingest_bus_close(&control->bus);
	}
	if (control->base)
		event_base_free(control->base);
	rundir_close(&control->rundir);
	config_free(control->config);
	sodium_memzero(&control->key, sizeof(control->key));
	*control = (struct control){.rundir.lock = -1, .link.fd = -1, .ingest.fd = -1};
}

int control_set_interval(struct control *control)
{
	struct timeval interval = {.tv_sec = control->config->interval_ms / 1000,
				   .tv_usec = control->config->interval_ms % 1000 * 1000};

	return event_add(control->interval, &interval) < 0 ? -ENOMEM : 0;
}

int control_start(struct control *control)
{
	control->interval = event_new(control->base, -1, EV_PERSIST, on_interval, control);
	control->rested = evtimer_new(control->base, on_rested, control);
	if (!control->interval || !control->rested || control_set_interval(control) < 0)
		return -ENOMEM;
	event_active(control->interval, EV_TIMEOUT, 0);
	announce_start(&control->announce, clock_s());
	control->ingest.discover = &control->discover;
	if (ingest_start(&control->ingest, control->base, on_reports, control) < 0)
		return -ENOMEM;
	return ingest_bus_start(&control->bus, control->base);
}
