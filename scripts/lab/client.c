/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lab's clients.
 *
 * client load: open-loop requests, one TCP connection each, Poisson or at constant spacing;
 * see load.c. client hold: connections that live long; see hold_client.c.
 */
#include "client.h"
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

volatile bool client_stopped;

static struct client_options options = {.seconds = 10,
					.timeout_us = 5000000,
					.path = "/work",
					.rate_per_s = 10,
					.seed = 1,
					.connections = 1,
					.interval_us = 100000};
static uint16_t port = 80;
static const char *mode;

int client_connect(const struct sockaddr_storage *target)
{
	int fd = socket(target->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t bytes = target->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						       : sizeof(struct sockaddr_in6);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)target, bytes) < 0 && errno != EINPROGRESS) {
		int reason = errno;

		close(fd);
		errno = reason;
		return -1;
	}
	return fd;
}

static void target_add(const char *text, struct argp_state *state)
{
	struct sockaddr_storage *target = &options.target[options.targets];
	struct sockaddr_in *v4 = (struct sockaddr_in *)target;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)target;

	if (options.targets == CLIENT_TARGETS_MAX)
		argp_error(state, "at most %d targets", CLIENT_TARGETS_MAX);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		target->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		target->ss_family = AF_INET6;
	else
		argp_error(state, "%s: expected an IPv4 or IPv6 address", text);
	options.targets++;
}

static double number(const char *text, double least, struct argp_state *state)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value) || value < least)
		argp_error(state, "%s: expected a number of at least %g", text, least);
	return value;
}

static error_t option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 't':
		target_add(arg, state);
		return 0;
	case 'p':
		port = number(arg, 1, state);
		return 0;
	case 's':
		options.seconds = number(arg, 0, state);
		return 0;
	case 'o':
		options.timeout_us = 1e3 * number(arg, 1, state);
		return 0;
	case 'l':
		options.log_name = arg;
		return 0;
	case 'u':
		options.path = arg;
		return 0;
	case 'r':
		options.rate_per_s = number(arg, 1e-3, state);
		return 0;
	case 'c':
		options.constant = true;
		return 0;
	case 'e':
		options.seed = number(arg, 0, state);
		return 0;
	case 'n':
		options.connections = number(arg, 1, state);
		return 0;
	case 'i':
		options.interval_us = 1e3 * number(arg, 1, state);
		return 0;
	case 'b':
		options.reopen = true;
		return 0;
	case ARGP_KEY_ARG:
		if (mode)
			argp_usage(state);
		mode = arg;
		return 0;
	case ARGP_KEY_END:
		if (!mode || !options.targets)
			argp_error(state, "expected a mode and at least one --to");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{"to", 't', "ADDRESS", 0, "Where to connect; given again: in turn", 0},
	{"port", 'p', "PORT", 0, "Default 80", 0},
	{"seconds", 's', "S", 0, "How long (default 10)", 0},
	{"timeout", 'o', "MS", 0, "From due to answered (default 5000)", 0},
	{"log", 'l', "FILE", 0, "A line per request or connection", 0},
	{NULL, 0, NULL, 0, "load:", 0},
	{"path", 'u', "PATH", 0, "Default /work", 0},
	{"rate", 'r', "R", 0, "Requests per second (default 10)", 0},
	{"constant", 'c', NULL, 0, "Constant spacing instead of Poisson", 0},
	{"seed", 'e', "N", 0, "Of the arrivals (default 1)", 0},
	{NULL, 0, NULL, 0, "hold:", 0},
	{"connections", 'n', "N", 0, "Default 1", 0},
	{"interval", 'i', "MS", 0, "Between two records of a connection (default 100)", 0},
	{"reopen", 'b', NULL, 0, "Another connection in the place of one that broke", 0},
	{}};

static void on_stop(int signal)
{
	(void)signal;
	client_stopped = true;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {argp_options,
					 option,
					 "load|hold",
					 "Clients of the lab, timed from when they were due.",
					 0,
					 0,
					 0};
	struct rlimit files;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	for (unsigned i = 0; i < options.targets; i++) /* the port is at the same place in both */
		((struct sockaddr_in *)&options.target[i])->sin_port = htons(port);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_stop}, NULL);
	sigaction(SIGINT, &(struct sigaction){.sa_handler = on_stop}, NULL);
	prctl(PR_SET_TIMERSLACK, 1000UL);
	if (!strcmp(mode, "load"))
		return load_run(&options);
	if (!strcmp(mode, "hold"))
		return hold_run(&options);
	error(1, 0, "%s: expected load or hold", mode);
}
