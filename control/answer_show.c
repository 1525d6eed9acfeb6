/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer_show.h"
#include "cats.h"
#include "clock.h"
#include <arpa/inet.h>
#include <math.h>

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *address(const struct config_service *service, int family)
{
	char text[INET6_ADDRSTRLEN];

	if (family == AF_INET ? service->ipv4.s_addr == 0 : IN6_IS_ADDR_UNSPECIFIED(&service->ipv6))
		return json_null();
	inet_ntop(family, family == AF_INET ? (const void *)&service->ipv4 : &service->ipv6, text,
		  sizeof(text));
	return json_string(text);
}

static const char *affinity_text(enum sl_affinity affinity)
{
	static const char *const text[] = {"flow", "client", "none"};

	return text[affinity];
}

static json_t *service_sites(const struct config *config, const struct config_service *service)
{
	json_t *sites = json_array();

	for (unsigned k = 0; k < service->sites; k++)
		json_array_append_new(sites, json_string(config->site[service->site[k]].name));
	return sites;
}

/* All addresses of the service; null if control does not announce. */
static json_t *announced(const struct control *control, unsigned i)
{
	const struct config_service *s = &control->config->service[i];
	bool all = (!s->ipv4.s_addr || announce_has(&control->announce, i, SL_INNER_IPV4)) &&
		   (IN6_IS_ADDR_UNSPECIFIED(&s->ipv6) ||
		    announce_has(&control->announce, i, SL_INNER_IPV6));

	return control->config->announce.on ? json_boolean(all) : json_null();
}

json_t *answer_services(const struct control *control)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < control->config->services; i++) {
		const struct config_service *s = &control->config->service[i];
		const struct link_service *link = &control->link.service[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:o, s:o, s:s, s:i, s:s, s:o, s:o, s:o, s:I, s:I, s:o}",
				  "name", s->name, "ipv4", address(s, AF_INET), "ipv6",
				  address(s, AF_INET6), "protocol",
				  s->protocol == IPPROTO_TCP ? "tcp" : "udp", "port", s->port,
				  "affinity", affinity_text(s->affinity), "demand_per_s",
				  number(control->state.service[i].demand_per_s), "predicted_ms",
				  number(1000 * control->routes.service[i].predicted_s), "sites",
				  service_sites(control->config, s), "generation",
				  (json_int_t)link->generation, "acknowledged",
				  (json_int_t)link->acknowledged, "announced",
				  announced(control, i)));
	}
	return list;
}

static json_t *member_json(const struct control *control, unsigned service, unsigned k)
{
	const struct state_member *member = &control->state.service[service].member[k];
	const struct estimate *e = &member->estimate;
	const struct route *route = &control->routes.service[service];
	bool known = e->last_report_s >= 0;
	double busy = e->arrivals_per_s * e->service_time_s / e->servers;

	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 control->config->service[service].name, "servers", (int)e->servers,
			 "service_time_ms",
			 number(known && e->service_time_s > 0 ? 1000 * e->service_time_s : NAN),
			 "in_flight", known ? json_integer(e->in_flight) : json_null(), "queued",
			 known ? json_integer(e->queued) : json_null(), "arrivals_per_s",
			 number(known ? e->arrivals_per_s : NAN), "background_per_s",
			 number(known ? e->background_per_s : NAN), "utilisation",
			 number(known ? busy : NAN), "response_ms",
			 number(1000 * route->response_s[k]), "reported_response_ms",
			 number(known ? 1000 * estimate_response_s(e) : NAN), "weight",
			 number(routes_published_share(&control->routes, service, k)),
			 "new_flows_per_s", number(member->own_per_s));
}

static json_t *site_members(const struct control *control, unsigned site)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < control->config->services; i++)
		for (unsigned k = 0; k < control->config->service[i].sites; k++)
			if (control->config->service[i].site[k] == site)
				json_array_append_new(list, member_json(control, i, k));
	return list;
}

/* Those of the configuration, then those that the site says of itself. */
static json_t *site_labels(const struct control *control, unsigned site)
{
	const struct config_site *configured = &control->config->site[site];
	const struct state_site *said = &control->state.site[site];
	json_t *set = json_object(), *list = json_array();
	const char *label;
	json_t *value;

	for (unsigned i = 0; i < configured->labels; i++)
		json_object_set_new(set, configured->label[i], json_true());
	for (unsigned i = 0; i < said->labels; i++)
		json_object_set_new(set, said->label[i], json_true());
	json_object_foreach (set, label, value)
		json_array_append_new(list, json_string(label));
	json_decref(set);
	return list;
}

json_t *answer_sites(const struct control *control)
{
	static const char *const state[] = {[ESTIMATE_NEVER] = "never",
					    [ESTIMATE_FRESH] = "fresh",
					    [ESTIMATE_SILENT] = "silent"};
	json_t *list = json_array();
	double now_s = clock_s();

	for (unsigned i = 0; i < control->config->sites; i++) {
		const struct state_site *site = &control->state.site[i];
		double age_s = site->last_report_s < 0 ? NAN : now_s - site->last_report_s;
		double measured_s = site->delay_at_s;
		char way[SL_PATH_NAME_TEXT];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:o, s:o}", "name",
					control->config->site[i].name, "state",
					state[state_site_state(&control->state, i, now_s)],
					"drained", site->drained, "age_ms", number(1000 * age_s),
					"delay_ms", number(1000 * site->delay_s), "way",
					ways_text(&control->ways, i, way), "delay_age_ms",
					number(measured_s < 0 ? NAN : 1000 * (now_s - measured_s)),
					"labels", site_labels(control, i), "services",
					site_members(control, i)));
	}
	return list;
}

static json_t *route_json(const struct control *control, unsigned service, unsigned k, double now_s)
{
	const struct config_service *s = &control->config->service[service];
	const struct config_site *site = &control->config->site[s->site[k]];
	const struct route *route = &control->routes.service[service];
	char why[96];

	routes_why(&control->routes, service, k, now_s, why, sizeof(why));
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:s}", "service", s->name, "site",
			 site->name, "weight",
			 number(routes_published_share(&control->routes, service, k)), "delay_ms",
			 number(1000 * control->state.site[s->site[k]].delay_s), "response_ms",
			 number(1000 * route->response_s[k]), "marginal_ms",
			 number(1000 * route->marginal_s[k]), "usable",
			 route->use[k] == ROUTES_USABLE, "why", why);
}

json_t *answer_routes(const struct control *control)
{
	json_t *list = json_array();
	double now_s = clock_s();

	for (unsigned i = 0; i < control->config->services; i++)
		for (unsigned k = 0; k < control->config->service[i].sites; k++)
			json_array_append_new(list, route_json(control, i, k, now_s));
	return list;
}

struct row {
	json_t *list;
	const char *site, *service;
	double age_s;
};

static void add_metric(void *context, const struct cats_metric *m)
{
	const struct row *row = context;

	json_array_append_new(
		row->list,
		json_pack("{s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:s, s:s, s:i, s:s, s:o}", "site",
			  row->site, "service", row->service, "type", m->type, "level",
			  (int)m->level, "value", number(m->value), "format", m->format, "unit",
			  m->unit, "source", m->source, "statistics", m->statistics, "window_ms",
			  (int)m->window_ms, "by", m->derived ? "node" : "site", "age_ms",
			  number(1000 * row->age_s)));
}

json_t *answer_telemetry(const struct control *control)
{
	const struct config *config = control->config;
	struct row row = {.list = json_array()};
	double now_s = clock_s();

	for (unsigned i = 0; i < config->services; i++)
		for (unsigned k = 0; k < config->service[i].sites; k++) {
			row.site = config->site[config->service[i].site[k]].name;
			row.service = config->service[i].name;
			row.age_s =
				now_s - control->state.service[i].member[k].estimate.measured_at_s;
			cats_metrics(&control->routes, i, k, now_s, add_metric, &row);
		}
	return row.list;
}

json_t *answer_reports(const struct control *control)
{
	json_t *counts = json_object();

	for (unsigned i = 0; i < VERIFY_REASON_COUNT; i++)
		json_object_set_new(counts, verify_reason_text(i),
				    json_integer((json_int_t)control->ingest.count[i]));
	json_object_set_new(counts, "dropped", json_integer((json_int_t)control->ingest.dropped));
	return counts;
}

static json_t *edges_heard(const struct control *control, double now_s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < control->config->edges; i++) {
		double at_s = control->state.edge[i].last_report_s;

		json_array_append_new(
			list, json_pack("{s:s, s:b, s:o}", "name", control->config->edge[i].name,
					"heard", state_edge_live(&control->state, i, now_s),
					"age_ms", number(at_s < 0 ? NAN : 1000 * (now_s - at_s))));
	}
	return list;
}

/* null without one. */
static json_t *bus_json(const struct control *control)
{
	struct bus_status status;

	if (!control->bus.bus)
		return json_null();
	bus_status(control->bus.bus, &status);
	return json_pack("{s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b}", "connected",
			 status.connected, "server", status.server, "error", status.error,
			 "connects", (json_int_t)status.connects, "lost",
			 (json_int_t)(status.lost + inbox_refused(control->bus.inbox)), "elsewhere",
			 (json_int_t)control->bus.elsewhere, "overtaken",
			 (json_int_t)inbox_overtaken(control->bus.inbox), "bucket", status.bucket,
			 "last_values_read", status.complete);
}

static json_t *reaction_json(const struct reaction *reaction)
{
	return json_pack("{s:f, s:f, s:f, s:I}", "p50", reaction_quantile_us(reaction, 0.5), "p90",
			 reaction_quantile_us(reaction, 0.9), "p99",
			 reaction_quantile_us(reaction, 0.99), "count",
			 (json_int_t)reaction->count);
}

static json_t *announced_services(const struct discover_site *site)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < site->services; i++)
		json_array_append_new(list, json_string(site->service[i]));
	return list;
}

static const char *operator_name(const struct config *config, const uint8_t *key)
{
	for (unsigned i = 0; i < config->operators; i++)
		if (memcmp(config->operator[i].key, key, SL_KEY_BYTES) == 0)
			return config->operator[i].name;
	return "?";
}

json_t *answer_announcements(const struct control *control)
{
	const struct discover *discover = &control->discover;
	json_t *list = json_array();
	double now_s = clock_s();

	for (unsigned i = 0; i < discover->sites; i++) {
		const struct discover_site *site = discover->site[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o, s:i, s:o, s:s, s:s}", "site",
						site->approval.site, "operator",
						operator_name(control->config, site->approval.by),
						"services", announced_services(site), "servers",
						(int)site->servers, "age_ms",
						number(1000 * (now_s - site->heard_s)), "denied",
						site->denied, "refused", site->refused));
	}
	return list;
}

/* Announcements by what became of them. */
static json_t *announcement_counts(const struct discover *discover)
{
	json_t *counts = json_object();

	for (unsigned i = 0; i < DISCOVER_RESULT_COUNT; i++)
		json_object_set_new(counts, discover_result_text(i),
				    json_integer((json_int_t)discover->count[i]));
	json_object_set_new(counts, "service-denied", json_integer((json_int_t)discover->denied));
	return counts;
}

json_t *answer_status(const struct control *control)
{
	double now_s = clock_s();

	return json_pack("{s:b, s:s, s:f, s:o, s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "ok",
			 1, "node", control->config->node, "uptime_s", now_s - control->started_s,
			 "complete_s", number(control->complete_s), "dataplane_connected",
			 link_is_up(&control->link), "dataplane_connects",
			 (json_int_t)control->link.connects, "edges", edges_heard(control, now_s),
			 "announcements", announcement_counts(&control->discover), "bus",
			 bus_json(control), "reaction_us", reaction_json(&control->link.reaction),
			 "measured_to_routes_us", reaction_json(&control->link.whole), "solved",
			 (json_int_t)control->routes.solved, "solver_rounds",
			 (json_int_t)control->routes.rounds);
}
