/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"
#include "../telemetry/draft.h"
#include "../telemetry/plausible.h"
#include "walltime.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ICMP errors come rate-limited: silence for so long before an edge counts as reachable. */
#define QUIET_NS 3000000000ull
#define ANNOUNCE_NS 2000000000ull
#define ANNOUNCED_MS 10000
#define BUS_QUIET_NS 1000000000ull /* so long without the bus is told */

struct edge_state {
	bool down;
	int error; /* the last one */
	uint64_t error_ns;
};

struct report {
	const struct agent_config *config;
	struct sl_publisher *publisher;
	const char *label[SL_LABELS_MAX];
	struct edge_state edge[AGENT_EDGES_MAX];
	struct edge_state bus;
	bool refused;			   /* told that a report could not be made */
	bool left_out[AGENT_SERVICES_MAX]; /* as it cannot be; told */
	uint64_t times_left_out;
	bool too_long; /* with metrics; told */
	uint64_t sent;
	struct walltime walltime;
	uint64_t clock_jumps;
	uint64_t announced_ns; /* 0: not yet */
};

static int add_bus(struct report *report, struct config_error *error)
{
	const struct agent_config *config = report->config;
	int err = config->bus.servers
			  ? sl_publisher_add_bus(report->publisher, &config->bus, config->site)
			  : 0;

	if (err < 0)
		snprintf(error->text, sizeof(error->text), "%s",
			 sl_publisher_error(report->publisher));
	return err;
}

static int add_edges(struct report *report, struct config_error *error)
{
	const struct agent_config *config = report->config;

	for (unsigned i = 0; i < config->edges; i++) {
		char key[SL_KEY_TEXT];
		int err;

		sodium_bin2base64(key, sizeof(key), config->edge[i].key, SL_KEY_BYTES,
				  sodium_base64_VARIANT_ORIGINAL);
		err = sl_publisher_add(report->publisher, config->edge[i].to, key);
		if (err < 0) {
			snprintf(error->text, sizeof(error->text), "%s",
				 sl_publisher_error(report->publisher));
			return err;
		}
	}
	return 0;
}

int report_open(struct report **out, const struct agent_config *config, struct config_error *error)
{
	struct report *report = calloc(1, sizeof(*report));
	int err;

	if (!report) {
		snprintf(error->text, sizeof(error->text), "out of memory");
		return -ENOMEM;
	}
	report->config = config;
	for (unsigned i = 0; i < config->labels; i++)
		report->label[i] = config->label[i];
	err = sl_publisher_open(&report->publisher, config->key_file);
	if (err < 0)
		snprintf(error->text, sizeof(error->text), "%s", sl_publisher_error(NULL));
	else
		err = add_edges(report, error);
	if (!err)
		err = add_bus(report, error);
	if (err < 0)
		report_close(report);
	else
		*out = report;
	return err;
}

void report_close(struct report *report)
{
	if (!report)
		return;
	sl_publisher_close(report->publisher);
	free(report);
}

uint64_t report_count(const struct report *report)
{
	return report->sent;
}

uint64_t report_left_out(const struct report *report)
{
	return report->times_left_out;
}

uint64_t report_clock_jumps(const struct report *report)
{
	return report->clock_jumps;
}

/* Told once per change of state, not once per report. */
static void follow_edge(struct edge_state *state, const char *to, int err, uint64_t now_ns)
{
	if (err < 0) {
		if (!state->down || state->error != err)
			fprintf(stderr, "warning: edge %s unreachable: %s\n", to, strerror(-err));
		*state = (struct edge_state){.down = true, .error = err, .error_ns = now_ns};
	} else if (state->down && now_ns - state->error_ns > QUIET_NS) {
		state->down = false;
		fprintf(stderr, "info: edge %s reachable again\n", to);
	}
}

static void follow_edges(struct report *report, uint64_t now_ns)
{
	for (unsigned i = 0; i < report->config->edges; i++)
		follow_edge(&report->edge[i], report->config->edge[i].to,
			    sl_publisher_receiver_error(report->publisher, i), now_ns);
}

/* It connects in the background: the first reports may find it not there yet. */
static void follow_bus(struct report *report, uint64_t now_ns)
{
	struct edge_state *state = &report->bus;
	int err = sl_publisher_bus_error(report->publisher);

	if (err == 0) {
		if (state->down)
			fprintf(stderr, "info: bus: reports go out again\n");
		*state = (struct edge_state){};
	} else if (!state->error_ns) {
		state->error_ns = now_ns;
	} else if (!state->down && now_ns - state->error_ns > BUS_QUIET_NS) {
		state->down = true;
		fprintf(stderr, "warning: bus: no report goes out: %s\n",
			sl_publisher_error(report->publisher));
	}
}

static struct sl_load to_load(const struct agent_service *service, const struct report_load *from,
			      bool metrics)
{
	const struct meter_load *load = &from->load;

	return (struct sl_load){
		.service = service->name,
		.servers = from->servers,
		.service_time_s = load->service_time_s,
		.service_scv = load->service_scv,
		.in_flight = load->in_flight,
		.queued = load->queued,
		.arrivals_per_s = load->arrivals_per_s,
		.completions_per_s = load->completions_per_s,
		.arrivals = load->arrivals,
		.completions = load->completions,
		.cpu_utilisation = from->cpu_utilisation,
		.latency = load->latency,
		.latencies = load->latencies,
		.metric = from->metric,
		.metrics = metrics ? from->metrics : 0,
	};
}

/* measured_at is on the wall clock, what we have is on the monotonic one. */
static uint64_t unix_us_of(struct report *report, uint64_t monotonic_ns)
{
	struct timespec wall, mono;
	uint64_t wall_us, mono_us;
	int64_t jump_us;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	wall_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000;
	mono_us = (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000;
	jump_us = walltime_jump_us(&report->walltime, (int64_t)wall_us, (int64_t)mono_us);
	if (jump_us) {
		report->clock_jumps++;
		fprintf(stderr,
			"warning: this host's clock was set by %+.1f s: edges refuse reports while "
			"theirs differs (timedatectl)\n",
			(double)jump_us / 1e6);
	}
	return wall_us - (mono_us - monotonic_ns / 1000);
}

static int publish(struct report *report, const struct report_load *load, const bool *include,
		   bool metrics, uint64_t now_ns)
{
	const struct agent_config *config = report->config;
	struct sl_load loads[AGENT_SERVICES_MAX];
	struct sl_report out = {
		.measured_at_us = unix_us_of(report, now_ns),
		.valid_for_ms = config->valid_for_ms,
		.label = report->label,
		.labels = config->labels,
		.price_per_hour = config->price_per_hour,
		.pue = config->pue,
		.load = loads,
	};

	for (unsigned i = 0; i < config->services; i++)
		if (include[i])
			loads[out.loads++] = to_load(&config->service[i], &load[i], metrics);
	return sl_publish(report->publisher, &out);
}

/* Now and then: what an edge that starts, or a new one, has to know of this site. */
static void announce(struct report *report, uint64_t now_ns)
{
	const struct agent_config *config = report->config;
	struct sl_offer offer[AGENT_SERVICES_MAX];
	const struct in6_addr *sid = config->sid;
	struct sl_announcement announcement = {
		.site = config->site,
		.offer = offer,
		.offers = config->services,
		.sid4 = IN6_IS_ADDR_UNSPECIFIED(&sid[SL_INNER_IPV4]) ? NULL
								     : sid[SL_INNER_IPV4].s6_addr,
		.sid6 = IN6_IS_ADDR_UNSPECIFIED(&sid[SL_INNER_IPV6]) ? NULL
								     : sid[SL_INNER_IPV6].s6_addr,
		.approval = config->approval,
		.approval_bytes = config->approval_bytes,
	};
	struct sl_report out = {.valid_for_ms = ANNOUNCED_MS, .announcement = &announcement};

	if (!config->approval_bytes ||
	    (report->announced_ns && now_ns - report->announced_ns < ANNOUNCE_NS))
		return;
	for (unsigned i = 0; i < config->services; i++)
		offer[i] = (struct sl_offer){config->service[i].name, config->service[i].servers};
	if (sl_publish(report->publisher, &out) == 0)
		report->announced_ns = now_ns;
}

bool report_plausible(const struct sl_report *one, char why[256])
{
	Suanlu__Report report;
	struct draft draft;
	bool result;

	snprintf(why, 256, "out of memory");
	if (draft_init(&draft, one, 1) < 0)
		return false;
	report = draft_slice(&draft, 0, draft.entries);
	result = plausible(&report, why, 256);
	draft_free(&draft);
	return result;
}

/* One that cannot be would take all others out of the report, too. The others, in `kept`. */
static bool leave_out(struct report *report, const struct report_load *load, const bool *include,
		      bool kept[AGENT_SERVICES_MAX])
{
	bool some = false;
	char why[256];

	for (unsigned i = 0; i < report->config->services; i++) {
		const struct sl_load one = to_load(&report->config->service[i], &load[i], true);

		kept[i] = include[i] &&
			  report_plausible(&(struct sl_report){.load = &one, .loads = 1}, why);
		if (include[i] && !kept[i] && !report->left_out[i])
			fprintf(stderr,
				"error: %s: every edge would refuse its numbers (%s): left out of "
				"reports\n",
				one.service, why);
		report->left_out[i] = include[i] && !kept[i];
		report->times_left_out += report->left_out[i];
		some |= report->left_out[i];
	}
	return some;
}

/* 0 also if it is an edge's, or the bus's, own trouble: the report itself was good. */
static int publish_good(struct report *report, const struct report_load *load, const bool *include,
			uint64_t now_ns)
{
	int err = publish(report, load, include, !report->too_long, now_ns);

	if (err == sl_publisher_bus_error(report->publisher))
		return 0;
	for (unsigned i = 0; i < report->config->edges; i++)
		if (err == sl_publisher_receiver_error(report->publisher, i))
			return 0;
	return err;
}

void report_send(struct report *report, const struct report_load *load, const bool *include,
		 uint64_t now_ns)
{
	bool kept[AGENT_SERVICES_MAX];
	int err;

	announce(report, now_ns);
	err = publish_good(report, load, include, now_ns);
	if (err == -EMSGSIZE && !report->too_long) {
		fprintf(stderr,
			"warning: a service with its metrics is longer than a report may be: "
			"metrics are left out\n");
		report->too_long = true;
		err = publish_good(report, load, include, now_ns);
	}
	if (err == -EINVAL && leave_out(report, load, include, kept))
		err = publish_good(report, load, kept, now_ns);
	if (err < 0) {
		if (!report->refused)
			fprintf(stderr, "error: no report: %s\n",
				sl_publisher_error(report->publisher));
		report->refused = true;
		return;
	}
	report->refused = false;
	report->sent++;
	follow_edges(report, now_ns);
	follow_bus(report, now_ns);
}
