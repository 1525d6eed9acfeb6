/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_text.h"
#include "clock.h"
#include "metrics_cats.h"
#include "metrics_paths.h"
#include <math.h>
#include <stdio.h>

static void family(struct evbuffer *out, const char *name, const char *type, const char *unit,
		   const char *help)
{
	evbuffer_add_printf(out, "# TYPE suanlu_%s %s\n", name, type);
	if (unit)
		evbuffer_add_printf(out, "# UNIT suanlu_%s %s\n", name, unit);
	evbuffer_add_printf(out, "# HELP suanlu_%s %s\n", name, help);
}

/* Without a value there is no sample: "unknown" is not 0. */
static void sample(struct evbuffer *out, const char *name, const char *labels, double value)
{
	if (!isnan(value))
		evbuffer_add_printf(out, "suanlu_%s{%s} %.9g\n", name, labels, value);
}

static void count(struct evbuffer *out, const char *name, const char *labels, uint64_t value)
{
	evbuffer_add_printf(out, "suanlu_%s_total{%s} %lu\n", name, labels, (unsigned long)value);
}

static uint64_t read_counter(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void verdicts(const struct counters *counters, struct evbuffer *out)
{
	char labels[64];

	family(out, "verdicts", "counter", NULL, "What became of received packets.");
	for (unsigned w = 0; w < counters->workers; w++)
		for (unsigned v = 0; v < SL_VERDICT_COUNT; v++) {
			snprintf(labels, sizeof(labels), "worker=\"%u\",verdict=\"%s\"", w,
				 sl_verdict_text[v].name);
			count(out, "verdicts", labels,
			      read_counter(&counters->map->worker[w].verdict[v]));
		}
}

static void workers(const struct counters *counters, struct evbuffer *out)
{
#define FIELD(field) offsetof(struct sl_worker_counters, field)
	static const struct {
		const char *name, *unit, *help;
		size_t offset;
	} counter[] = {
		{"received_packets", NULL, "Packets taken from ports.", FIELD(rx_packets)},
		{"received_bytes", "bytes", "Bytes of those packets.", FIELD(rx_bytes)},
		{"missed_packets", NULL, "Packets that found its ring full.", FIELD(rx_missed)},
		{"sent_packets", NULL, "Packets given to ports.", FIELD(tx_packets)},
		{"sent_bytes", "bytes", "Bytes of those packets.", FIELD(tx_bytes)},
		{"polls", NULL, "Turns of the worker loop.", FIELD(polls)},
		{"sleeps", NULL, "Turns that ended in sleep.", FIELD(sleeps)},
		{"pins_inserted", NULL, "Flows given a site.", FIELD(pins_inserted)},
		{"pins_evicted", NULL, "Live pins given up for others.", FIELD(pins_evicted)},
	};
#undef FIELD
	char labels[32];

	for (size_t i = 0; i < sizeof(counter) / sizeof(*counter); i++) {
		family(out, counter[i].name, "counter", counter[i].unit, counter[i].help);
		for (unsigned w = 0; w < counters->workers; w++) {
			const char *worker = (const char *)&counters->map->worker[w];

			snprintf(labels, sizeof(labels), "worker=\"%u\"", w);
			count(out, counter[i].name, labels,
			      read_counter((const uint64_t *)(worker + counter[i].offset)));
		}
	}
}

typedef void member_sample(const struct control *control, unsigned service, unsigned k,
			   const char *labels, struct evbuffer *out);

/* One sample for each service at each of its sites. */
static void members(const struct control *control, struct evbuffer *out, member_sample *show)
{
	char labels[128];

	for (unsigned i = 0; i < control->config->services; i++) {
		const struct config_service *s = &control->config->service[i];

		for (unsigned k = 0; k < s->sites; k++) {
			snprintf(labels, sizeof(labels), "service=\"%s\",site=\"%s\"", s->name,
				 control->config->site[s->site[k]].name);
			show(control, i, k, labels, out);
		}
	}
}

static struct sl_member_counters counted(const struct control *control, unsigned service,
					 unsigned k)
{
	struct sl_member_counters sum;

	counters_member(&control->demand.counters, control->config, service, k, &sum);
	return sum;
}

static void show_flows(const struct control *control, unsigned service, unsigned k,
		       const char *labels, struct evbuffer *out)
{
	count(out, "member_new_flows", labels, counted(control, service, k).new_flows);
}

static void show_packets(const struct control *control, unsigned service, unsigned k,
			 const char *labels, struct evbuffer *out)
{
	count(out, "member_packets", labels, counted(control, service, k).packets);
}

static void show_bytes(const struct control *control, unsigned service, unsigned k,
		       const char *labels, struct evbuffer *out)
{
	count(out, "member_bytes", labels, counted(control, service, k).bytes);
}

static void show_weight(const struct control *control, unsigned service, unsigned k,
			const char *labels, struct evbuffer *out)
{
	sample(out, "weight", labels, routes_published_share(&control->routes, service, k));
}

static void show_response(const struct control *control, unsigned service, unsigned k,
			  const char *labels, struct evbuffer *out)
{
	sample(out, "response_seconds", labels, control->routes.service[service].response_s[k]);
}

static void show_reported_response(const struct control *control, unsigned service, unsigned k,
				   const char *labels, struct evbuffer *out)
{
	const struct estimate *e = &control->state.service[service].member[k].estimate;

	sample(out, "reported_response_seconds", labels,
	       e->last_report_s >= 0 ? estimate_response_s(e) : NAN);
}

static double if_reported(const struct control *control, unsigned service, unsigned k, double value)
{
	bool known = control->state.service[service].member[k].estimate.last_report_s >= 0;

	return known ? value : NAN;
}

static void show_in_flight(const struct control *control, unsigned service, unsigned k,
			   const char *labels, struct evbuffer *out)
{
	const struct estimate *e = &control->state.service[service].member[k].estimate;

	sample(out, "in_flight", labels, if_reported(control, service, k, e->in_flight));
}

static void show_queued(const struct control *control, unsigned service, unsigned k,
			const char *labels, struct evbuffer *out)
{
	const struct estimate *e = &control->state.service[service].member[k].estimate;

	sample(out, "queued", labels, if_reported(control, service, k, e->queued));
}

static void show_arrivals(const struct control *control, unsigned service, unsigned k,
			  const char *labels, struct evbuffer *out)
{
	const struct estimate *e = &control->state.service[service].member[k].estimate;

	sample(out, "arrivals_per_second", labels,
	       if_reported(control, service, k, e->arrivals_per_s));
}

static void member_families(const struct control *control, struct evbuffer *out)
{
	family(out, "member_new_flows", "counter", NULL, "New flows steered to a site.");
	members(control, out, show_flows);
	family(out, "member_packets", "counter", NULL, "Packets steered to a site.");
	members(control, out, show_packets);
	family(out, "member_bytes", "counter", "bytes",
	       "Bytes of inner packets steered to a site.");
	members(control, out, show_bytes);
	family(out, "weight", "gauge", NULL, "Share of new flows by the published routes, 0 to 1.");
	members(control, out, show_weight);
	family(out, "response_seconds", "gauge", "seconds",
	       "Predicted waiting and service time at a site.");
	members(control, out, show_response);
	family(out, "reported_response_seconds", "gauge", "seconds",
	       "The same by the site's reports.");
	members(control, out, show_reported_response);
	family(out, "in_flight", "gauge", NULL, "Flows being worked on, as the site reported.");
	members(control, out, show_in_flight);
	family(out, "queued", "gauge", NULL, "Flows waiting, as the site reported.");
	members(control, out, show_queued);
	family(out, "arrivals_per_second", "gauge", NULL,
	       "Flows arriving at a site, by its reports.");
	members(control, out, show_arrivals);
}

typedef double named_value(const struct control *control, unsigned i, double now_s);

static double demand_per_s(const struct control *control, unsigned i, double now_s)
{
	(void)now_s;
	return control->state.service[i].demand_per_s;
}

static double predicted_s(const struct control *control, unsigned i, double now_s)
{
	(void)now_s;
	return control->routes.service[i].predicted_s;
}

static double regret_s(const struct control *control, unsigned i, double now_s)
{
	(void)now_s;
	return control->routes.service[i].regret_s;
}

static double drained(const struct control *control, unsigned i, double now_s)
{
	(void)now_s;
	return control->state.site[i].drained;
}

static double report_age_s(const struct control *control, unsigned i, double now_s)
{
	double at_s = control->state.site[i].last_report_s;

	return at_s < 0 ? NAN : now_s - at_s;
}

/* A gauge of every service, or of every site. */
static void gauge(const struct control *control, struct evbuffer *out, bool of_sites,
		  const char *name, const char *unit, const char *help, named_value *value)
{
	const struct config *config = control->config;
	double now_s = clock_s();
	char labels[64];

	family(out, name, "gauge", unit, help);
	for (unsigned i = 0; i < (of_sites ? config->sites : config->services); i++) {
		snprintf(labels, sizeof(labels), "%s=\"%s\"", of_sites ? "site" : "service",
			 of_sites ? config->site[i].name : config->service[i].name);
		sample(out, name, labels, value(control, i, now_s));
	}
}

static void services(const struct control *control, struct evbuffer *out)
{
	gauge(control, out, false, "demand_per_second", NULL, "New flows of clients at this node.",
	      demand_per_s);
	gauge(control, out, false, "predicted_seconds", "seconds",
	      "Predicted path delay and response of new flows, mean.", predicted_s);
	gauge(control, out, false, "regret_seconds", "seconds",
	      "What the published weights cost a new flow above the model's optimum, mean.",
	      regret_s);
}

static void announced(const struct control *control, struct evbuffer *out)
{
	const struct announce *announce = &control->announce;
	char labels[64];

	if (!control->config->announce.on)
		return;
	family(out, "announced", "gauge", NULL,
	       "1 while the kernel has the route to a service address.");
	for (unsigned i = 0; i < announce->addresses; i++) {
		snprintf(labels, sizeof(labels), "address=\"%s\"", announce->address[i].text);
		sample(out, "announced", labels, announce->address[i].present);
	}
	family(out, "announcements", "counter", NULL, "Routes put into the kernel.");
	count(out, "announcements", "", announce->announced);
	family(out, "withdrawals", "counter", NULL, "Routes taken out of the kernel.");
	count(out, "withdrawals", "", announce->withdrawn);
}

static void site_state(const struct control *control, unsigned site, double now_s,
		       struct evbuffer *out)
{
	static const char *const text[] = {"never", "fresh", "silent"};
	enum estimate_state now = state_site_state(&control->state, site, now_s);
	char labels[128];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(labels, sizeof(labels), "site=\"%s\",suanlu_site_reports=\"%s\"",
			 control->config->site[site].name, text[i]);
		sample(out, "site_reports", labels, now == i);
	}
}

static void key_conflicts(const struct control *control, struct evbuffer *out)
{
	char labels[64];

	family(out, "site_key_conflicts", "counter", NULL,
	       "Changes between two publishers that have a site's key.");
	for (unsigned i = 0; i < control->config->sites; i++) {
		snprintf(labels, sizeof(labels), "site=\"%s\"", control->config->site[i].name);
		count(out, "site_key_conflicts", labels, control->state.site[i].instance_conflicts);
	}
}

static void site_announcements(const struct discover *discover, struct evbuffer *out)
{
	char labels[64];

	family(out, "site_announcements", "counter", NULL,
	       "Announcements of sites, by what became of them.");
	for (unsigned i = 0; i < DISCOVER_RESULT_COUNT; i++) {
		snprintf(labels, sizeof(labels), "result=\"%s\"", discover_result_text(i));
		count(out, "site_announcements", labels, discover->count[i]);
	}
	count(out, "site_announcements", "result=\"service-denied\"", discover->denied);
}

static void sites(const struct control *control, struct evbuffer *out)
{
	double now_s = clock_s();

	family(out, "site_reports", "stateset", NULL, "Whether a site's reports come.");
	for (unsigned i = 0; i < control->config->sites; i++)
		site_state(control, i, now_s, out);
	gauge(control, out, true, "site_drained", NULL,
	      "1 while the operator keeps new flows away.", drained);
	gauge(control, out, true, "site_report_age_seconds", "seconds",
	      "Age of a site's last report.", report_age_s);
	key_conflicts(control, out);
	if (control->config->operators)
		site_announcements(&control->discover, out);
}

static void reports(const struct control *control, struct evbuffer *out)
{
	char labels[64];

	family(out, "reports", "counter", NULL, "Telemetry datagrams, by what became of them.");
	for (unsigned i = 0; i < VERIFY_REASON_COUNT; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", verify_reason_text(i));
		count(out, "reports", labels, control->ingest.count[i]);
	}
	count(out, "reports", "reason=\"dropped\"", control->ingest.dropped);
}

static void bus(const struct control *control, struct evbuffer *out)
{
	struct bus_status status;

	if (!control->bus.bus)
		return;
	bus_status(control->bus.bus, &status);
	family(out, "bus_connected", "gauge", NULL, "1 while there is a connection to the bus.");
	sample(out, "bus_connected", "", status.connected);
	family(out, "bus_connects", "counter", NULL, "Connections to the bus.");
	count(out, "bus_connects", "", status.connects);
	family(out, "bus_lost", "counter", NULL, "Messages that came faster than they were taken.");
	count(out, "bus_lost", "", status.lost + inbox_refused(control->bus.inbox));
	family(out, "bus_overtaken", "counter", NULL,
	       "Messages not read, as newer ones of their subjects had come.");
	count(out, "bus_overtaken", "", inbox_overtaken(control->bus.inbox));
	family(out, "bus_elsewhere", "counter", NULL, "Messages of nodes not configured here.");
	count(out, "bus_elsewhere", "", control->bus.elsewhere);
}

static void loop(const struct control *control, struct evbuffer *out)
{
	const struct reaction *reaction = &control->link.reaction;

	family(out, "solved", "counter", NULL, "Problems solved.");
	count(out, "solved", "", control->routes.solved);
	family(out, "solver_rounds", "counter", NULL, "Rounds that they took.");
	count(out, "solver_rounds", "", control->routes.rounds);
	family(out, "route_messages", "counter", NULL, "Messages sent to the dataplane.");
	count(out, "route_messages", "", control->link.sent);
	family(out, "route_refusals", "counter", NULL, "Messages that the dataplane refused.");
	count(out, "route_refusals", "", control->link.refused);
	family(out, "dataplane_connected", "gauge", NULL, "1 while the dataplane takes routes.");
	sample(out, "dataplane_connected", "", link_is_up(&control->link));
	family(out, "reaction_seconds", "histogram", "seconds",
	       "From a report's arrival to the acknowledgement of the routes it changed.");
	for (unsigned octave = 5; octave <= 20; octave++)
		evbuffer_add_printf(out, "suanlu_reaction_seconds_bucket{le=\"%.9g\"} %lu\n",
				    exp2(octave) / 1e6,
				    (unsigned long)reaction_within(reaction, octave));
	evbuffer_add_printf(out, "suanlu_reaction_seconds_bucket{le=\"+Inf\"} %lu\n",
			    (unsigned long)reaction->count);
	evbuffer_add_printf(out, "suanlu_reaction_seconds_count %lu\n",
			    (unsigned long)reaction->count);
	evbuffer_add_printf(out, "suanlu_reaction_seconds_sum %.9g\n",
			    (double)reaction->sum_ns / 1e9);
}

void metrics_text(const struct control *control, struct evbuffer *out)
{
	verdicts(&control->demand.counters, out);
	workers(&control->demand.counters, out);
	member_families(control, out);
	services(control, out);
	announced(control, out);
	sites(control, out);
	metrics_cats(control, out);
	metrics_paths(control, out);
	reports(control, out);
	bus(control, out);
	loop(control, out);
	evbuffer_add_printf(out, "# EOF\n");
}
