/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"
#include "../telemetry/line.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/publish.h>

#define RECEIVERS_MAX 64

/* Options that are fields of the report (line.h) start here, in the order of `field`. */
#define KEY_FIELD 0x200
#define KEY_BUS 0x300
#define KEY_SITE 0x301
#define KEY_CA 0x302
#define KEY_CREDENTIALS 0x303
#define KEY_SERVER_NAME 0x304
#define BUS_WAIT_MS 3000

struct publish {
	struct cli *cli;
	const char *key;
	const char *to[RECEIVERS_MAX], *edge_key[RECEIVERS_MAX];
	unsigned tos, edge_keys;
	const char *server[RECEIVERS_MAX], *site;
	struct sl_bus bus;
	json_t *object; /* from the options */
	bool from_stdin;
};

static const struct {
	const char *name;
	double scale; /* 0: text; 1: as it is */
} field[] = {
	{"service", 0},	  {"servers", 1},      {"service_time_s", 1e-3}, {"service_scv", 1},
	{"in_flight", 1}, {"queued", 1},       {"arrivals_per_s", 1},	 {"completions_per_s", 1},
	{"arrivals", 1},  {"completions", 1},  {"cpu_utilisation", 1},	 {"price_per_hour", 1},
	{"pue", 1},	  {"valid_for_ms", 1},
};

static const struct argp_option options[] = {
	{"key", 'k', "FILE", 0, "this site's key (suanlu keygen)", 1},
	{"to", 't', "ADDR:PORT", 0, "an edge that listens for telemetry; may be repeated", 1},
	{"edge-key", 'e', "BASE64", 0, "that edge's public key; one for each --to, in order", 1},
	{"bus", KEY_BUS, "URL", 0, "nats://HOST:PORT in place of edges, or beside; may be repeated",
	 1},
	{"site", KEY_SITE, "NAME", 0, "with --bus: this site's name at the edges", 1},
	{"ca", KEY_CA, "FILE", 0, "with --bus: who may have signed the server's certificate", 1},
	{"server-name", KEY_SERVER_NAME, "NAME", 0,
	 "with --bus: in the server's certificate, if not that of the URL", 1},
	{"credentials", KEY_CREDENTIALS, "FILE", 0, "with --bus: of NATS (.creds)", 1},
	{"stdin", 'i', NULL, 0, "one JSON object a line, each published at once", 1},
	{"service", KEY_FIELD + 0, "NAME", 0, "as the edges call it", 2},
	{"servers", KEY_FIELD + 1, "N", 0, "flows it works on at the same time", 2},
	{"service-time-ms", KEY_FIELD + 2, "X", 0, "mean, without waiting", 2},
	{"service-scv", KEY_FIELD + 3, "X", 0, "its squared coefficient of variation", 2},
	{"in-flight", KEY_FIELD + 4, "N", 0, "being worked on now", 2},
	{"queued", KEY_FIELD + 5, "N", 0, "waiting now", 2},
	{"arrivals-per-s", KEY_FIELD + 6, "X", 0, "flows", 2},
	{"completions-per-s", KEY_FIELD + 7, "X", 0, "flows", 2},
	{"arrivals", KEY_FIELD + 8, "N", 0, "in all", 2},
	{"completions", KEY_FIELD + 9, "N", 0, "in all", 2},
	{"cpu-utilisation", KEY_FIELD + 10, "X", 0, "of the host, 0..1", 2},
	{"label", 'l', "NAME", 0, "of the site: ai, cloud, ...; may be repeated", 2},
	{"price-per-hour", KEY_FIELD + 11, "X", 0, "of one server", 2},
	{"pue", KEY_FIELD + 12, "X", 0, "power usage effectiveness, 1 or more", 2},
	{"valid-for-ms", KEY_FIELD + 13, "N", 0, "how long these numbers count (default 500)", 2},
	{0},
};

/* A number as an integer where it was written as one: counters have more digits than doubles. */
static json_t *number_from(const char *text, double scale)
{
	char *end;

	errno = 0;
	if (scale == 1) {
		long long whole = strtoll(text, &end, 10);
		if (end != text && *end == '\0' && errno == 0)
			return json_integer(whole);
	}
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || errno == ERANGE || !isfinite(value))
		return NULL;
	return json_real(value * scale);
}

static error_t parse_field(struct publish *publish, unsigned index, const char *argument,
			   struct argp_state *state)
{
	json_t *value = field[index].scale == 0 ? json_string(argument)
						: number_from(argument, field[index].scale);

	if (!value)
		argp_error(state, "%s: expected a number, found '%s'", field[index].name, argument);
	json_object_set_new(publish->object, field[index].name, value);
	return 0;
}

static void parse_label(struct publish *publish, const char *argument)
{
	json_t *labels = json_object_get(publish->object, "labels");

	if (!labels) {
		labels = json_array();
		json_object_set_new(publish->object, "labels", labels);
	}
	json_array_append_new(labels, json_string(argument));
}

static void check_whole(const struct publish *publish, struct argp_state *state)
{
	if (!publish->key)
		argp_error(state, "expected --key FILE");
	if (publish->bus.servers > 0 && !publish->site)
		argp_error(state, "--bus: expected --site NAME");
	if ((publish->tos == 0 && publish->bus.servers == 0) || publish->tos != publish->edge_keys)
		argp_error(state, "expected an --edge-key for each --to, found %u and %u",
			   publish->edge_keys, publish->tos);
	if (publish->from_stdin && json_object_size(publish->object) > 0)
		argp_error(state, "--stdin: the lines have all fields, expected no other");
	if (!publish->from_stdin && !json_object_get(publish->object, "service"))
		argp_error(state, "expected --service NAME, or --stdin");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct publish *publish = state->input;

	if (key >= KEY_FIELD && key < KEY_FIELD + (int)(sizeof(field) / sizeof(field[0])))
		return parse_field(publish, (unsigned)(key - KEY_FIELD), argument, state);
	if ((key == KEY_BUS && publish->bus.servers == RECEIVERS_MAX) ||
	    (key == 't' && publish->tos == RECEIVERS_MAX) ||
	    (key == 'e' && publish->edge_keys == RECEIVERS_MAX))
		argp_error(state, "more than %d receivers", RECEIVERS_MAX);
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = publish->cli;
		return 0;
	case 'k':
		publish->key = argument;
		return 0;
	case 't':
		publish->to[publish->tos++] = argument;
		return 0;
	case 'e':
		publish->edge_key[publish->edge_keys++] = argument;
		return 0;
	case KEY_BUS:
		publish->server[publish->bus.servers++] = argument;
		return 0;
	case KEY_SITE:
		publish->site = argument;
		return 0;
	case KEY_CA:
		publish->bus.ca_file = argument;
		return 0;
	case KEY_SERVER_NAME:
		publish->bus.server_name = argument;
		return 0;
	case KEY_CREDENTIALS:
		publish->bus.credentials_file = argument;
		return 0;
	case 'i':
		publish->from_stdin = true;
		return 0;
	case 'l':
		parse_label(publish, argument);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' belongs to no option", argument);
		return 0;
	case ARGP_KEY_END:
		check_whole(publish, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp publish_argp = {
	.options = options,
	.parser = parse,
	.doc = "Signs and sends the load of a service to edges: once from the options, or for each "
	       "line of standard input.\v"
	       "A line is an object such as\n"
	       "{\"service\": \"infer\", \"servers\": 8, \"service_time_s\": 0.02, \"in_flight\": "
	       "5, "
	       "\"queued\": 0, \"arrivals\": 41034, \"completions\": 41029}\n"
	       "Fields: service (required), servers, service_time_s, service_scv, in_flight, "
	       "queued, "
	       "arrivals_per_s, completions_per_s, arrivals, completions, cpu_utilisation, labels "
	       "(list), price_per_hour, pue, valid_for_ms, measured_at_us. A bad line is named by "
	       "number and skipped; the exit status is then 1.",
	.children = children,
};

static int send_object(struct sl_publisher *publisher, const json_t *object, const char *where)
{
	struct line line;
	char error[256];

	if (line_parse(object, &line, error) < 0)
		return cli_fail("%s%s", where, error);
	if (sl_publish(publisher, &line.report) < 0)
		return cli_fail("%s%s", where, sl_publisher_error(publisher));
	return 0;
}

static bool is_blank(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return *text == '\0';
}

static int send_line(struct sl_publisher *publisher, const char *text, size_t bytes,
		     unsigned long number)
{
	json_error_t wrong;
	char where[48];

	snprintf(where, sizeof(where), "line %lu: ", number);
	json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &wrong);
	if (!object)
		return cli_fail("%s%s at character %d", where, wrong.text, wrong.column);
	int status = send_object(publisher, object, where);
	json_decref(object);
	return status;
}

static int send_stdin(struct sl_publisher *publisher)
{
	char *text = NULL;
	size_t room = 0;
	int status = 0;
	ssize_t bytes;

	for (unsigned long number = 1; (bytes = getline(&text, &room, stdin)) >= 0; number++)
		if (!is_blank(text))
			status |= send_line(publisher, text, (size_t)bytes, number);
	free(text);
	if (ferror(stdin))
		return cli_fail("standard input: %s", strerror(errno));
	return status;
}

static int add_bus(const struct publish *publish, struct sl_publisher *publisher)
{
	struct sl_bus bus = publish->bus;
	int status;

	if (bus.servers == 0)
		return 0;
	bus.server = publish->server;
	status = sl_publisher_add_bus(publisher, &bus, publish->site);
	return status < 0 ? status : sl_publisher_flush(publisher, BUS_WAIT_MS);
}

static int run(const struct publish *publish)
{
	struct sl_publisher *publisher;
	int status = sl_publisher_open(&publisher, publish->key);

	if (status < 0)
		return cli_fail("%s", sl_publisher_error(NULL));
	for (unsigned i = 0; status >= 0 && i < publish->tos; i++) {
		status = sl_publisher_add(publisher, publish->to[i], publish->edge_key[i]);
		if (status < 0)
			cli_fail("%s", sl_publisher_error(publisher));
	}
	if (status >= 0) {
		status = add_bus(publish, publisher);
		if (status < 0)
			cli_fail("%s", sl_publisher_error(publisher));
	}
	if (status < 0)
		status = 1;
	else if (publish->from_stdin)
		status = send_stdin(publisher);
	else
		status = send_object(publisher, publish->object, "");
	if (status == 0 && sl_publisher_flush(publisher, BUS_WAIT_MS) < 0)
		status = cli_fail("%s", sl_publisher_error(publisher));
	sl_publisher_close(publisher);
	return status;
}

int publish_command(struct cli *cli, int argc, char **argv)
{
	struct publish publish = {.cli = cli, .object = json_object()};

	argp_parse(&publish_argp, argc, argv, 0, NULL, &publish);
	int status = run(&publish);
	json_decref(publish.object);
	return status;
}
