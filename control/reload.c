/* SPDX-License-Identifier: BSD-3-Clause */
#include "reload.h"
#include "carry.h"
#include "clock.h"
#include "log.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what may fail: everything new is built beside what runs ------------------------------- */

/* A control that has dropped its rights may not be able to read its own key again. */
static int read_key(const struct control *control, struct control *next, struct config_error *error)
{
	const char *running = control->config->key_file, *file = next->config->key_file;
	int result;

	if (!control_needs_key(next->config))
		return 0;
	result = key_read(file, &next->key, error->text, sizeof(error->text));
	if (result != -EACCES || !control_needs_key(control->config) || strcmp(running, file) != 0)
		return result;
	log_info("%s: not readable any more, the key that was read at start stays", file);
	next->key = control->key;
	return 0;
}

static int no_memory(struct config_error *error)
{
	snprintf(error->text, sizeof(error->text), "no memory");
	return -ENOMEM;
}

/* next->config: what is gone over to; NULL: what the file says now. */
static int build(struct control *control, struct control *next, double now_s,
		 struct config_error *error)
{
	int result = next->config
			     ? 0
			     : config_reload(control->file, control->config, &next->config, error);

	if (result == 0 && discover_merge(&control->discover, next->config, now_s) < 0)
		result = no_memory(error);
	if (result == 0)
		result = read_key(control, next, error);
	next->bus.bus = control->bus.bus; /* stays */
	if (result == 0)
		result = control_shape(next, error);
	if (result < 0)
		return result;
	if (control->ingest.verify)
		result = ingest_verifier(&next->ingest.verify, next->config, &next->key,
					 control->ingest.verify, error);
	if (result == 0 && (link_open(&next->link, control->base, next->config) < 0 ||
			    ways_open(&next->ways, &next->state, &next->link) < 0 ||
			    announce_shape(&next->announce, next->config) < 0))
		result = no_memory(error);
	return result;
}

/* Of a build that failed, or of what ran before. */
static void discard(struct control *next)
{
	if (next->config) {
		announce_close(&next->announce);
		ingest_close(&next->ingest);
		ways_close(&next->ways);
		link_close(&next->link);
		control_unshape(next);
	}
	config_free(next->config);
	sodium_memzero(&next->key, sizeof(next->key));
}

/* --- what cannot fail ---------------------------------------------------------------------- */

static void carry_told(const struct control *control, struct control *next)
{
	struct state *before = (struct state *)&control->state;

	for (unsigned i = 0; i < next->config->sites; i++) {
		int site = state_find_site(before, next->config->site[i].name);

		if (site >= 0)
			next->told[i] = control->told[site];
	}
}

static void carry(struct control *control, struct control *next)
{
	carry_told(control, next);
	carry_state(&next->state, &control->state);
	carry_routes(&next->routes, &control->routes);
	carry_demand(&next->demand, &control->demand);
	upward_carry(&next->upward, &control->upward);
}

/* Every service has the weights that it is to start with; those with news are solved for them. */
static void decide(struct control *next, double now_s)
{
	for (unsigned i = 0; i < next->config->services; i++) {
		struct state_service *service = &next->state.service[i];

		if (service->dirty)
			routes_update(&next->routes, i, now_s);
		service->dirty = false;
		service->cause = (struct reaction_cause){};
		link_standby(&next->link, i, next->routes.service[i].standby);
		link_know(&next->link, i, next->routes.service[i].wait_s,
			  next->routes.service[i].step_s, next->routes.service[i].draws);
		link_set(&next->link, i, next->routes.service[i].weight, (struct reaction_cause){});
	}
}

/* Structures that others point to keep their place, so their contents are exchanged. */
#define EXCHANGE(a, b)                     \
	do {                               \
		__typeof__(a) kept_ = (a); \
		(a) = (b);                 \
		(b) = kept_;               \
	} while (0)

static void swap(struct control *control, struct control *next, double now_s)
{
	EXCHANGE(control->config, next->config);
	EXCHANGE(control->key, next->key);
	EXCHANGE(control->told, next->told);
	EXCHANGE(control->state, next->state);
	EXCHANGE(control->demand, next->demand);
	EXCHANGE(control->routes, next->routes);
	EXCHANGE(control->ways, next->ways);
	control->ways.state = &control->state;
	control->ways.link = &control->link;
	EXCHANGE(control->upward, next->upward);
	control->demand.state = control->routes.state = &control->state;
	next->demand.state = next->routes.state = &next->state;
	control->upward.state = &control->state;
	control->upward.routes = &control->routes;
	next->upward.state = &next->state;
	next->upward.routes = &next->routes;
	control->rundir.config = control->config;
	control->next = control->next_news = 0;
	if (next->ingest.verify) {
		ingest_reload(&control->ingest, next->ingest.verify);
		next->ingest.verify = NULL;
	}
	announce_reload(&control->announce, &next->announce, now_s);
	link_reload(&control->link, &next->link);
}

/* --- for people ----------------------------------------------------------------------------- */

static void count_services(struct state *now, struct state *before, struct reload_count *count)
{
	for (unsigned i = 0; i < now->config->services; i++) {
		int old = state_find_service(before, now->config->service[i].name);

		if (old < 0)
			count->added++;
		else if (!config_same_service(now->config, i, before->config, (unsigned)old))
			count->changed++;
	}
	for (unsigned i = 0; i < before->config->services; i++)
		count->removed += state_find_service(now, before->config->service[i].name) < 0;
}

static void count_sites(struct state *now, struct state *before, struct reload_count *count)
{
	for (unsigned i = 0; i < now->config->sites; i++) {
		const struct config_site *site = &now->config->site[i];
		int old = state_find_site(before, site->name);

		if (old < 0)
			count->added++;
		else if (!config_same_site(site, &before->config->site[old]))
			count->changed++;
	}
	for (unsigned i = 0; i < before->config->sites; i++)
		count->removed += state_find_site(now, before->config->site[i].name) < 0;
}

static const struct config_edge *find_edge(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->edges; i++)
		if (strcmp(config->edge[i].name, name) == 0)
			return &config->edge[i];
	return NULL;
}

static void count_edges(const struct config *now, const struct config *before,
			struct reload_count *count)
{
	for (unsigned i = 0; i < now->edges; i++) {
		const struct config_edge *old = find_edge(before, now->edge[i].name);

		if (!old)
			count->added++;
		else if (!config_same_edge(&now->edge[i], old))
			count->changed++;
	}
	for (unsigned i = 0; i < before->edges; i++)
		count->removed += !find_edge(now, before->edge[i].name);
}

/* A site that is gone is not drained any more: should it come back, it is new. */
static void forget_drained(struct control *control, struct control *before)
{
	bool gone = false;
	int result;

	for (unsigned i = 0; i < before->config->sites; i++)
		gone |= before->state.site[i].drained &&
			state_find_site(&control->state, before->config->site[i].name) < 0;
	result = gone ? rundir_write_drained(&control->rundir, &control->state) : 0;
	if (result < 0)
		log_warning("cannot forget that a site that is gone was drained: %s",
			    strerror(-result));
}

static void log_count(const char *what, const struct reload_count *count, char *out, size_t bytes)
{
	size_t used = strlen(out);

	snprintf(out + used, bytes - used, "%s%s %u added, %u removed, %u changed",
		 used ? "; " : "", what, count->added, count->removed, count->changed);
}

static void tell(const struct control *control, const struct reload_summary *summary)
{
	char text[256] = "";

	log_count("services", &summary->services, text, sizeof(text));
	log_count("sites", &summary->sites, text, sizeof(text));
	log_count("edges", &summary->edges, text, sizeof(text));
	log_info("%s read again: %s", control->file, text);
}

/* Afterwards *next is what ran before, or what was built in vain: discard it. */
static int go(struct control *control, struct control *next, struct config_error *error)
{
	double now_s = clock_s();
	int result = build(control, next, now_s, error);

	if (result < 0)
		return result;
	carry(control, next);
	decide(next, now_s);
	swap(control, next, now_s);
	if (control->interval)
		control_set_interval(control);
	return 0;
}

void reload_discovered(struct control *control)
{
	struct control next = {
		.link.fd = -1, .ingest.fd = -1, .config = config_copy(control->config)};
	struct config_error error;
	int result = next.config ? go(control, &next, &error) : no_memory(&error);

	if (result < 0)
		log_warning("announcements are not taken over, nothing has changed: %s",
			    error.text);
	discard(&next);
	if (result == 0)
		control_announce(control);
}

int reload(struct control *control, struct reload_summary *summary, struct config_error *error)
{
	struct control next = {.link.fd = -1, .ingest.fd = -1};
	int result = go(control, &next, error);

	if (result < 0) {
		log_warning("configuration refused, nothing has changed: %s", error->text);
		discard(&next);
		return result;
	}
	*summary = (struct reload_summary){};
	count_services(&control->state, &next.state, &summary->services);
	count_sites(&control->state, &next.state, &summary->sites);
	count_edges(control->config, next.config, &summary->edges);
	forget_drained(control, &next);
	discard(&next);
	tell(control, summary);
	control_announce(control);
	return 0;
}
