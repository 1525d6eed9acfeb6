/* SPDX-License-Identifier: BSD-3-Clause */
#include "../telemetry/approval.h"
#include "cli.h"
#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAYS_MAX 36500

struct approve {
	struct cli *cli;
	const char *operator_key, *site, *key;
	const char *service[APPROVAL_SERVICES_MAX];
	struct approval approval;
	unsigned days;
};

static const struct argp_option options[] = {
	{"operator-key", 'o', "FILE", 0, "the operator's key (suanlu keygen)", 0},
	{"site", 'n', "NAME", 0, "the site's name", 0},
	{"key", 'k', "BASE64", 0, "its public key", 0},
	{"sid-prefix", 'p', "PREFIX/LENGTH", 0, "its SIDs lie in it", 0},
	{"servers", 'm', "N", 0, "it may claim no more, of each service", 0},
	{"service", 's', "NAME", 0, "it may offer; may be repeated; none: any", 0},
	{"days", 'd', "N", 0, "until it expires (default: never)", 0},
	{0},
};

static bool parse_prefix(const char *text, struct approval *approval)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN], *end;
	unsigned long bits;

	if (!slash || slash - text >= (int)sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	bits = strtoul(slash + 1, &end, 10);
	approval->prefix_bits = (unsigned)bits;
	return slash[1] >= '0' && slash[1] <= '9' && *end == '\0' && bits >= 1 && bits <= 128 &&
	       inet_pton(AF_INET6, address, &approval->prefix) == 1 &&
	       !IN6_IS_ADDR_MULTICAST(&approval->prefix);
}

static unsigned number(const char *text, unsigned most, const char *what, struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > most)
		argp_error(state, "%s: expected 1..%u, found '%s'", what, most, text);
	return (unsigned)value;
}

static void check_whole(const struct approve *approve, struct argp_state *state)
{
	if (!approve->operator_key || !approve->site || !approve->key)
		argp_error(state, "expected --operator-key, --site and --key");
	if (!approve->approval.prefix_bits)
		argp_error(state, "expected --sid-prefix: traffic may go there and nowhere else");
	if (!approve->approval.servers)
		argp_error(state, "expected --servers");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct approve *approve = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = approve->cli;
		return 0;
	case 'o':
		approve->operator_key = argument;
		return 0;
	case 'n':
		approve->site = argument;
		return 0;
	case 'k':
		approve->key = argument;
		return 0;
	case 'p':
		if (!parse_prefix(argument, &approve->approval))
			argp_error(state,
				   "--sid-prefix: expected PREFIX/LENGTH of unicast "
				   "IPv6 addresses, found '%s'",
				   argument);
		return 0;
	case 'm':
		approve->approval.servers = number(argument, 1000000, "--servers", state);
		return 0;
	case 's':
		if (approve->approval.services == APPROVAL_SERVICES_MAX)
			argp_error(state, "more than %d services", APPROVAL_SERVICES_MAX);
		approve->service[approve->approval.services++] = argument;
		return 0;
	case 'd':
		approve->days = number(argument, DAYS_MAX, "--days", state);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' belongs to no option", argument);
		return 0;
	case ARGP_KEY_END:
		check_whole(approve, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp approve_argp = {
	.options = options,
	.parser = parse,
	.doc = "Signs a site's approval with an operator's key, to standard output. The site names "
	       "it in its agent.yaml as `approval: FILE`; edges that have the operator's public "
	       "key under `operators:` then take the site's announcements within these bounds.",
	.children = children,
};

static int run(struct approve *approve)
{
	struct approval *approval = &approve->approval;
	uint8_t data[APPROVAL_BYTES_MAX];
	char text[APPROVAL_TEXT_MAX], why[256];
	struct key key;
	int bytes;

	if (key_parse_public(approve->key, approval->key) < 0)
		return cli_fail("--key: not a public key");
	if (strlen(approve->site) >= SL_NAME_MAX)
		return cli_fail("--site: longer than %d characters", SL_NAME_MAX - 1);
	strcpy(approval->site, approve->site);
	for (unsigned i = 0; i < approval->services; i++)
		if (snprintf(approval->service[i], SL_NAME_MAX, "%s", approve->service[i]) >=
		    SL_NAME_MAX)
			return cli_fail("--service: longer than %d characters: '%s'",
					SL_NAME_MAX - 1, approve->service[i]);
	if (approve->days)
		approval->expires_us = ((uint64_t)time(NULL) + approve->days * 86400ull) * 1000000;
	if (key_read(approve->operator_key, &key, why, sizeof(why)) < 0)
		return cli_fail("%s", why);
	bytes = approval_sign(approval, &key, data);
	sodium_memzero(&key, sizeof(key));
	if (bytes < 0)
		return cli_fail("a name is not 1 to 31 of A-Z a-z 0-9 . _ -, or all is too long");
	approval_print(data, (size_t)bytes, text);
	printf("# site %s, at most %u servers\n%s\n", approval->site, approval->servers, text);
	return 0;
}

int approve_command(struct cli *cli, int argc, char **argv)
{
	struct approve approve = {.cli = cli};

	argp_parse(&approve_argp, argc, argv, 0, NULL, &approve);
	return run(&approve);
}
