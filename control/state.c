/* SPDX-License-Identifier: BSD-3-Clause */
#include "state.h"
#include "telemetry/unpack.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALID_MS 500 /* telemetry.proto: what 0 stands for */
#define EDGE_VALIDITIES 5
#define MEAN_FROM_S 0.25
#define SEEN_S 10.0	/* whether closes are seen is judged over about so long, */
#define SEEN_LEAST 20.0 /* by as many at least, */
#define SEEN_PART 0.5	/* and this part of what is sent: a dead site's never close */

static int name_add(struct hsearch_data *names, const char *name, unsigned index)
{
	ENTRY entry = {.key = (char *)name, .data = (void *)(uintptr_t)index}, *found;

	return hsearch_r(entry, ENTER, &found, names) ? 0 : -ENOMEM;
}

static int name_find(struct hsearch_data *names, const char *name)
{
	ENTRY entry = {.key = (char *)name}, *found;

	return hsearch_r(entry, FIND, &found, names) ? (int)(uintptr_t)found->data : -1;
}

static int open_sites(struct state *state)
{
	const struct config *config = state->config;

	state->site = calloc(config->sites + 1, sizeof(*state->site));
	if (!state->site || !hcreate_r(config->sites * 2 + 1, &state->site_names))
		return -ENOMEM;
	for (unsigned i = 0; i < config->sites; i++) {
		state->site[i].last_report_s = -1;
		state->site[i].delay_s = config->site[i].delay_s;
		state->site[i].delay_at_s = -1;
		if (name_add(&state->site_names, config->site[i].name, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int open_services(struct state *state)
{
	const struct config *config = state->config;
	unsigned members = 0;

	state->service = calloc(config->services + 1, sizeof(*state->service));
	if (!state->service || !hcreate_r(config->services * 2 + 1, &state->service_names))
		return -ENOMEM;
	for (unsigned i = 0; i < config->services; i++) {
		const struct config_service *service = &config->service[i];
		struct state_member *member = calloc(service->sites, sizeof(*member));

		state->service[i].member = member;
		if (!member || name_add(&state->service_names, service->name, i) < 0)
			return -ENOMEM;
		state->service[i].first = members;
		members += service->sites;
		for (unsigned k = 0; k < service->sites; k++)
			estimate_init(&member[k].estimate, config->site[service->site[k]].servers);
	}
	return 0;
}

static int open_edges(struct state *state)
{
	const struct config *config = state->config;
	unsigned members = 0;

	for (unsigned i = 0; i < config->services; i++)
		members += config->service[i].sites;
	state->edge = calloc(config->edges + 1, sizeof(*state->edge));
	if (!state->edge)
		return -ENOMEM;
	for (unsigned i = 0; i < config->edges; i++) {
		struct state_edge *edge = &state->edge[i];

		edge->last_report_s = -1;
		edge->demand_per_s = calloc(config->services + 1, sizeof(double));
		edge->delay_s = calloc(config->sites + 1, sizeof(double));
		edge->delay_at_s = calloc(config->sites + 1, sizeof(double));
		edge->count = calloc(members + 1, sizeof(*edge->count));
		if (!edge->count || !edge->demand_per_s || !edge->delay_s || !edge->delay_at_s)
			return -ENOMEM;
		for (unsigned k = 0; k < config->sites; k++)
			edge->delay_at_s[k] = -1;
	}
	return 0;
}

static int open_transits(struct state *state)
{
	const struct config *config = state->config;

	state->transit = calloc(config->transits + 1, sizeof(*state->transit));
	if (!state->transit || !hcreate_r(config->transits * 2 + 1, &state->transit_names))
		return -ENOMEM;
	for (unsigned i = 0; i < config->transits; i++) {
		state->transit[i].link = calloc(STATE_LINKS_MAX, sizeof(struct state_link));
		if (!state->transit[i].link ||
		    name_add(&state->transit_names, config->transit[i].name, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

int state_open(struct state *state, const struct config *config)
{
	*state = (struct state){.config = config};
	if (open_sites(state) < 0 || open_services(state) < 0 || open_edges(state) < 0 ||
	    open_transits(state) < 0) {
		state_close(state);
		return -ENOMEM;
	}
	return 0;
}

static void close_members(struct state *state, unsigned i)
{
	struct state_member *member = state->service[i].member;

	for (unsigned k = 0; member && k < state->config->service[i].sites; k++)
		unpack_release(member[k].said_in);
	free(member);
}

void state_close(struct state *state)
{
	for (unsigned i = 0; state->edge && i < state->config->edges; i++) {
		free(state->edge[i].demand_per_s);
		free(state->edge[i].count);
		free(state->edge[i].delay_s);
		free(state->edge[i].delay_at_s);
	}
	for (unsigned i = 0; state->transit && i < state->config->transits; i++)
		free(state->transit[i].link);
	free(state->transit);
	for (unsigned i = 0; state->service && i < state->config->services; i++)
		close_members(state, i);
	hdestroy_r(&state->service_names);
	hdestroy_r(&state->site_names);
	hdestroy_r(&state->transit_names);
	free(state->edge);
	free(state->service);
	free(state->site);
	*state = (struct state){};
}

int state_find_site(struct state *state, const char *name)
{
	return name_find(&state->site_names, name);
}

int state_find_service(struct state *state, const char *name)
{
	return name_find(&state->service_names, name);
}

static double valid_for_s(const Suanlu__Report *report)
{
	return (report->valid_for_ms ?: VALID_MS) / 1000.0;
}

static void take_labels(struct state_site *site, const Suanlu__Report *report)
{
	site->labels = 0;
	for (size_t i = 0; i < report->n_labels && site->labels < SL_LABELS_MAX; i++)
		if (strlen(report->labels[i]) < SL_NAME_MAX)
			strcpy(site->label[site->labels++], report->labels[i]);
}

/* What all edges sent since the last report; of a short time the present rate says it better. */
static double sent_per_s(struct state_member *member, double now_s)
{
	double interval_s = now_s - member->reported_s, sent = member->sent - member->sent_before;
	bool mean = member->reported_s > 0 && interval_s > MEAN_FROM_S && sent > 0;

	member->reported_s = now_s;
	member->sent_before = member->sent;
	return mean ? sent / interval_s : member->own_per_s + member->others_per_s;
}

static int member_at(const struct config_service *service, unsigned site)
{
	for (unsigned k = 0; k < service->sites; k++)
		if (service->site[k] == site)
			return (int)k;
	return -1;
}

/*
 * Of the i-th service that a site reports; its member is NULL if it is not one of ours there. A
 * site names the same in the same order again and again, so it is most often where it was.
 */
static struct state_place place_of(struct state *state, unsigned site, size_t i, const char *name)
{
	struct state_place none = {},
			   *place = i < STATE_PLACES ? &state->site[site].place[i] : &none;
	int index, k;

	if (place->name && strcmp(place->name, name) == 0)
		return *place;
	index = state_find_service(state, name);
	k = index < 0 ? -1 : member_at(&state->config->service[index], site);
	if (k < 0)
		return (struct state_place){};
	*place = (struct state_place){state->config->service[index].name, &state->service[index],
				      &state->service[index].member[k]};
	return *place;
}

/* Members of many sites are more than a cache holds: what is worked on next comes meanwhile. */
static void fetch(const struct state_member *member, unsigned ticks)
{
	for (const char *at = (const char *)member; at < (const char *)member->flows.past; at += 64)
		__builtin_prefetch(at, 1);
	__builtin_prefetch(&member->flows.past[ticks % FLOWS_PAST], 1);
}

void state_site_expect(const struct state *state, unsigned site)
{
	const struct state_place *place = state->site[site].place;
	unsigned ticks = place[0].member ? place[0].member->flows.ticks : 0;

	for (unsigned i = 0; i < STATE_PLACES && place[i].name; i++) {
		__builtin_prefetch(place[i].name);
		fetch(place[i].member, ticks - 2);
	}
}

void state_site_report(struct state *state, unsigned site, const Suanlu__Report *report,
		       double now_s, double measured_s, uint64_t received_ns)
{
	struct state_site *s = &state->site[site];

	s->last_report_s = now_s;
	s->valid_until_s = fmax(s->valid_until_s, measured_s + valid_for_s(report));
	take_labels(s, report);
	s->price_per_hour = report->price_per_hour;
	s->pue = report->pue;
	for (size_t i = 0; i < report->n_load; i++) {
		struct state_place place = place_of(state, site, i, report->load[i]->service);
		struct state_member *member = place.member;

		if (!member)
			continue;
		estimate_report(&member->estimate, report->load[i], now_s, measured_s,
				valid_for_s(report), sent_per_s(member, now_s));
		place.service->dirty = true;
		flows_compare(&member->flows, &member->estimate);
		if (place.service->cause.arrived_ns == 0)
			place.service->cause =
				(struct reaction_cause){received_ns, (uint64_t)(measured_s * 1e9)};
	}
}

void state_site_said(struct state *state, unsigned site, Suanlu__Report *report)
{
	for (size_t i = 0; i < report->n_load; i++) {
		struct state_member *member =
			place_of(state, site, i, report->load[i]->service).member;

		if (!member)
			continue;
		unpack_hold(report);
		unpack_release(member->said_in);
		member->said_in = report;
		member->said = report->load[i];
	}
}

static void count(struct state_service *service, unsigned k, struct flows_edge *edge, double now_s,
		  double path_s, uint64_t sent, uint64_t closed)
{
	service->counted |= sent > 0 || closed > 0;
	flows_count(&service->member[k].flows, edge, now_s, path_s, sent, closed);
	service->sent += (double)sent;
	service->closed += (double)closed;
}

void state_count(struct state *state, unsigned service, unsigned member, double now_s,
		 uint64_t sent, uint64_t closed)
{
	struct state_service *s = &state->service[service];
	unsigned site = state->config->service[service].site[member];

	count(s, member, &s->member[member].counted, now_s, state->site[site].delay_s, sent,
	      closed);
}

void state_found(struct state *state, unsigned service, unsigned member, double flows)
{
	state->service[service].member[member].flows.open += flows;
	state->service[service].counted |= flows != 0;
}

static void take_counts(struct state *state, unsigned edge, unsigned index,
			const Suanlu__ServiceDemand *demand, double now_s)
{
	struct state_service *service = &state->service[index];

	for (size_t i = 0; i < demand->n_site; i++) {
		const Suanlu__SiteFlows *told = demand->site[i];
		int site = state_find_site(state, told->site);
		int k = site < 0 ? -1 : member_at(&state->config->service[index], (unsigned)site);

		if (k < 0)
			continue;
		struct state_count *before = &state->edge[edge].count[service->first + (unsigned)k];
		double path_s = state_edge_delay_s(state, edge, (unsigned)site, now_s);
		/* Totals that went backwards are of an edge that started again. */
		if (before->edge.at_s == 0)
			state_found(state, index, (unsigned)k,
				    (double)told->sent - (double)told->closed);
		else if (told->sent >= before->sent && told->closed >= before->closed &&
			 isfinite(path_s))
			count(service, (unsigned)k, &before->edge, now_s, path_s,
			      told->sent - before->sent, told->closed - before->closed);
		before->edge.at_s = now_s;
		before->sent = told->sent;
		before->closed = told->closed;
	}
}

void state_edge_report(struct state *state, unsigned edge, const Suanlu__Report *report,
		       double now_s)
{
	struct state_edge *e = &state->edge[edge];

	e->last_report_s = now_s;
	e->valid_for_s = valid_for_s(report);
	for (size_t i = 0; i < report->n_demand; i++) {
		int service = state_find_service(state, report->demand[i]->service);

		if (service < 0)
			continue;
		e->demand_per_s[service] = report->demand[i]->new_flows_per_s;
		take_counts(state, edge, (unsigned)service, report->demand[i], now_s);
	}
	for (size_t i = 0; i < report->n_path; i++) {
		int site = state_find_site(state, report->path[i]->site);

		if (site >= 0) {
			e->delay_s[site] = report->path[i]->delay_s;
			e->delay_at_s[site] = report->path[i]->drained ? -1 : now_s;
		}
	}
}

/* Sites, then transit nodes; -1: neither. */
static int find_target(struct state *state, const char *name)
{
	int site = state_find_site(state, name), transit;

	if (site >= 0)
		return site;
	transit = name_find(&state->transit_names, name);
	return transit < 0 ? -1 : (int)state->config->sites + transit;
}

static struct state_link *link_to(struct state_transit *transit, unsigned target)
{
	for (unsigned i = 0; i < transit->links; i++)
		if (transit->link[i].target == target)
			return &transit->link[i];
	if (transit->links == STATE_LINKS_MAX)
		return NULL;
	transit->link[transit->links].target = target;
	return &transit->link[transit->links++];
}

void state_transit_report(struct state *state, unsigned transit, const Suanlu__Report *report,
			  double now_s)
{
	struct state_transit *t = &state->transit[transit];

	t->last_report_s = now_s;
	t->valid_for_s = valid_for_s(report);
	for (size_t i = 0; i < report->n_path; i++) {
		int target = find_target(state, report->path[i]->site);
		struct state_link *link = target < 0 ? NULL : link_to(t, (unsigned)target);

		if (!link)
			continue;
		link->delay_s = report->path[i]->link_s;
		link->at_s = now_s;
	}
}

bool state_link_lives(const struct state_transit *transit, const struct state_link *link,
		      double now_s)
{
	return link->delay_s > 0 && now_s - link->at_s <= EDGE_VALIDITIES * transit->valid_for_s;
}

static void tick_service(struct state *state, unsigned index, double now_s)
{
	const struct config_service *config = &state->config->service[index];
	struct state_service *service = &state->service[index];
	bool seen = service->closed > SEEN_LEAST && service->closed > SEEN_PART * service->sent;

	for (unsigned k = 0; k < config->sites; k++) {
		struct state_member *member = &service->member[k];
		double path_s = state->site[config->site[k]].delay_s;
		double elapsed_s = now_s - member->flows.tick_s;

		if (k + 1 < config->sites)
			fetch(member + 1, member->flows.ticks);
		if (k == 0) {
			service->sent *= exp(-elapsed_s / SEEN_S);
			service->closed *= exp(-elapsed_s / SEEN_S);
		}
		flows_tick(&member->flows, &member->estimate, now_s, path_s, seen);
	}
}

void state_tick(struct state *state, double now_s)
{
	for (unsigned i = 0; i < state->config->services; i++)
		if (state->service[i].counted)
			tick_service(state, i, now_s);
}

enum estimate_state state_site_state(const struct state *state, unsigned site, double now_s)
{
	const struct state_site *s = &state->site[site];

	if (s->last_report_s < 0)
		return ESTIMATE_NEVER;
	return now_s <= s->valid_until_s ? ESTIMATE_FRESH : ESTIMATE_SILENT;
}

bool state_edge_live(const struct state *state, unsigned edge, double now_s)
{
	const struct state_edge *e = &state->edge[edge];

	return e->last_report_s >= 0 &&
	       now_s - e->last_report_s <= EDGE_VALIDITIES * e->valid_for_s;
}

double state_edge_delay_s(const struct state *state, unsigned edge, unsigned site, double now_s)
{
	const struct state_edge *e = &state->edge[edge];

	if (e->delay_at_s[site] < 0 ||
	    now_s - e->delay_at_s[site] > EDGE_VALIDITIES * e->valid_for_s)
		return INFINITY;
	return e->delay_s[site];
}

static bool has_label(const struct state *state, unsigned site, const char *label)
{
	const struct config_site *configured = &state->config->site[site];
	const struct state_site *said = &state->site[site];

	for (unsigned i = 0; i < configured->labels; i++)
		if (strcmp(configured->label[i], label) == 0)
			return true;
	for (unsigned i = 0; i < said->labels; i++)
		if (strcmp(said->label[i], label) == 0)
			return true;
	return false;
}

const char *state_lacks(const struct state *state, unsigned service, unsigned site)
{
	const struct config_service *s = &state->config->service[service];

	for (unsigned i = 0; i < s->requires; i++)
		if (!has_label(state, site, s->require[i]))
			return s->require[i];
	return NULL;
}
