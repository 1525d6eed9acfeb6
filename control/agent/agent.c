/* SPDX-License-Identifier: BSD-3-Clause */
#include "agent.h"
#include "../telemetry/pace.h"
#include "cpu.h"
#include "feed.h"
#include "gather.h"
#include "scrape.h"
#include "watch.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define PERIOD_MIN_NS (10 * NS_PER_MS)
#define PERIOD_KERNEL_NS (100 * NS_PER_MS) /* where the kernel times, and wakes us */
#define CPU_SHARE 100			   /* one part in so many */

struct agent {
	const struct agent_config *config;
	struct watch *watch;
	struct report *report;
	struct scrape *scrape[AGENT_SERVICES_MAX]; /* NULL: no endpoint */
	struct feed *feed;			   /* NULL: none from standard input */
	struct event *woken;			   /* NULL: no watch that wakes */
	agent_wake *wake;
	void *wake_context;
	struct cpu cpu;
	struct pressure pressure;
	uint32_t reported[AGENT_SERVICES_MAX]; /* present, in the last report */
	struct pace pace;
	double cost_ns; /* CPU time of measuring once, smoothed */
};

static int open_scrapes(struct agent *agent, struct event_base *base, struct config_error *error)
{
	char why[240];

	for (unsigned i = 0; i < agent->config->services; i++) {
		const struct agent_service *service = &agent->config->service[i];
		int err = service->scrape.url ? scrape_open(&agent->scrape[i], service, base, why)
					      : 0;

		if (err < 0) {
			snprintf(error->text, sizeof(error->text), "%s: %s", service->name, why);
			return err;
		}
	}
	return 0;
}

static uint64_t now_ns_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool jumped(const struct agent *agent, uint64_t now_ns)
{
	for (unsigned i = 0; i < agent->config->services; i++) {
		const struct agent_service *service = &agent->config->service[i];
		uint32_t present, servers = service->servers;
		struct sl_load said;

		if (agent_watches(service)) {
			present = watch_present(agent->watch, i);
		} else if (agent->feed && feed_read(agent->feed, i, now_ns, &said)) {
			present = said.in_flight + said.queued;
			servers = said.servers;
		} else {
			continue;
		}
		if (pace_jumped(present, agent->reported[i], servers))
			return true;
	}
	return false;
}

/* The descriptor stays readable until the next report, so once is enough: edge-triggered. */
static void woken(evutil_socket_t fd, short what, void *context)
{
	const struct agent *agent = context;
	const uint64_t now_ns = now_ns_of(CLOCK_MONOTONIC);

	(void)fd, (void)what;
	if (jumped(agent, now_ns)) /* and was not over in a moment */
		agent->wake(agent->wake_context, pace_wait_ns(&agent->pace, now_ns));
}

static void told(void *context)
{
	woken(-1, 0, context);
}

static int watch_wakes(struct agent *agent, struct event_base *base)
{
	int fd = watch_wake_fd(agent->watch);

	if (fd < 0)
		return 0;
	agent->woken = event_new(base, fd, EV_READ | EV_PERSIST | EV_ET, woken, agent);
	return agent->woken && event_add(agent->woken, NULL) == 0 ? 0 : -ENOMEM;
}

int agent_open(struct agent **out, const struct agent_config *config, struct event_base *base,
	       agent_wake *wake, void *context, struct config_error *error)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int err;

	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!agent)
		return -ENOMEM;
	agent->config = config;
	agent->wake = wake;
	agent->wake_context = context;
	agent->cpu.utilisation = -1;
	err = watch_open(&agent->watch, config, error);
	if (!err)
		err = report_open(&agent->report, config, error);
	if (!err)
		err = open_scrapes(agent, base, error);
	if (!err)
		err = feed_open(&agent->feed, config, base, told, agent, error);
	if (!err)
		err = watch_wakes(agent, base);
	if (err < 0)
		agent_close(agent);
	else
		*out = agent;
	return err;
}

void agent_close(struct agent *agent)
{
	if (!agent)
		return;
	for (unsigned i = 0; i < agent->config->services; i++)
		scrape_close(agent->scrape[i]);
	feed_close(agent->feed);
	if (agent->woken) /* its descriptor is the watch's */
		event_free(agent->woken);
	report_close(agent->report);
	watch_close(agent->watch);
	free(agent);
}

/* Whether anything is to be told of it. */
static bool gather(struct agent *agent, unsigned i, uint64_t now_ns, struct report_load *out)
{
	const struct agent_service *service = &agent->config->service[i];
	const struct gathered_host host = {agent->cpu.utilisation,
					   watch_runqueue_s(agent->watch, i), &agent->pressure};
	struct reading reading;
	bool fresh = agent->scrape[i] && scrape_read(agent->scrape[i], now_ns, &reading);
	struct meter_load load;
	struct sl_load said;

	if (agent->feed && feed_read(agent->feed, i, now_ns, &said)) {
		agent->reported[i] = said.in_flight + said.queued;
		gather_said(out, &said);
		return true;
	}
	if (!agent_watches(service))
		return fresh && gather_scraped(out, &reading, service->servers);
	watch_read(agent->watch, i, &load);
	agent->reported[i] = load.in_flight + load.queued;
	watch_reported(agent->watch, i, agent->reported[i]);
	gather_watched(out, &load, service->servers, watch_by_kernel(agent->watch, i), &host);
	if (fresh)
		gather_more(out, &reading);
	return watch_listening(agent->watch, i);
}

static void publish(struct agent *agent, uint64_t now_ns)
{
	struct report_load load[AGENT_SERVICES_MAX];
	bool include[AGENT_SERVICES_MAX];

	watch_refresh(agent->watch, now_ns);
	cpu_sample(&agent->cpu, now_ns);
	pressure_sample(&agent->pressure, now_ns);
	for (unsigned i = 0; i < agent->config->services; i++)
		include[i] = gather(agent, i, now_ns, &load[i]);
	report_send(agent->report, load, include, now_ns);
	watch_wake_again(agent->watch);
}

bool agent_ended(const struct agent *agent, uint64_t now_ns)
{
	for (unsigned i = 0; i < agent->config->services; i++)
		if (agent->config->service[i].source != AGENT_SOURCE_STDIN)
			return false;
	return feed_ended(agent->feed, now_ns);
}

/* Listing connections may be dear on a host with many: then look less often. */
static uint64_t period(struct agent *agent, uint64_t cost_ns)
{
	const uint64_t longest = agent->config->interval_ms * NS_PER_MS;
	uint64_t least = watch_samples(agent->watch) ? PERIOD_MIN_NS : PERIOD_KERNEL_NS;
	uint64_t period_ns;

	agent->cost_ns += 0.05 * ((double)cost_ns - agent->cost_ns);
	period_ns = (uint64_t)(agent->cost_ns * CPU_SHARE);
	if (period_ns > longest)
		period_ns = longest;
	if (least > longest)
		least = longest;
	return period_ns < least ? least : period_ns;
}

uint64_t agent_step(struct agent *agent, uint64_t now_ns)
{
	const uint64_t before_ns = now_ns_of(CLOCK_THREAD_CPUTIME_ID);
	uint64_t cost_ns;

	watch_step(agent->watch, now_ns);
	cost_ns = now_ns_of(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	if (pace_due(&agent->pace, now_ns, agent->config->interval_ms * NS_PER_MS,
		     jumped(agent, now_ns)))
		publish(agent, now_ns);
	return period(agent, cost_ns);
}

static void summary_watched(const struct agent *agent, unsigned i)
{
	struct meter_load load;
	double mean_ms;

	watch_read(agent->watch, i, &load);
	mean_ms = load.timed * 2 >= load.sojourns && load.timed
			  ? load.timed_s / (double)load.timed * 1e3
		  : load.completions ? load.busy_s / (double)load.completions * 1e3
				     : 0;
	fprintf(stderr,
		"info: %s: %" PRIu64 " arrivals, %" PRIu64 " completions (%" PRIu64
		" without notice), mean service time %.3f ms, %u in flight, %u queued\n",
		agent->config->service[i].name, load.arrivals, load.completions, load.missed,
		mean_ms, load.in_flight, load.queued);
}

void agent_summary(struct agent *agent, uint64_t now_ns)
{
	watch_refresh(agent->watch, now_ns);
	for (unsigned i = 0; i < agent->config->services; i++) {
		if (agent_watches(&agent->config->service[i]))
			summary_watched(agent, i);
		if (agent->scrape[i])
			scrape_summary(agent->scrape[i]);
	}
	if (agent->feed)
		feed_summary(agent->feed);
	if (watch_missed(agent->watch))
		fprintf(stderr, "info: %" PRIu64 " events missed by BPF, made up for by a dump\n",
			watch_missed(agent->watch));
	if (report_left_out(agent->report))
		fprintf(stderr, "info: %" PRIu64 " times a service was left out of a report\n",
			report_left_out(agent->report));
	if (report_clock_jumps(agent->report))
		fprintf(stderr, "info: this host's clock was set %" PRIu64 " times\n",
			report_clock_jumps(agent->report));
	fprintf(stderr, "info: %" PRIu64 " reports to %u edge%s; a sample took %.0f us\n",
		report_count(agent->report), agent->config->edges,
		agent->config->edges == 1 ? "" : "s", agent->cost_ns / 1e3);
}
