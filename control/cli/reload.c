/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"
#include "cli.h"
#include <stdio.h>

static error_t parse(int key, char *argument, struct argp_state *state)
{
	(void)argument;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "control knows its file: no argument expected");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp reload_argp = {
	.parser = parse,
	.doc = "Control reads its configuration again and goes over to it, with the dataplane, or "
	       "refuses it whole and says why. Services, sites, edges, keys, address, SIDs, "
	       "steering "
	       "and interval may change; what else needs a restart is said by name.",
	.children = children,
};

static void print(const char *what, const json_t *answer)
{
	const json_t *count = json_object_get(answer, what);

	printf("  %-9s %lld added, %lld removed, %lld changed\n", what,
	       json_integer_value(json_object_get(count, "added")),
	       json_integer_value(json_object_get(count, "removed")),
	       json_integer_value(json_object_get(count, "changed")));
}

int reload_command(struct cli *cli, int argc, char **argv)
{
	struct ask_error error;
	json_t *answer;

	argp_parse(&reload_argp, argc, argv, 0, NULL, cli);
	answer = ask_control(cli->run_dir, json_pack("{ss}", "command", "reload"), &error);
	if (!answer)
		return cli_fail("reload: %s", error.text);
	printf("%s: in force\n", json_string_value(json_object_get(answer, "file")));
	print("services", answer);
	print("sites", answer);
	print("edges", answer);
	json_decref(answer);
	return 0;
}
