/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <suanlu/publish.h>

struct keygen {
	struct cli *cli;
	const char *file;
	bool public_only;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct keygen *keygen = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = keygen->cli;
		return 0;
	case 'p':
		keygen->public_only = true;
		return 0;
	case ARGP_KEY_ARG:
		if (keygen->file)
			argp_error(state, "one FILE at a time");
		keygen->file = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected a FILE, such as /etc/suanlu/NODE.key");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"public", 'p', NULL, 0, "only print the public key of an existing FILE", 0},
	{0},
};
static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp keygen_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "FILE",
	.doc = "Makes a key pair: the secret into FILE, readable by its owner only and never "
	       "overwritten; the public key, base64, on standard output.",
	.children = children,
};

static int fail(const struct keygen *keygen, int status)
{
	const char *remedy = "";

	if (status == -EEXIST)
		remedy = "; it stays as it is. Its public key: suanlu keygen --public FILE";
	else if (status == -ENOENT && !keygen->public_only)
		remedy = "; its folder must be there: mkdir -p";
	else if (status == -EACCES)
		remedy = " (try sudo)";
	else if (status == -EINVAL)
		remedy = ": not a key made by suanlu keygen";
	return cli_fail("%s: %s%s", keygen->file, strerror(-status), remedy);
}

int keygen_command(struct cli *cli, int argc, char **argv)
{
	struct keygen keygen = {.cli = cli};
	char public_key[SL_KEY_TEXT];

	argp_parse(&keygen_argp, argc, argv, 0, NULL, &keygen);
	int status = keygen.public_only ? sl_key_public(keygen.file, public_key)
					: sl_keygen(keygen.file, public_key);
	if (status < 0)
		return fail(&keygen, status);
	puts(public_key);
	if (!keygen.public_only)
		fprintf(stderr,
			"%s holds the secret: keep it on this machine, and name it as `key:` in "
			"its configuration.\n"
			"The line above is public: a site's goes under `sites: ... key:` of every "
			"edge, an edge's under\n"
			"`publish: ... key:` of the sites' agents and `edges: ... key:` of the "
			"other edges.\n",
			keygen.file);
	return 0;
}
