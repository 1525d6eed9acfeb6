/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>
#include <suanlu/publish.h>
#include <unistd.h>

static error_t parse(int key, char *argument, struct argp_state *state)
{
	const char **file = ((void **)state->input)[1];

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = ((void **)state->input)[0];
		return 0;
	case ARGP_KEY_ARG:
		if (*file)
			argp_error(state, "one FILE at a time");
		*file = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp check_argp = {
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "Reads a node's configuration (default " SL_CONFIG_FILE
	       ") as its programs will, and "
	       "says what is wrong with it, or that all is well. Starts nothing.",
	.children = children,
};

static void print_count(unsigned count, const char *noun)
{
	printf(", %u %s%s", count, noun, count == 1 ? "" : "s");
}

/* The key must be readable by who starts control, not by who checks: only root is told off. */
static int check_key(const struct config *config, const char *file)
{
	char public_key[SL_KEY_TEXT];

	if (!config->key_file)
		return 0;
	int status = sl_key_public(config->key_file, public_key);
	if (status == 0) {
		printf("%s: public key %s\n", config->key_file, public_key);
		return 0;
	}
	if (status == -EACCES && geteuid() != 0) {
		printf("%s: not checked, it is not readable for you (try sudo)\n",
		       config->key_file);
		return 0;
	}
	return cli_fail("%s: key: %s: %s%s", file, config->key_file, strerror(-status),
			status == -ENOENT   ? " (suanlu keygen makes one)"
			: status == -EINVAL ? " (not a key made by suanlu keygen)"
					    : "");
}

/* A node's must have a name; an agent's looks alike, and its own program knows it. */
static bool names_node(const char *file)
{
	FILE *stream = fopen(file, "re");
	char *line = NULL;
	size_t bytes = 0;
	bool found = !stream;

	while (!found && getline(&line, &bytes, stream) >= 0)
		found = strncmp(line, "node:", 5) == 0;
	free(line);
	if (stream)
		fclose(stream);
	return found;
}

int check_command(struct cli *cli, int argc, char **argv)
{
	const char *file = NULL;
	struct config *config;
	struct config_error error;

	argp_parse(&check_argp, argc, argv, 0, NULL, (void *[]){cli, &file});
	file = file ? file : SL_CONFIG_FILE;
	if (config_load(file, &config, &error) < 0)
		return cli_fail("%s%s", error.text,
				names_node(file) ? ""
						 : "; is it an agent's? `suanlu-agent --check -c "
						   "FILE` checks that");
	int status = check_key(config, file);
	if (status == 0) {
		printf("%s: ok: node %s", file, config->node);
		print_count(config->services, "service");
		print_count(config->sites, "site");
		print_count(config->edges, "other edge");
		print_count(config->dataplane.ports, "port");
		putchar('\n');
	}
	config_free(config);
	return status;
}
