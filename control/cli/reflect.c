/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/reflect.h"
#include "cli.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct arguments {
	struct cli *cli;
	struct in6_addr address;
	uint16_t port;
	const char *key_file;
};

/* An IPv6 address, or an IPv4 one, which becomes ::ffff:a.b.c.d. */
static bool read_address(const char *text, struct in6_addr *out)
{
	char mapped[64];

	if (inet_pton(AF_INET6, text, out) == 1)
		return true;
	snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
	return inet_pton(AF_INET6, mapped, out) == 1;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	unsigned long port;
	char *end;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = arguments->cli;
		return 0;
	case 'a':
		if (!read_address(argument, &arguments->address))
			argp_error(state, "expected an IPv4 or IPv6 address, found '%s'", argument);
		return 0;
	case 'p':
		port = strtoul(argument, &end, 10);
		if (*end || port < 1 || port > 65535)
			argp_error(state, "expected a port, found '%s'", argument);
		arguments->port = (uint16_t)port;
		return 0;
	case 'k':
		arguments->key_file = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"address", 'a', "ADDRESS", 0, "answer only what comes to this address (default: all)", 0},
	{"port", 'p', "PORT", 0, "UDP port (862)", 0},
	{"key", 'k', "FILE", 0, "answer authenticated probes only; the edges' `probes: key:`", 0},
	{0},
};
static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp reflect_argp = {
	.options = options,
	.parser = parse,
	.doc = "Answers STAMP probes (RFC 8762), and those of TWAMP Light: for a site or a transit "
	       "node whose kernel does what suanlu-dataplane does elsewhere. Run it where the "
	       "overlay's packets are decapsulated, or on a host behind, whose address is the "
	       "edges' `reflector:`. Ends on SIGTERM.",
	.children = children,
};

static int read_key(struct reflect *reflect, const char *file)
{
	uint8_t secret[SL_PROBE_KEY_MAX];
	char why[256];
	int bytes = file ? config_probe_key(file, secret, why, sizeof(why)) : 0;

	if (bytes < 0)
		return cli_fail("%s", why);
	if (bytes > 0)
		stamp_key_set(&reflect->rule.key, secret, (size_t)bytes);
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int reflect_command(struct cli *cli, int argc, char **argv)
{
	static struct reflect reflect = {.rule = {.on = true}};
	struct arguments arguments = {.cli = cli, .port = STAMP_PORT};
	struct pollfd fds[2];
	int fd;

	argp_parse(&reflect_argp, argc, argv, 0, NULL, &arguments);
	if (sodium_init() < 0 || read_key(&reflect, arguments.key_file) != 0)
		return 1;
	fd = reflect_open(&arguments.address, arguments.port);
	if (fd < 0)
		return cli_fail("UDP port %u: %s%s", arguments.port, strerror(-fd),
				fd == -EACCES	    ? ": run as root (sudo), or give it "
						      "CAP_NET_BIND_SERVICE"
				: fd == -EADDRINUSE ? ": another reflector or dataplane runs here"
						    : "");
	fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = signals(), .events = POLLIN};
	fprintf(stderr, "answering %s probes on UDP port %u\n",
		reflect.rule.key.on ? "authenticated" : "unauthenticated", arguments.port);
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents)
			break;
		if (fds[0].revents)
			reflect_turn(&reflect, fd);
	}
	fprintf(stderr, "%lu probes answered, %lu packets refused\n",
		(unsigned long)reflect.answered, (unsigned long)reflect.refused);
	return 0;
}
