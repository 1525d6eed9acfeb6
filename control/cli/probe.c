/* SPDX-License-Identifier: BSD-3-Clause */
#include "paths.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_EVERY 20

struct probe {
	struct cli *cli;
	const char *site;
	unsigned long rows, interval_ms;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct probe *probe = state->input;
	char *end = NULL;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = probe->cli;
		return 0;
	case 'c':
		probe->rows = strtoul(argument, &end, 10);
		if (*end || !probe->rows)
			argp_error(state, "expected a number of rows, found '%s'", argument);
		return 0;
	case 'i':
		probe->interval_ms = strtoul(argument, &end, 10);
		if (*end || !probe->interval_ms)
			argp_error(state, "expected milliseconds, found '%s'", argument);
		return 0;
	case ARGP_KEY_ARG:
		if (probe->site)
			argp_error(state, "one SITE at a time");
		probe->site = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected a SITE; `suanlu show paths` lists them");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"count", 'c', "N", 0, "end after so many rows (default: on interrupt)", 0},
	{"interval", 'i', "MS", 0, "a row each MS milliseconds (1000)", 0},
	{0},
};
static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp probe_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SITE",
	.doc = "Watches the paths to a site, or to a transit node: what the dataplane measures by "
	       "its own probes, which travel as the data do. Sends nothing itself.",
	.children = children,
};

static void put(double value)
{
	if (isfinite(value))
		printf(" %9.3f", value);
	else
		printf(" %9s", "-");
}

static void row(const struct sl_path_slot *path, struct path_view *before)
{
	struct path_view now = path_view(path);
	uint64_t sent = now.sent - before->sent, answered = now.answered - before->answered;

	printf("%-24s %-7s %6lu %6lu", now.name, now.state, (unsigned long)sent,
	       (unsigned long)answered);
	put(now.round_trip_ms);
	put(now.there_ms);
	put(now.back_ms);
	put(now.least_ms);
	put(now.jitter_there_ms);
	put(now.jitter_back_ms);
	printf(" %6.1f\n", 100 * now.loss);
	*before = now;
}

static unsigned rows(const struct probe *probe, const struct sl_paths *paths,
		     struct path_view *before)
{
	unsigned printed = 0;

	for (unsigned i = 0; i < SL_PATHS_MAX; i++) {
		const struct sl_path_slot *path = &paths->path[i];

		if (!__atomic_load_n(&path->used, __ATOMIC_ACQUIRE) ||
		    strncmp(path->name.end, probe->site, SL_NAME_MAX) != 0)
			continue;
		row(path, &before[i]);
		printed++;
	}
	return printed;
}

int probe_command(struct cli *cli, int argc, char **argv)
{
	static struct path_view before[SL_PATHS_MAX];
	struct probe probe = {.cli = cli, .interval_ms = 1000};
	const struct sl_paths *paths;

	argp_parse(&probe_argp, argc, argv, 0, NULL, &probe);
	paths = paths_map(cli);
	if (!paths)
		return 1;
	for (unsigned i = 0; i < SL_PATHS_MAX; i++)
		before[i] = path_view(&paths->path[i]);
	for (unsigned long i = 0; !probe.rows || i < probe.rows; i++) {
		if (i % HEADER_EVERY == 0)
			printf("%-24s %-7s %6s %6s %9s %9s %9s %9s %9s %9s %6s\n", "PATH", "STATE",
			       "SENT", "HEARD", "RTT ms", "THERE", "BACK", "LEAST", "JITTER there",
			       "back", "LOSS %");
		usleep((useconds_t)probe.interval_ms * 1000);
		if (rows(&probe, paths, before) == 0)
			return cli_fail("no path to '%s' is probed; `suanlu show paths` lists them",
					probe.site);
	}
	return 0;
}
