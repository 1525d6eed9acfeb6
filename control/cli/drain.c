/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"
#include "cli.h"
#include <stdio.h>
#include <string.h>

struct drain {
	struct cli *cli;
	const char *site;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct drain *drain = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = drain->cli;
		return 0;
	case ARGP_KEY_ARG:
		if (drain->site)
			argp_error(state, "one SITE at a time");
		drain->site = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected the name of a SITE (suanlu show sites)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp drain_argp = {
	.parser = parse,
	.args_doc = "SITE",
	.doc = "drain: no new flows go to the site; those that are there stay. It holds over "
	       "restarts, until undrain.",
	.children = children,
};

/* ", known sites: a, b, c", or nothing if control cannot say. */
static void print_known(const char *run_dir)
{
	struct ask_error error;
	json_t *answer = ask_control(run_dir, json_pack("{ss}", "command", "sites"), &error);
	json_t *site;
	size_t index;

	json_array_foreach (json_object_get(answer, "sites"), index, site) {
		const char *name = json_string_value(json_object_get(site, "name"));
		fprintf(stderr, "%s%s", index == 0 ? "known sites: " : ", ", name ? name : "?");
	}
	if (index > 0)
		fputc('\n', stderr);
	json_decref(answer);
}

static int run(struct cli *cli, int argc, char **argv, const char *command)
{
	struct drain drain = {.cli = cli};
	struct ask_error error;

	argp_parse(&drain_argp, argc, argv, 0, NULL, &drain);
	json_t *request = json_pack("{ssss}", "command", command, "site", drain.site);
	if (!request)
		return cli_fail("%s: not a name", drain.site);
	json_t *answer = ask_control(cli->run_dir, request, &error);
	if (!answer) {
		cli_fail("%s: %s", command, error.text);
		if (!strstr(error.text, "known sites") && !strstr(error.text, "control.sock"))
			print_known(cli->run_dir);
		return 1;
	}
	json_decref(answer);
	printf("%s: %s\n", drain.site,
	       strcmp(command, "drain") == 0 ? "drained: no new flows, flows that are there stay"
					     : "takes new flows again");
	return 0;
}

int drain_command(struct cli *cli, int argc, char **argv)
{
	return run(cli, argc, argv, "drain");
}

int undrain_command(struct cli *cli, int argc, char **argv)
{
	return run(cli, argc, argv, "undrain");
}
