/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suanlu-dataplane: forwards compute requests by the routes that control gives it.
 *
 * This thread starts everything and then only answers: route messages, the kernel's notifications,
 * a tick per second. Packets are the workers' (worker.c).
 */
#include "eal.h"
#include "messages.h"
#include "nexthop.h"
#include "path_mtu.h"
#include "prober.h"
#include "rights.h"
#include "stats.h"
#include "steer.h"
#include "workers.h"

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct options {
	const char *config_file;
	bool verbose;
};

struct dataplane {
	struct config *config;
	struct ports ports;
	struct sl_counters *counters;
	struct pin_file pins;
	struct routes *routes;
	struct nexthop nexthop;
	struct path_mtu path_mtu;
	struct steer steer;
	struct prober prober;
	struct messages messages;
	struct taps *taps;
	struct workers workers;
	int timer, signals, lock;
};

/* A killed one may still be letting go of it. */
static bool wait_lock(int fd)
{
	for (unsigned ms = 0; ms < 2000; ms += 20) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		usleep(20000);
	}
	return false;
}

/* The directory, and the proof that no other dataplane uses it. */
static int run_dir_open(struct dataplane *dp)
{
	char path[PATH_MAX];

	if (mkdir(dp->config->run_dir, 0750) < 0 && errno != EEXIST) {
		warn("run_dir %s", dp->config->run_dir);
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/dataplane.lock", dp->config->run_dir);
	dp->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (dp->lock < 0) {
		warn("%s", path);
		return -errno;
	}
	if (!wait_lock(dp->lock)) {
		warnx("another suanlu-dataplane uses %s: stop it, or give this one its own run_dir",
		      dp->config->run_dir);
		return -EBUSY;
	}
	return 0;
}

static void on_targets_changed(void *context)
{
	nexthop_resolve_new(&((struct dataplane *)context)->nexthop);
}

static void on_services_changed(void *context)
{
	struct dataplane *dp = context;
	steer_sync(&dp->steer, dp->routes);
}

static void on_address_changed(void *context)
{
	nexthop_resolve_all(&((struct dataplane *)context)->nexthop);
}

/* As control says it later, and again whenever it connects or has read it anew. */
static int node_open(struct dataplane *dp)
{
	const struct config_dataplane *config = &dp->config->dataplane;
	struct sl_msg_node node = {.address = dp->config->address,
				   .address4 = dp->config->address4,
				   .sids = config->sids,
				   .vnis = config->vnis};
	char field[SL_NAME_MAX];

	if (config->sids)
		memcpy(node.sid, config->sid, config->sids * sizeof(*config->sid));
	if (config->vnis)
		memcpy(node.vni, config->vni, config->vnis * sizeof(*config->vni));
	return routes_node(dp->routes, &node, sizeof(node), field) == SL_ACK_DONE ? 0 : -ENOMEM;
}

static int tables_open(struct dataplane *dp)
{
	struct netlink *netlink;
	int ret;

	dp->counters = stats_open(dp->config->run_dir, dp->ports.workers);
	if (!dp->counters) {
		warn("%s/%s", dp->config->run_dir, SL_COUNTERS_FILE);
		return -errno;
	}
	ret = pin_file_open(&dp->pins, dp->config->run_dir, dp->config->dataplane.pins,
			    dp->ports.workers, dp->counters->identity);
	if (ret < 0)
		return ret;
	dp->counters->pin_slots = dp->pins.header->buckets * PIN_WAYS * dp->ports.workers;
	dp->routes = routes_create(dp->counters, dp->ports.workers);
	if (!dp->routes) {
		warnx("no memory for the routes");
		return -ENOMEM;
	}
	dp->routes->context = dp;
	dp->routes->targets_changed = on_targets_changed;
	dp->routes->services_changed = on_services_changed;
	dp->routes->address_changed = on_address_changed;
	netlink = netlink_open();
	if (!netlink) {
		warn("netlink");
		return -errno;
	}
	nexthop_init(&dp->nexthop, netlink, &dp->ports, dp->routes);
	steer_init(&dp->steer, &dp->ports);
	ret = node_open(dp);
	return ret < 0 ? ret : prober_open(&dp->prober, dp->config, &dp->ports, dp->routes);
}

static int loop_open(struct dataplane *dp)
{
	struct itimerspec second = {{1, 0}, {1, 0}};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	dp->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	dp->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (dp->signals < 0 || dp->timer < 0 || timerfd_settime(dp->timer, 0, &second, NULL) < 0)
		return -errno;
	return 0;
}

static void tick(struct dataplane *dp)
{
	uint64_t expired;

	if (read(dp->timer, &expired, sizeof(expired)) < 0)
		return;
	workers_tick(&dp->workers);
	ports_tick(&dp->ports);
	for (unsigned i = 0; i < dp->ports.workers; i++)
		dp->counters->worker[i].rx_missed += ports_missed(&dp->ports, i);
	stats_heartbeat(dp->counters);
	nexthop_tick(&dp->nexthop);
	path_mtu_tick(&dp->path_mtu);
	prober_tick(&dp->prober);
	routes_reclaim(dp->routes);
}

/* False if it is time to end. */
static bool on_signal(struct dataplane *dp)
{
	struct signalfd_siginfo info;

	if (read(dp->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo != SIGHUP)
		return false;
	warnx("SIGHUP: control reads a new configuration for both: suanlu reload, or SIGHUP to it");
	return true;
}

#define FDS (6 + PROBER_FDS) /* besides those of messages */

static void loop(struct dataplane *dp)
{
	struct pollfd fds[FDS + 1 + MESSAGES_PEERS_MAX];
	int probes[PROBER_FDS];

	fds[0] = (struct pollfd){.fd = dp->signals, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = dp->timer, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = netlink_fd(dp->nexthop.netlink), .events = POLLIN};
	prober_fds(&dp->prober, probes);
	for (unsigned i = 0; i < 2; i++)
		fds[3 + i] = (struct pollfd){.fd = dp->path_mtu.socket[i], .events = POLLIN};
	fds[5] = (struct pollfd){.fd = dp->workers.wants, .events = POLLIN};
	for (unsigned i = 0; i < PROBER_FDS; i++)
		fds[6 + i] = (struct pollfd){.fd = probes[i], .events = POLLIN};
	for (;;) {
		unsigned n = messages_poll(&dp->messages, fds + FDS);
		if (poll(fds, FDS + n, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents && !on_signal(dp))
			return;
		if (fds[2].revents)
			nexthop_follow(&dp->nexthop);
		for (unsigned i = 0; i < 2; i++)
			if (fds[3 + i].revents)
				path_mtu_read(&dp->path_mtu, i);
		if (fds[5].revents)
			workers_wants(&dp->workers, dp->routes);
		if (fds[6].revents || fds[7].revents)
			prober_turn(&dp->prober);
		messages_ready(&dp->messages, fds + FDS, n);
		if (fds[1].revents)
			tick(dp);
	}
}

static void teardown(struct dataplane *dp)
{
	workers_stop(&dp->workers);
	taps_stop(dp->taps);
	messages_close(&dp->messages);
	ports_stop(&dp->ports);
	path_mtu_close(&dp->path_mtu);
	prober_close(&dp->prober);
	netlink_close(dp->nexthop.netlink);
	routes_destroy(dp->routes);
	pin_file_close(&dp->pins);
	stats_close(dp->counters);
}

static int dataplane_run(struct dataplane *dp, bool verbose)
{
	int ret = rights_check();

	if (ret == 0)
		ret = run_dir_open(dp);
	if (ret == 0)
		ret = ports_claim(&dp->ports, &dp->config->dataplane);
	if (ret == 0)
		ret = loop_open(dp);
	if (ret == 0)
		ret = eal_start(dp->config, &dp->ports, verbose);
	if (ret < 0)
		return ret;
	ret = ports_start(&dp->ports);
	if (ret == 0)
		ret = tables_open(dp);
	if (ret == 0)
		ret = taps_start(&dp->taps, &dp->ports);
	if (ret == 0)
		ret = workers_start(&dp->workers, &dp->ports, dp->routes, &dp->pins,
				    &dp->prober.reflect.rule, prober_probes(&dp->prober), dp->taps,
				    dp->config->dataplane.busy_poll);
	if (ret == 0)
		ret = path_mtu_open(&dp->path_mtu, &dp->nexthop, &dp->workers);
	if (ret == 0)
		ret = messages_open(&dp->messages, dp->config->run_dir, dp->routes, &dp->workers,
				    &dp->prober);
	if (ret == 0)
		ret = rights_drop(dp->config);
	if (ret == 0) {
		warnx("node %s: %u ports, %u workers, %u pins (%u kept), hash %s", dp->config->node,
		      dp->ports.ports, dp->workers.workers, dp->config->dataplane.pins,
		      dp->pins.kept, pin_hash_form());
		loop(dp);
		warnx("stopping");
	}
	teardown(dp);
	eal_stop();
	return ret;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'c':
		options->config_file = argument;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp_option known[] = {
		{"config", 'c', "FILE", 0, "the node's configuration (" SL_CONFIG_FILE ")", 0},
		{"verbose", 'v', NULL, 0, "show what DPDK says", 0},
		{0},
	};
	static const struct argp argp = {
		.options = known,
		.parser = parse_option,
		.doc = "Forwards compute requests by the routes of suanlu-control.",
	};
	static struct dataplane dp = {
		.messages.listen = -1,
		.path_mtu.socket = {-1, -1},
	};
	struct options options = {.config_file = SL_CONFIG_FILE};
	struct config_error error;
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (config_load(options.config_file, &dp.config, &error) < 0)
		errx(1, "%s", error.text);
	if (sodium_init() < 0)
		errx(1, "libsodium does not start");
	ret = dataplane_run(&dp, options.verbose);
	config_free(dp.config);
	return ret < 0;
}
