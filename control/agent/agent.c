/* SPDX-License-Identifier: BSD-3-Clause */
#include "agent.h"
#include "cpu.h"
#include "meter.h"
#include "report.h"
#include "source.h"
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define PERIOD_MIN_NS (10 * NS_PER_MS)
#define EXTRA_MIN_NS (20 * NS_PER_MS)
#define CPU_SHARE 100 /* one part in so many */

/* Still work for the service; then all in which the kernel keeps a full socket; listeners. */
#define OPEN_STATES (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)
#define CONNECTION_STATES                                                               \
	(OPEN_STATES | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_LAST_ACK | \
	 1u << TCP_CLOSING)
#define LISTEN_STATES (1u << TCP_LISTEN)

struct agent {
	const struct agent_config *config;
	struct source *source;
	struct report *report;
	struct cpu cpu;
	struct meter *meter[AGENT_SERVICES_MAX];
	uint32_t reported[AGENT_SERVICES_MAX]; /* present, in the last report */
	bool listening[AGENT_SERVICES_MAX];
	bool found[AGENT_SERVICES_MAX]; /* in the dump being read */
	bool first;			/* nothing published yet */
	bool dump_failed, dropped;	/* told */
	uint64_t publish_ns;		/* when the next report is due */
	uint64_t published_ns;
	double cost_ns; /* CPU time of measuring once, smoothed */
};

static int find_service(const struct agent_config *config, uint16_t port)
{
	for (unsigned i = 0; i < config->services; i++)
		if (config->service[i].port == port)
			return (int)i;
	return -1;
}

static void take_ended(void *context, const struct source_socket *socket)
{
	struct agent *agent = context;
	int i = find_service(agent->config, socket->port);

	if (i >= 0)
		meter_ended(agent->meter[i], socket->cookie);
}

static void take_seen(void *context, const struct source_socket *socket)
{
	struct agent *agent = context;
	int i = find_service(agent->config, socket->port);

	/* out of memory: this one is not measured, and looked at again in the next step */
	if (i >= 0)
		(void)meter_seen(agent->meter[i], socket->cookie, 1u << socket->state & OPEN_STATES,
				 socket->accepted);
}

static void take_listener(void *context, const struct source_socket *socket)
{
	struct agent *agent = context;
	int i = find_service(agent->config, socket->port);

	if (i >= 0)
		agent->found[i] = true;
}

int agent_open(struct agent **out, const struct agent_config *config, struct config_error *error)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	uint16_t port[AGENT_SERVICES_MAX];
	int err = -ENOMEM;

	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!agent)
		return err;
	agent->config = config;
	agent->first = true;
	agent->cpu.utilisation = -1;
	for (unsigned i = 0; i < config->services; i++) {
		port[i] = config->service[i].port;
		agent->listening[i] = true;
		agent->meter[i] = meter_new(config->service[i].servers);
		if (!agent->meter[i])
			goto fail;
	}
	err = source_open(&agent->source, port, config->services);
	if (err < 0) {
		snprintf(error->text, sizeof(error->text),
			 "the kernel does not tell of its TCP sockets: %s%s", strerror(-err),
			 err == -EPERM ? "; remedy: run as root or with CAP_NET_ADMIN"
				       : "; remedy: modprobe tcp_diag");
		goto fail;
	}
	err = report_open(&agent->report, config, error);
	if (err < 0)
		goto fail;
	*out = agent;
	return 0;
fail:
	agent_close(agent);
	return err;
}

void agent_close(struct agent *agent)
{
	if (!agent)
		return;
	report_close(agent->report);
	source_close(agent->source);
	for (unsigned i = 0; i < agent->config->services; i++)
		meter_free(agent->meter[i]);
	free(agent);
}

static void measure(struct agent *agent, uint64_t now_ns)
{
	const unsigned services = agent->config->services;
	int err;

	for (unsigned i = 0; i < services; i++)
		meter_begin(agent->meter[i], now_ns);
	err = source_ended(agent->source, take_ended, agent);
	if (err < 0 && !agent->dropped) {
		agent->dropped = true;
		fprintf(stderr,
			"warning: notices of ended connections were lost (%s): completions of "
			"connections shorter than the sampling period are missed now and then\n",
			strerror(-err));
	}
	err = source_dump(agent->source, CONNECTION_STATES, take_seen, agent);
	if (err < 0) {
		if (!agent->dump_failed)
			fprintf(stderr, "warning: cannot list connections: %s\n", strerror(-err));
		agent->dump_failed = true;
		return; /* half a sample would count as connections that left */
	}
	agent->dump_failed = false;
	for (unsigned i = 0; i < services; i++)
		meter_end(agent->meter[i]);
}

/* A service that nobody offers has no load to report: edges must not take 0 for an answer. */
static void check_listeners(struct agent *agent)
{
	const struct agent_config *config = agent->config;

	memset(agent->found, 0, sizeof(agent->found));
	if (source_dump(agent->source, LISTEN_STATES, take_listener, agent) < 0)
		return; /* measure() tells */
	for (unsigned i = 0; i < config->services; i++) {
		const struct agent_service *service = &config->service[i];

		if (agent->found[i] == agent->listening[i])
			continue;
		agent->listening[i] = agent->found[i];
		if (agent->found[i])
			fprintf(stderr, "info: %s: TCP port %u listens: reported again\n",
				service->name, service->port);
		else
			fprintf(stderr,
				"warning: %s: nothing listens on TCP port %u: left out of "
				"reports\n",
				service->name, service->port);
	}
}

static bool jumped(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->config->services; i++) {
		const double now = meter_present(agent->meter[i]), then = agent->reported[i];
		const double most = now > then ? now : then;
		const double change = now > then ? now - then : then - now;

		if (change > 0.25 * then && most >= 2.0 * agent->config->service[i].servers)
			return true;
	}
	return false;
}

static void publish(struct agent *agent, uint64_t now_ns)
{
	struct meter_load load[AGENT_SERVICES_MAX];

	check_listeners(agent);
	cpu_sample(&agent->cpu, now_ns);
	for (unsigned i = 0; i < agent->config->services; i++) {
		meter_read(agent->meter[i], &load[i]);
		agent->reported[i] = load[i].in_flight + load[i].queued;
	}
	report_send(agent->report, load, agent->listening, agent->cpu.utilisation, now_ns);
	agent->published_ns = now_ns;
	agent->first = false;
}

static bool due(struct agent *agent, uint64_t now_ns)
{
	const uint64_t interval_ns = agent->config->interval_ms * NS_PER_MS;

	if (agent->first || now_ns >= agent->publish_ns) {
		agent->publish_ns += interval_ns;
		if (agent->publish_ns <= now_ns) /* late by more than one: do not catch up */
			agent->publish_ns = now_ns + interval_ns;
		return true;
	}
	return now_ns - agent->published_ns >= EXTRA_MIN_NS && jumped(agent);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* Listing connections may be dear on a host with many: then look less often. */
static uint64_t period(struct agent *agent, uint64_t cost_ns)
{
	const uint64_t longest = agent->config->interval_ms * NS_PER_MS;
	uint64_t period_ns;

	agent->cost_ns += 0.05 * ((double)cost_ns - agent->cost_ns);
	period_ns = (uint64_t)(agent->cost_ns * CPU_SHARE);
	if (period_ns > longest)
		period_ns = longest;
	return period_ns < PERIOD_MIN_NS ? PERIOD_MIN_NS : period_ns;
}

uint64_t agent_step(struct agent *agent, uint64_t now_ns)
{
	const uint64_t before_ns = thread_cpu_ns();

	uint64_t cost_ns;

	measure(agent, now_ns);
	cost_ns = thread_cpu_ns() - before_ns;
	if (due(agent, now_ns))
		publish(agent, now_ns);
	return period(agent, cost_ns);
}

void agent_summary(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->config->services; i++) {
		struct meter_load load;

		meter_read(agent->meter[i], &load);
		fprintf(stderr,
			"info: %s: %" PRIu64 " arrivals, %" PRIu64 " completions (%" PRIu64
			" without notice), mean service time %.3f ms, %u in flight, %u queued\n",
			agent->config->service[i].name, load.arrivals, load.completions,
			load.missed,
			load.completions ? load.busy_s / (double)load.completions * 1e3 : 0,
			load.in_flight, load.queued);
	}
	fprintf(stderr, "info: %" PRIu64 " reports to %u edge%s; a sample took %.0f us\n",
		report_count(agent->report), agent->config->edges,
		agent->config->edges == 1 ? "" : "s", agent->cost_ns / 1e3);
}
