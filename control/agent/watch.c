/* SPDX-License-Identifier: BSD-3-Clause */
#include "watch.h"
#include "../telemetry/pace.h"
#include "kernel.h"
#include "resync.h"
#include "runqueue.h"
#include "source.h"
#include "tally.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define RESYNC_NS (10 * NS_PER_S)
#define RESYNC_TIMES 4
#define SAMPLE_NS (NS_PER_S / 11) /* by kernel: of who waits in the backlog */

/* Still work for the service; then all in which the kernel keeps a full socket; listeners. */
#define OPEN_STATES (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)
#define CONNECTION_STATES                                                               \
	(OPEN_STATES | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_LAST_ACK | \
	 1u << TCP_CLOSING)
#define LISTEN_STATES (1u << TCP_LISTEN)

struct watched {
	struct meter *meter; /* sockets; NULL: not this way */
	struct tally *tally; /* kernel; NULL: not this way */
	bool listening, found;
	uint32_t backlog, inode; /* of its listener */
	struct runqueue runqueue;
};

struct watch {
	const struct agent_config *config;
	struct source *source;	  /* connections of those by sockets; NULL: none */
	struct source *listeners; /* of all, and connections of those by kernel */
	struct kernel *kernel;	  /* NULL: none by it */
	struct watched service[AGENT_SERVICES_MAX];
	uint64_t missed, resync_ns, sampled_ns, shot_ns;
	bool in_line;		   /* kernel's numbers of connections, since `missed` */
	bool dump_failed, dropped; /* told */
};

static int find_service(void *context, uint16_t port)
{
	const struct watch *watch = context;

	for (unsigned i = 0; i < watch->config->services; i++)
		if (watch->config->service[i].port == port &&
		    agent_watches(&watch->config->service[i]))
			return (int)i;
	return -1;
}

static int find_kernel_service(void *context, uint16_t port)
{
	const struct watch *watch = context;
	int i = find_service(context, port);

	return i >= 0 && watch->service[i].tally ? i : -1;
}

/* ---- opening ---- */

static bool wants_kernel(const struct agent_service *service)
{
	return service->source == AGENT_SOURCE_AUTO || service->source == AGENT_SOURCE_KERNEL;
}

/* 0 also if there is no BPF, but nobody insists on it. */
static int open_kernel(struct watch *watch, struct config_error *error)
{
	struct kernel_service service[AGENT_SERVICES_MAX] = {0};
	const struct agent_config *config = watch->config;
	bool wanted = false, insists = false, requests = false;
	char why[160];

	for (unsigned i = 0; i < config->services; i++) {
		if (!wants_kernel(&config->service[i]))
			continue;
		service[i].port = config->service[i].port;
		service[i].servers = config->service[i].servers;
		wanted = true;
		insists |= config->service[i].source == AGENT_SOURCE_KERNEL;
		requests |= config->service[i].requests;
	}
	if (!wanted)
		return 0;
	if (kernel_open(&watch->kernel, service, config->services, requests, why) == 0)
		return 0;
	if (insists) {
		snprintf(error->text, sizeof(error->text),
			 "source kernel: %s; remedy: run as root, or source: auto", why);
		return -EPERM;
	}
	fprintf(stderr, "info: connections are sampled by sock_diag: %s\n", why);
	return 0;
}

static int open_sources(struct watch *watch, struct config_error *error)
{
	uint16_t all[AGENT_SERVICES_MAX], sampled[AGENT_SERVICES_MAX];
	unsigned alls = 0, sampleds = 0;
	int err = 0;

	for (unsigned i = 0; i < watch->config->services; i++) {
		if (!agent_watches(&watch->config->service[i]))
			continue;
		all[alls++] = watch->config->service[i].port;
		if (watch->service[i].meter)
			sampled[sampleds++] = watch->config->service[i].port;
	}
	if (alls)
		err = source_open_dump(&watch->listeners, all, alls);
	if (!err && sampleds)
		err = source_open(&watch->source, sampled, sampleds);
	if (err < 0)
		snprintf(error->text, sizeof(error->text),
			 "the kernel does not tell of its TCP sockets: %s%s", strerror(-err),
			 err == -EPERM ? "; remedy: run as root or with CAP_NET_ADMIN"
				       : "; remedy: modprobe tcp_diag");
	return err;
}

static int open_meters(struct watch *watch)
{
	for (unsigned i = 0; i < watch->config->services; i++) {
		const struct agent_service *service = &watch->config->service[i];
		struct watched *watched = &watch->service[i];

		watched->listening = true;
		watched->runqueue.wait_s = -1;
		if (!agent_watches(service))
			continue;
		if (watch->kernel && wants_kernel(service))
			watched->tally = tally_new(service->servers);
		else
			watched->meter = meter_new(service->servers);
		if (!watched->tally && !watched->meter)
			return -ENOMEM;
	}
	return 0;
}

int watch_open(struct watch **out, const struct agent_config *config, struct config_error *error)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int err;

	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!watch)
		return -ENOMEM;
	watch->config = config;
	err = open_kernel(watch, error);
	if (!err)
		err = open_meters(watch);
	if (!err)
		err = open_sources(watch, error);
	if (err < 0)
		watch_close(watch);
	else
		*out = watch;
	return err;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	source_close(watch->source);
	source_close(watch->listeners);
	kernel_close(watch->kernel);
	for (unsigned i = 0; i < watch->config->services; i++) {
		meter_free(watch->service[i].meter);
		tally_free(watch->service[i].tally);
	}
	free(watch);
}

/* ---- by sockets ---- */

static void take_ended(void *context, const struct source_socket *socket)
{
	struct watch *watch = context;
	int i = find_service(watch, socket->port);

	if (i >= 0 && watch->service[i].meter)
		meter_ended(watch->service[i].meter, socket->cookie);
}

static void take_seen(void *context, const struct source_socket *socket)
{
	struct watch *watch = context;
	int i = find_service(watch, socket->port);

	/* out of memory: this one is not measured, and looked at again in the next step */
	if (i >= 0 && watch->service[i].meter)
		(void)meter_seen(watch->service[i].meter, socket->cookie,
				 1u << socket->state & OPEN_STATES, socket->accepted);
}

static void tell_dump(struct watch *watch, int err)
{
	if (err < 0 && !watch->dump_failed)
		fprintf(stderr, "warning: cannot list connections: %s\n", strerror(-err));
	watch->dump_failed = err < 0;
}

static void step_sockets(struct watch *watch, uint64_t now_ns)
{
	const unsigned services = watch->config->services;
	int err;

	for (unsigned i = 0; i < services; i++)
		if (watch->service[i].meter)
			meter_begin(watch->service[i].meter, now_ns);
	err = source_ended(watch->source, take_ended, watch);
	if (err < 0 && !watch->dropped) {
		watch->dropped = true;
		fprintf(stderr,
			"warning: notices of ended connections were lost (%s): completions of "
			"connections shorter than the sampling period are missed now and then\n",
			strerror(-err));
	}
	err = source_dump(watch->source, CONNECTION_STATES, take_seen, watch);
	tell_dump(watch, err);
	if (err < 0)
		return; /* half a sample would count as connections that left */
	for (unsigned i = 0; i < services; i++)
		if (watch->service[i].meter)
			meter_end(watch->service[i].meter);
}

/* ---- by kernel ---- */

static void take_listener(void *context, const struct source_socket *socket)
{
	struct watch *watch = context;
	int i = find_service(watch, socket->port);

	if (i < 0)
		return;
	watch->service[i].found = true;
	watch->service[i].backlog += socket->queue; /* one for each address, or SO_REUSEPORT */
	watch->service[i].inode = socket->inode;
}

static int read_listeners(struct watch *watch)
{
	for (unsigned i = 0; i < watch->config->services; i++) {
		watch->service[i].found = false;
		watch->service[i].backlog = 0;
	}
	return source_dump(watch->listeners, LISTEN_STATES, take_listener, watch);
}

/*
 * At first, and whenever an event was missed, but not more often than each ten seconds. An event
 * may be on its way while the dump begins or ends: so until a dump finds nothing to put right.
 */
static void keep_in_line(struct watch *watch, uint64_t now_ns)
{
	uint64_t missed;
	int wrong = 1;

	if (watch->resync_ns && now_ns - watch->resync_ns < RESYNC_NS)
		return;
	missed = kernel_missed(watch->kernel);
	if (watch->in_line && missed == watch->missed)
		return;
	for (unsigned i = 0; i < RESYNC_TIMES && wrong; i++)
		wrong = resync(watch->kernel, watch->listeners, find_kernel_service, watch);
	tell_dump(watch, wrong);
	watch->resync_ns = now_ns;
	watch->missed = missed;
	watch->in_line = wrong == 0;
}

static int sample_kernel(struct watch *watch, uint64_t now_ns)
{
	int err = read_listeners(watch);

	if (err < 0)
		return err;
	watch->sampled_ns = now_ns;
	for (unsigned i = 0; i < watch->config->services; i++) {
		struct watched *watched = &watch->service[i];
		struct kernel_counts count;

		if (!watched->tally || kernel_read(watch->kernel, i, &count) < 0)
			continue;
		tally_tick(watched->tally, now_ns, &count, kernel_present(watch->kernel, i),
			   watched->backlog);
		kernel_time(watch->kernel, i, tally_arrivals_per_s(watched->tally));
	}
	return 0;
}

/* A step and the report that follows are of the same moment. */
static int refresh_kernel(struct watch *watch, uint64_t now_ns)
{
	return watch->sampled_ns == now_ns ? 0 : sample_kernel(watch, now_ns);
}

static void step_kernel(struct watch *watch, uint64_t now_ns)
{
	keep_in_line(watch, now_ns);
	if (now_ns - watch->sampled_ns >= SAMPLE_NS)
		(void)sample_kernel(watch, now_ns); /* the next one will do */
}

bool watch_samples(const struct watch *watch)
{
	return watch->source != NULL;
}

void watch_step(struct watch *watch, uint64_t now_ns)
{
	if (watch->source)
		step_sockets(watch, now_ns);
	if (watch->kernel)
		step_kernel(watch, now_ns);
}

/* ---- at each report ---- */

/* A service that nobody offers has no load to report: edges must not take 0 for an answer. */
static void tell_listeners(struct watch *watch)
{
	const struct agent_config *config = watch->config;

	for (unsigned i = 0; i < config->services; i++) {
		const struct agent_service *service = &config->service[i];
		struct watched *watched = &watch->service[i];

		if (!agent_watches(service) || watched->found == watched->listening)
			continue;
		watched->listening = watched->found;
		if (watched->found)
			fprintf(stderr, "info: %s: TCP port %u listens: reported again\n",
				service->name, service->port);
		else
			fprintf(stderr,
				"warning: %s: nothing listens on TCP port %u: left out of "
				"reports\n",
				service->name, service->port);
	}
}

static void take_histograms(struct watch *watch, uint64_t now_ns)
{
	struct kernel_histogram histogram;

	if (watch->shot_ns && now_ns - watch->shot_ns < NS_PER_S)
		return;
	watch->shot_ns = now_ns;
	for (unsigned i = 0; i < watch->config->services; i++)
		if (watch->service[i].tally && kernel_histogram(watch->kernel, i, &histogram) == 0)
			tally_histogram(watch->service[i].tally, now_ns, &histogram);
}

void watch_refresh(struct watch *watch, uint64_t now_ns)
{
	if (!watch->listeners ||
	    (watch->kernel ? refresh_kernel(watch, now_ns) : read_listeners(watch)) < 0)
		return; /* the next report tells */
	tell_listeners(watch);
	for (unsigned i = 0; i < watch->config->services; i++) {
		struct watched *watched = &watch->service[i];

		if (agent_watches(&watch->config->service[i]))
			runqueue_sample(&watched->runqueue, watched->found ? watched->inode : 0,
					now_ns);
	}
	take_histograms(watch, now_ns);
}

bool watch_listening(const struct watch *watch, unsigned service)
{
	return watch->service[service].listening;
}

void watch_read(const struct watch *watch, unsigned service, struct meter_load *out)
{
	const struct watched *watched = &watch->service[service];

	if (watched->tally)
		tally_read(watched->tally, out);
	else
		meter_read(watched->meter, out);
}

uint32_t watch_present(const struct watch *watch, unsigned service)
{
	const struct watched *watched = &watch->service[service];

	return watched->tally ? kernel_present(watch->kernel, service)
			      : meter_present(watched->meter);
}

double watch_runqueue_s(const struct watch *watch, unsigned service)
{
	return watch->service[service].runqueue.wait_s;
}

bool watch_by_kernel(const struct watch *watch, unsigned service)
{
	return watch->service[service].tally != NULL;
}

uint64_t watch_missed(const struct watch *watch)
{
	return watch->kernel ? kernel_missed(watch->kernel) : 0;
}

int watch_wake_fd(const struct watch *watch)
{
	return watch->kernel ? kernel_wake_fd(watch->kernel) : -1;
}

void watch_reported(struct watch *watch, unsigned service, uint32_t present)
{
	const uint32_t servers = watch->config->service[service].servers;

	if (watch->service[service].tally)
		kernel_wake_at(watch->kernel, service, pace_above(present, servers),
			       pace_below(present, servers));
}

void watch_wake_again(struct watch *watch)
{
	if (watch->kernel)
		kernel_wake_again(watch->kernel);
}
