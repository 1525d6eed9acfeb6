/* SPDX-License-Identifier: BSD-3-Clause */
#include "../privilege.h"
#include "agent.h"
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

const char *argp_program_version = "suanlu-agent 0.1.0";

static const char doc[] =
	"Publishes the load of services, signed, to suanlu edges. Services are not touched."
	"\v"
	"How a service is measured (source:)\n"
	"  auto      kernel where it can be had, else sockets (default)\n"
	"  kernel    BPF: the kernel times every TCP connection to the service's port. Wants root, "
	"or "
	"CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and a kernel with BTF\n"
	"  sockets   sock_diag: open connections are looked at 100 times a second; no rights "
	"wanted\n"
	"  metrics   a Prometheus endpoint: url, and mapping (vllm, triton, envoy, dcgm, node) or "
	"one's own map\n"
	"  orca      a JSON load report of ORCA at url\n"
	"  stdin     numbers of one's own, as JSON lines on standard input\n"
	"From connections come in flight and queued, arrivals and completions (exact), mean "
	"service "
	"time, its variation and quantiles. What cannot be known is reported as unknown.\n"
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
	"With many edges `bus` in place of publish, or beside it: nats://HOST:PORT, a list, or "
	"{servers, ca, certificate, certificate_key, server_name, credentials}; and `site`, this "
	"site's name at "
	"the edges.\n"
	"\n"
	"A model server's own metrics instead (map: adds to a mapping, or stands alone):\n"
	"\n"
	"    - name: chat\n"
	"      servers: 256\n"
	"      source: metrics\n"
	"      url: http://127.0.0.1:8000/metrics\n"
	"      mapping: vllm\n"
	"      select: {model_name: m}     # optional: only series with these labels\n"
	"      map:                        # optional: FIELD: expression\n"
	"        queued: sum(my_waiting{pool=\"a\"})\n"
	"        service_time_s: rate(my_seconds_sum) / rate(my_seconds_count)\n"
	"      scrape_ms: 1000\n"
	"\n"
	"Numbers of one's own: PROGRAM | suanlu-agent, with\n"
	"\n"
	"    - name: own\n"
	"      servers: 8\n"
	"      source: stdin\n"
	"\n"
	"and lines of PROGRAM such as\n"
	"\n"
	"  {\"service\": \"own\", \"in_flight\": 5, \"queued\": 0, \"service_time_s\": 0.02}\n"
	"\n"
	"A line counts for 3 s, or its valid_for_ms; all that it may have tells `suanlu publish "
	"--help`. The agent ends with the input if nothing else is to be measured.\n"
	"\n"
	"Fields of map: servers, service_time_s, service_scv, in_flight, queued, arrivals_per_s, "
	"completions_per_s, arrivals, completions, cpu_utilisation; any other key becomes a CATS "
	"metric of that type. Functions: sum, avg, max, min, count, rate, total; + - * / or ( ). "
	"With source auto, kernel or sockets url and mapping add to what is measured (node, "
	"dcgm).\n"
	"\n"
	"Limits: one connection is one flow, from its establishment to its end; a service whose "
	"clients keep idle connections open publishes its metrics or its own numbers (libsuanlu, "
	"`suanlu publish`), as UDP services do. `requests: true` counts requests within "
	"connections "
	"(reads that follow a write), as a metric only. Connections are seen in this network "
	"namespace only: for a container, run the agent in it.\n"
	"\n"
	"SIGTERM ends it with a summary, SIGUSR1 prints that: what failed, was strange, reset or "
	"changed is named in the log once and counted there. SIGHUP ends it, too, once it has "
	"found its configuration good, for systemd to start it with that. Edges forget a site's "
	"load when its reports stop.";

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "Configuration (default " AGENT_CONFIG_FILE ")", 0},
	{"check", 'n', NULL, 0, "Say whether the configuration is right, start nothing", 0},
	{"verbose", 'v', NULL, 0, "Print a summary each second", 0},
	{0},
};

struct arguments {
	const char *file;
	bool check, verbose;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->file = argument;
		return 0;
	case 'n':
		arguments->check = true;
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
	for (unsigned i = 0; i < config->services; i++) {
		const struct agent_service *service = &config->service[i];

		if (agent_watches(service))
			fprintf(stderr, "info: measuring %s: TCP port %u, %u server%s\n",
				service->name, service->port, service->servers,
				service->servers == 1 ? "" : "s");
		if (service->source == AGENT_SOURCE_STDIN)
			fprintf(stderr, "info: %s: lines on standard input\n", service->name);
		if (service->scrape.url)
			fprintf(stderr, "info: %s: asking %s each %u ms\n", service->name,
				service->scrape.url, service->scrape_ms);
	}
	for (unsigned i = 0; i < config->edges; i++)
		fprintf(stderr, "info: publishing to %s each %u ms, valid for %u ms\n",
			config->edge[i].to, config->interval_ms, config->valid_for_ms);
	if (config->bus.servers)
		fprintf(stderr,
			"info: publishing on the bus as site %s each %u ms, valid for %u ms\n",
			config->site, config->interval_ms, config->valid_for_ms);
	fprintf(stderr, "info: this site's public key is %s\n", config->public_key);
}

struct loop {
	struct event_base *base;
	struct event *tick, *end[2], *reload, *tell;
	int timer; /* timerfd: libevent's own timers count milliseconds */
	struct agent *agent;
	uint64_t next_ns, told_ns;
	const char *file; /* its configuration */
	bool verbose;
};

static void arm(int timer, uint64_t at_ns)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000),
						     .tv_nsec = (long)(at_ns % 1000000000)}};

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void tick(evutil_socket_t fd, short what, void *context)
{
	struct loop *loop = context;
	uint64_t times, now, period_ns;

	(void)what;
	if (read(fd, &times, sizeof(times)) < 0)
		return;
	now = now_ns();
	period_ns = agent_step(loop->agent, now);
	if (now >= loop->next_ns) /* else woken before its time */
		loop->next_ns += period_ns;
	if (loop->next_ns < now) /* held up: do not catch up */
		loop->next_ns = now + period_ns;
	arm(loop->timer, loop->next_ns);
	if (loop->verbose && now - loop->told_ns >= 1000000000) {
		agent_summary(loop->agent, now);
		loop->told_ns = now;
	}
	if (agent_ended(loop->agent, now))
		event_base_loopbreak(loop->base);
}

static void wake(void *context, uint64_t in_ns)
{
	struct loop *loop = context;
	uint64_t at_ns = now_ns() + in_ns;

	if (at_ns < loop->next_ns)
		arm(loop->timer, at_ns);
}

static void end(evutil_socket_t signal, short what, void *context)
{
	(void)signal, (void)what;
	event_base_loopbreak(context);
}

/*
 * The rights to load BPF are given up, so what starts us starts us again; with its configuration
 * wrong we would not come back, so that is looked at first.
 */
static void reload(evutil_socket_t signal, short what, void *context)
{
	struct loop *loop = context;
	struct agent_config config = {0};
	struct config_error error = {0};

	(void)signal, (void)what;
	if (agent_config_load(loop->file, &config, &error) < 0) {
		fprintf(stderr, "error: %s; the configuration before stays in force\n", error.text);
		return;
	}
	agent_config_clear(&config);
	fprintf(stderr, "info: the configuration is good: ending, to be started with it\n");
	event_base_loopbreak(loop->base);
}

/* What it counted so far, beside what the log named once. */
static void tell(evutil_socket_t signal, short what, void *context)
{
	struct loop *loop = context;

	(void)signal, (void)what;
	agent_summary(loop->agent, now_ns());
}

static int loop_open(struct loop *loop)
{
	loop->base = event_base_new();
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!loop->base || loop->timer < 0)
		return -1;
	loop->tick = event_new(loop->base, loop->timer, EV_READ | EV_PERSIST, tick, loop);
	loop->end[0] = evsignal_new(loop->base, SIGTERM, end, loop->base);
	loop->end[1] = evsignal_new(loop->base, SIGINT, end, loop->base);
	loop->reload = evsignal_new(loop->base, SIGHUP, reload, loop);
	loop->tell = evsignal_new(loop->base, SIGUSR1, tell, loop);
	if (!loop->tick || !loop->end[0] || !loop->end[1] || !loop->reload || !loop->tell)
		return -1;
	event_add(loop->reload, NULL);
	event_add(loop->tell, NULL);
	event_add(loop->end[0], NULL);
	event_add(loop->end[1], NULL);
	return event_add(loop->tick, NULL);
}

static void loop_close(struct loop *loop)
{
	for (unsigned i = 0; i < 2; i++)
		if (loop->end[i])
			event_free(loop->end[i]);
	if (loop->reload)
		event_free(loop->reload);
	if (loop->tell)
		event_free(loop->tell);
	if (loop->tick)
		event_free(loop->tick);
	if (loop->timer >= 0)
		close(loop->timer);
	if (loop->base)
		event_base_free(loop->base);
	libevent_global_shutdown();
}

/* BPF is loaded and sockets are open. To find the threads of a service it looks into /proc. */
static int drop_rights(struct config_error *error)
{
	static const cap_value_t kept[] = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};
	int err = privilege_drop(NULL, kept, 2);

	if (err < 0)
		snprintf(error->text, sizeof(error->text), "dropping rights: %s", strerror(-err));
	return err;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options, parse_option, NULL, doc, NULL, NULL, NULL};
	struct arguments arguments = {.file = AGENT_CONFIG_FILE};
	struct agent_config config = {0};
	struct config_error error = {0};
	struct loop loop = {.timer = -1};
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	signal(SIGPIPE, SIG_IGN); /* an endpoint that hangs up while it is asked */
	if (privilege_limit() < 0)
		fprintf(stderr,
			"warning: programs that we would start could have more rights: %s\n",
			strerror(errno));
	err = agent_config_load(arguments.file, &config, &error);
	if (err == 0 && arguments.check)
		printf("%s: ok: %u service%s, public key %s\n", arguments.file, config.services,
		       config.services == 1 ? "" : "s", config.public_key);
	if (err < 0 || arguments.check)
		goto out;
	loop.file = arguments.file;
	err = loop_open(&loop);
	if (err < 0) {
		snprintf(error.text, sizeof(error.text), "cannot wait: %s", strerror(errno));
		goto out;
	}
	err = agent_open(&loop.agent, &config, loop.base, wake, &loop, &error);
	if (err == 0)
		err = drop_rights(&error);
	if (err < 0)
		goto out;
	say_what(&config);
	loop.verbose = arguments.verbose;
	loop.next_ns = loop.told_ns = now_ns();
	arm(loop.timer, loop.next_ns);
	event_base_dispatch(loop.base);
	agent_step(loop.agent, now_ns()); /* what came since the last look */
	agent_summary(loop.agent, now_ns());
out:
	if (err < 0)
		fprintf(stderr, "suanlu-agent: %s\n", error.text);
	agent_close(loop.agent);
	loop_close(&loop);
	agent_config_clear(&config);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
