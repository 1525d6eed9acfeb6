/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>

#define KEY_RUN_DIR 0x1000

struct command {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
};

static const struct command commands[] = {
	{"check", check_command},     {"keygen", keygen_command},   {"show", show_command},
	{"trace", trace_command},     {"drain", drain_command},	    {"undrain", undrain_command},
	{"reload", reload_command},   {"probe", probe_command},	    {"reflect", reflect_command},
	{"publish", publish_command}, {"approve", approve_command}, {"simulate", simulate_command},
};

struct arguments {
	struct cli cli;
	const struct command *command;
	int at; /* of the command in argv */
};

int cli_fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("suanlu: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return 1;
}

static error_t parse_run_dir(int key, char *argument, struct argp_state *state)
{
	struct cli *cli = state->input;

	if (key != KEY_RUN_DIR)
		return ARGP_ERR_UNKNOWN;
	cli->run_dir = argument;
	return 0;
}

static const struct argp_option run_dir_options[] = {
	{"run-dir", KEY_RUN_DIR, "DIR", 0, "where the node's sockets are (default " SL_RUN_DIR ")",
	 -1},
	{0},
};

const struct argp cli_argp = {.options = run_dir_options, .parser = parse_run_dir};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->cli;
		return 0;
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (strcmp(argument, commands[i].name) == 0)
				arguments->command = &commands[i];
		if (!arguments->command)
			argp_error(state, "no command '%s'", argument);
		arguments->at = state->next - 1;
		state->next = state->argc; /* the rest is the command's */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};

static const struct argp main_argp = {
	.parser = parse,
	.args_doc = "COMMAND [ARGUMENT...]",
	.doc = "Looks after a suanlu node.\v"
	       "check FILE        is this configuration right?\n"
	       "keygen FILE       a new key pair\n"
	       "show WHAT         services, sites, routes, paths, counters, reports, neighbours,\n"
	       "                  status\n"
	       "trace [tcp|udp] SRC:PORT DST:PORT\n"
	       "                  where does this flow go, and why?\n"
	       "drain SITE        no new flows to a site; undrain SITE takes that back\n"
	       "reload            read the configuration again, all of it or nothing\n"
	       "probe SITE        a path's delay, jitter and loss, second by second\n"
	       "reflect           answers probes (STAMP) where no dataplane does\n"
	       "approve           let a site announce itself to the edges of an operator\n"
	       "publish           tell edges the load of a service\n"
	       "simulate SCENARIO what would happen: other sites, demand, failures\n\n"
	       "suanlu COMMAND --help says more.",
	.children = children,
};

int main(int argc, char **argv)
{
	struct arguments arguments = {.cli = {.run_dir = SL_RUN_DIR}};
	char name[64];

	argp_err_exit_status = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	error_t error = argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments);
	if (error)
		return cli_fail("%s", strerror(error));
	snprintf(name, sizeof(name), "suanlu %s", arguments.command->name);
	argv[arguments.at] = name;
	return arguments.command->run(&arguments.cli, argc - arguments.at, argv + arguments.at);
}
