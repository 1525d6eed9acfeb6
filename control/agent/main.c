/* SPDX-License-Identifier: BSD-3-Clause */
#include "agent.h"
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

const char *argp_program_version = "suanlu-agent 0.1.0";

static const char doc[] =
	"Measures TCP services of this host and publishes their load, signed, to suanlu edges."
	"\v"
	"The services are not touched. The kernel is asked (sock_diag) which connections are open "
	"on a service's port, 100 times a second or less if that costs more than 1 % of a CPU, "
	"and tells of each connection that ends. From this come connections in flight and "
	"queued, arrivals and completions (exact), mean service time (Little's law) and its "
	"variation. What cannot be known is reported as unknown.\n"
	"\n"
	"A configuration:\n"
	"\n"
	"  key: /etc/suanlu/site-a.key     # suanlu keygen makes it\n"
	"  publish:\n"
	"    - to: \"[2001:db8::1]:7801\"\n"
	"      key: BASE64                 # the edge's public key\n"
	"  services:\n"
	"    - name: infer\n"
	"      port: 80\n"
	"      servers: 4                  # what the program works on at the same time\n"
	"\n"
	"Optional: interval_ms (100), valid_for_ms (500), labels ([ai]), price_per_hour, pue.\n"
	"\n"
	"Limits: one connection is one request; a service whose clients keep idle connections "
	"open, and UDP services, publish their own numbers with libsuanlu or `suanlu publish`. "
	"Only this network namespace is seen: for a container, run the agent in it. "
	"CAP_NET_ADMIN is not needed but gives a larger buffer for many short connections.\n"
	"\n"
	"SIGTERM ends it with a summary. Edges forget a site's load when its reports stop.";

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "Configuration (default " AGENT_CONFIG_FILE ")", 0},
	{"verbose", 'v', NULL, 0, "Print a summary each second", 0},
	{0},
};

struct arguments {
	const char *file;
	bool verbose;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->file = argument;
		return 0;
	case 'v':
		arguments->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void say_what(const struct agent_config *config)
{
	for (unsigned i = 0; i < config->services; i++)
		fprintf(stderr, "info: measuring %s: TCP port %u, %u server%s\n",
			config->service[i].name, config->service[i].port,
			config->service[i].servers, config->service[i].servers == 1 ? "" : "s");
	for (unsigned i = 0; i < config->edges; i++)
		fprintf(stderr, "info: publishing to %s each %u ms, valid for %u ms\n",
			config->edge[i].to, config->interval_ms, config->valid_for_ms);
	fprintf(stderr, "info: this site's public key is %s\n", config->public_key);
}

/* Blocked, so that they only come out of the descriptor. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void arm(int timer, uint64_t at_ns)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000),
						     .tv_nsec = (long)(at_ns % 1000000000)}};

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int run(struct agent *agent, int signals, int timer, bool verbose)
{
	struct pollfd wait[] = {{.fd = signals, .events = POLLIN}, {.fd = timer, .events = POLLIN}};
	uint64_t next_ns = now_ns(), told_ns = next_ns;

	arm(timer, next_ns);
	for (;;) {
		uint64_t now, period_ns;

		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (wait[0].revents)
			return 0;
		now = now_ns();
		period_ns = agent_step(agent, now);
		next_ns += period_ns;
		if (next_ns < now) /* held up: do not catch up */
			next_ns = now + period_ns;
		arm(timer, next_ns);
		if (verbose && now - told_ns >= 1000000000) {
			agent_summary(agent);
			told_ns = now;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, NULL, doc, NULL, NULL, NULL};
	struct arguments arguments = {.file = AGENT_CONFIG_FILE};
	struct agent_config config = {0};
	struct config_error error = {0};
	struct agent *agent = NULL;
	int signals = -1, timer = -1, err;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	err = agent_config_load(arguments.file, &config, &error);
	if (err < 0)
		goto out;
	err = agent_open(&agent, &config, &error);
	if (err < 0)
		goto out;
	signals = open_signals();
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (signals < 0 || timer < 0) {
		err = -errno;
		snprintf(error.text, sizeof(error.text), "cannot wait: %s", strerror(errno));
		goto out;
	}
	say_what(&config);
	err = run(agent, signals, timer, arguments.verbose);
	if (err < 0)
		snprintf(error.text, sizeof(error.text), "cannot wait: %s", strerror(-err));
	agent_summary(agent);
out:
	if (err < 0)
		fprintf(stderr, "suanlu-agent: %s\n", error.text);
	if (timer >= 0)
		close(timer);
	if (signals >= 0)
		close(signals);
	agent_close(agent);
	agent_config_clear(&config);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
