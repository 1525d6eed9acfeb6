/* SPDX-License-Identifier: BSD-3-Clause */
#include "demand.h"
#include "address.h"
#include "log.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELAPSED_MIN_S 0.001
#define VALID_TIMES 10 /* what one report comes after another */
#define WHOLE_S 0.2    /* between, only what changed is told */
#define RATE_WORTH 0.01
#define DATAGRAMS_PER_S 2000 /* of all edges together, that each of them has to verify */
#define ENTRY_BYTES 32	     /* of a service or a path, beside names and flows */
#define FLOWS_BYTES 26	     /* two totals and tags, beside the name */
#define FLOWS_BYTES_MAX 1100

static int refuse(struct config_error *error, int code, const char *what, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s: %s", what, why);
	return code;
}

static int add_edges(struct demand *demand, struct config_error *error)
{
	for (unsigned i = 0; i < demand->config->edges; i++) {
		const struct config_edge *edge = &demand->config->edge[i];
		char address[ADDRESS_TEXT], key[SL_KEY_TEXT];
		int result;

		if (edge->address.ss_family == 0)
			continue;
		sodium_bin2base64(key, sizeof(key), edge->key, sizeof(edge->key),
				  sodium_base64_VARIANT_ORIGINAL);
		result = sl_publisher_add(demand->publisher, address_text(&edge->address, address),
					  key);
		if (result < 0)
			return refuse(error, result, edge->name,
				      sl_publisher_error(demand->publisher));
	}
	return 0;
}

static int open_publisher(struct demand *demand, const struct key *key, struct bus *bus,
			  struct config_error *error)
{
	const struct config *config = demand->config;
	int result;

	if (config->edges == 0 && !bus)
		return 0;
	result = publisher_open(&demand->publisher, key);
	if (result < 0)
		return refuse(error, result, "demand", sl_publisher_error(NULL));
	demand->report = calloc(config->services + 1, sizeof(*demand->report));
	demand->path = calloc(config->sites + config->transits + 1, sizeof(*demand->path));
	demand->told = calloc(config->services + 1, sizeof(*demand->told));
	demand->told_closed = calloc(config->sites + 1, sizeof(*demand->told_closed));
	if (!demand->report || !demand->path || !demand->told || !demand->told_closed)
		return refuse(error, -ENOMEM, "demand", "no memory");
	result = bus ? publisher_use_bus(demand->publisher, bus, SUBJECT_EDGE, config->node) : 0;
	if (result < 0)
		return refuse(error, result, "bus", sl_publisher_error(demand->publisher));
	return add_edges(demand, error);
}

int demand_open(struct demand *demand, struct state *state, const struct key *key, struct bus *bus,
		struct config_error *error)
{
	const struct config *config = state->config;
	unsigned members;
	int result;

	*demand = (struct demand){.config = config, .state = state};
	result = counters_open(&demand->counters, config);
	if (result < 0)
		return refuse(error, result, "demand", "no memory");
	members = demand->counters.first[config->services];
	demand->service = calloc(config->services + 1, sizeof(*demand->service));
	demand->member = calloc(members + 1, sizeof(*demand->member));
	demand->total = calloc(members + 1, sizeof(*demand->total));
	demand->closed = calloc(members + 1, sizeof(*demand->closed));
	demand->flows = calloc(members + 1, sizeof(*demand->flows));
	demand->counted = calloc(members + 1, sizeof(*demand->counted));
	if (!demand->closed || !demand->flows || !demand->service || !demand->member ||
	    !demand->total || !demand->counted)
		result = refuse(error, -ENOMEM, "demand", "no memory");
	if (result == 0)
		result = open_publisher(demand, key, bus, error);
	if (result < 0)
		demand_close(demand);
	return result;
}

void demand_close(struct demand *demand)
{
	sl_publisher_close(demand->publisher);
	free(demand->told_closed);
	free(demand->told);
	free(demand->path);
	free(demand->report);
	free(demand->counted);
	free(demand->flows);
	free(demand->closed);
	free(demand->total);
	free(demand->member);
	free(demand->service);
	counters_close(&demand->counters);
	*demand = (struct demand){};
}

/*
 * New flows of a member since the last sample, and what of its flows closed; the first sight of it
 * gives none, but when control starts beside a dataplane that has flows already.
 */
static uint64_t member_delta(struct demand *demand, unsigned service, unsigned k, double now_s)
{
	unsigned index = demand->counters.first[service] + k;
	struct sl_member_counters now;
	uint64_t before = demand->total[index], closed = demand->closed[index];
	bool counted = demand->counted[index];
	struct state_member *member = &demand->state->service[service].member[k];

	demand->counted[index] =
		counters_member(&demand->counters, demand->config, service, k, &now);
	demand->total[index] = now.new_flows;
	demand->closed[index] = now.closed_flows;
	if (demand->counted[index] && !counted && member->flows.tick_s == 0)
		state_found(demand->state, service, k,
			    (double)now.new_flows - (double)now.closed_flows);
	if (!demand->counted[index] || !counted || now.new_flows < before ||
	    now.closed_flows < closed)
		return 0;
	/* most of an edge's many members: no flow ever went there, by any dataplane's counters */
	if (now.new_flows == 0 && now.closed_flows == 0 && demand->member[index].fast_per_s == 0)
		return 0;
	if (member->counted.at_s == 0)
		member->counted.at_s = demand->sampled_s;
	state_count(demand->state, service, k, now_s, now.new_flows - before,
		    now.closed_flows - closed);
	return now.new_flows - before;
}

/* elapsed_s 0: only where the totals stand now. */
static void sample_service(struct demand *demand, unsigned i, double now_s, double elapsed_s)
{
	struct state_service *service = &demand->state->service[i];
	uint64_t flows = 0;

	for (unsigned k = 0; k < demand->config->service[i].sites; k++) {
		struct rate *rate = &demand->member[demand->counters.first[i] + k];
		uint64_t delta = member_delta(demand, i, k, now_s);

		if (elapsed_s > 0)
			rate_count(rate, delta, elapsed_s);
		/* The short memory: it is compared with what a site counted between two
		 * reports. */
		if (rate->fast_per_s > 0)
			service->member[k].own_per_s = rate->fast_per_s;
		flows += delta;
	}
	if (elapsed_s > 0)
		rate_count(&demand->service[i], flows, elapsed_s);
	service->demand_per_s = demand->service[i].slow_per_s;
	service->flows += flows;
}

void demand_peek(struct demand *demand, unsigned service)
{
	struct state_member *member = demand->state->service[service].member;

	for (unsigned k = 0; k < demand->config->service[service].sites; k++) {
		unsigned index = demand->counters.first[service] + k;
		struct sl_member_counters now = {0};

		member[k].uncounted = 0;
		if (demand->counted[index] &&
		    counters_member(&demand->counters, demand->config, service, k, &now) &&
		    now.new_flows > demand->total[index])
			member[k].uncounted = now.new_flows - demand->total[index];
	}
}

void demand_sample(struct demand *demand, double now_s)
{
	unsigned members = demand->counters.first[demand->config->services];
	double elapsed_s = now_s - demand->sampled_s;

	if (demand->sampled_s > 0 && elapsed_s < ELAPSED_MIN_S)
		return;
	if (counters_refresh(&demand->counters, demand->state, now_s)) {
		memset(demand->counted, 0, members * sizeof(*demand->counted));
		demand->counting_s = demand->counters.map ? now_s : 0;
	}
	/* Without a dataplane nothing is known of demand, and of another file only from its
	 * second reading on: the last rates stay. */
	for (unsigned i = 0; demand->counters.map && i < demand->config->services; i++)
		sample_service(demand, i, now_s, now_s > demand->counting_s ? elapsed_s : 0);
	state_tick(demand->state, now_s);
	demand->sampled_s = now_s;
}

/* Sites that got flows, as many as fit beside each other into a datagram. */
static size_t tell_flows(struct demand *demand, unsigned service, size_t *bytes)
{
	const struct config_service *s = &demand->config->service[service];
	unsigned first = demand->counters.first[service];
	size_t told = 0, more = 0;

	for (unsigned k = 0; k < s->sites; k++) {
		const char *site = demand->config->site[s->site[k]].name;
		uint64_t sent = demand->total[first + k];

		if (sent == 0 || !demand->counted[first + k])
			continue;
		if (more + strlen(site) + FLOWS_BYTES > FLOWS_BYTES_MAX)
			break;
		more += strlen(site) + FLOWS_BYTES;
		/* Pins may be older than the counters: then more close than were sent. */
		uint64_t closed = demand->closed[first + k];
		demand->flows[first + told++] =
			(struct sl_site_flows){site, sent, closed < sent ? closed : sent};
	}
	*bytes += more;
	return told;
}

/* Totals rise, so of what was told of a service before nothing is missed. */
static bool service_news(struct demand *demand, unsigned service)
{
	const struct state_service *s = &demand->state->service[service];
	struct demand_told *told = &demand->told[service];
	struct demand_told now = {.per_s = s->demand_per_s};

	for (unsigned k = 0; k < demand->config->service[service].sites; k++) {
		now.sent += demand->total[demand->counters.first[service] + k];
		now.closed += demand->closed[demand->counters.first[service] + k];
	}
	if (now.sent == told->sent && now.closed == told->closed &&
	    fabs(now.per_s - told->per_s) <= RATE_WORTH * told->per_s)
		return false;
	*told = now;
	return true;
}

static size_t tell_services(struct demand *demand, bool whole, size_t *bytes)
{
	const struct config *config = demand->config;
	size_t told = 0;

	for (unsigned i = 0; i < config->services; i++) {
		if (!service_news(demand, i) && !whole)
			continue;
		demand->report[told++] = (struct sl_demand){
			.service = config->service[i].name,
			.new_flows_per_s = demand->state->service[i].demand_per_s,
			.new_flows = demand->state->service[i].flows,
			.site = &demand->flows[demand->counters.first[i]],
			.sites = tell_flows(demand, i, bytes),
		};
		*bytes += strlen(config->service[i].name) + ENTRY_BYTES;
	}
	return told;
}

/* A site that is cut off from here gets nothing from here, as one that is drained. */
static size_t tell_paths(struct demand *demand, bool whole, size_t *bytes)
{
	const struct config *config = demand->config;
	size_t told = 0;

	for (unsigned i = 0; i < config->sites; i++) {
		const struct state_site *site = &demand->state->site[i];
		bool closed = site->drained || site->path_dead;

		if (!whole && closed == demand->told_closed[i])
			continue;
		demand->told_closed[i] = closed;
		demand->path[told++] = (struct sl_path){.site = config->site[i].name,
							.delay_s = site->delay_s,
							.drained = closed,
							.link_s = site->link_s};
		*bytes += strlen(config->site[i].name) + ENTRY_BYTES;
	}
	for (unsigned i = 0; whole && i < config->transits; i++) {
		double link_s = demand->state->transit[i].link_s;

		demand->path[told++] = (struct sl_path){
			.site = config->transit[i].name, .link_s = link_s, .delay_s = link_s};
		*bytes += strlen(config->transit[i].name) + ENTRY_BYTES;
	}
	return told;
}

static void note_published(struct demand *demand, int result)
{
	if (result == -ENOTCONN) /* the bus tells that itself */
		return;
	if (result < 0 && !demand->publish_failed)
		log_warning("cannot tell demand to every edge: %s",
			    sl_publisher_error(demand->publisher));
	if (result == 0 && demand->publish_failed)
		log_info("every edge is told demand again");
	demand->publish_failed = result < 0;
}

void demand_publish(struct demand *demand, double now_s)
{
	bool whole = now_s >= demand->whole_s;
	size_t bytes = 0;
	double gap_s, usual_s = demand->config->interval_ms / 1e3;
	struct sl_report report = {.demand = demand->report, .path = demand->path};

	if (!demand->publisher || now_s < demand->publish_s)
		return;
	report.demands = tell_services(demand, whole, &bytes);
	report.paths = tell_paths(demand, whole, &bytes);
	if (whole)
		demand->whole_s = now_s + WHOLE_S - usual_s / 2;
	else if (report.demands + report.paths == 0)
		return;
	gap_s = (double)demand->config->edges * (double)(1 + bytes / FLOWS_BYTES_MAX) /
		DATAGRAMS_PER_S;
	demand->publish_s = gap_s > usual_s ? now_s + gap_s - usual_s / 2 : 0;
	report.valid_for_ms =
		(uint32_t)(1e3 * fmin(fmax(VALID_TIMES * fmax(gap_s, usual_s), 0.5), 60));
	note_published(demand, sl_publish(demand->publisher, &report));
}
