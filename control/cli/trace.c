/* SPDX-License-Identifier: BSD-3-Clause */
#include "address.h"
#include "ask.h"
#include "cli.h"
#include "table.h"
#include "via.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct trace {
	struct cli *cli;
	const char *argument[3];
	unsigned arguments;
	bool json;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct trace *trace = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = trace->cli;
		return 0;
	case 'j':
		trace->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (trace->arguments == 3)
			argp_error(state, "expected [tcp|udp] SRC:PORT DST:PORT and no more");
		trace->argument[trace->arguments++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (trace->arguments < 2)
			argp_error(state, "expected [tcp|udp] SRC:PORT DST:PORT");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"json", 'j', NULL, 0, "for programs", 0},
	{0},
};
static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp trace_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[tcp|udp] SRC:PORT DST:PORT",
	.doc = "Says where the dataplane would send a packet of this flow now, and why. Nothing is "
	       "changed by asking. IPv6: [2001:db8::1]:443.",
	.children = children,
};

static int question_from(const struct trace *trace, struct sl_msg_trace *question)
{
	const char *const *end = trace->argument + trace->arguments - 2;
	const char *protocol = trace->arguments == 3 ? trace->argument[0] : "tcp";
	struct address source, destination;

	const char *wrong = address_parse(end[0], &source);
	if (wrong)
		return cli_fail("trace: %s: %s", end[0], wrong);
	wrong = address_parse(end[1], &destination);
	if (wrong)
		return cli_fail("trace: %s: %s", end[1], wrong);
	if (source.family != destination.family)
		return cli_fail(
			"trace: expected two addresses of one family, found IPv%u and IPv%u",
			source.family, destination.family);
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return cli_fail("trace: expected tcp or udp, found '%s'", protocol);
	*question = (struct sl_msg_trace){
		.header = {.version = SL_ROUTE_VERSION,
			   .type = SL_MSG_TRACE,
			   .bytes = sizeof(*question),
			   .generation = 1},
		.family = source.family,
		.protocol = strcmp(protocol, "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP,
		.source_port = source.port,
		.destination_port = destination.port,
		.source = source.ip,
		.destination = destination.ip,
	};
	return 0;
}

/* What control knows of this service at this site; NULL: nothing. */
static const json_t *route_of(const json_t *routes, const char *service, const char *site)
{
	size_t index;
	const json_t *route;

	json_array_foreach (json_object_get(routes, "routes"), index, route) {
		const char *its_service = json_string_value(json_object_get(route, "service"));
		const char *its_site = json_string_value(json_object_get(route, "site"));
		if (its_service && its_site && strcmp(its_service, service) == 0 &&
		    strcmp(its_site, site) == 0)
			return route;
	}
	return NULL;
}

static void age_text(uint32_t age_s, char out[32])
{
	if (age_s < 120)
		snprintf(out, 32, "%u s", age_s);
	else
		snprintf(out, 32, "%u min", age_s / 60);
}

static void print_way(const struct sl_msg_traced *traced)
{
	char way[256];

	via_text(&traced->via, way, sizeof(way));
	printf("way       %s\n", way);
	printf("next hop  %s\n", traced->next_hop[0] ? traced->next_hop : "not known");
}

static void print_verdict(const struct sl_msg_traced *traced)
{
	char age[32];

	if (traced->how == SL_TRACE_NO_SERVICE) {
		puts("no service has this address, protocol and port: the fast path leaves the "
		     "packet alone");
		return;
	}
	printf("service   %s\n", traced->service);
	switch (traced->how) {
	case SL_TRACE_PINNED:
		age_text(traced->age_s, age);
		printf("site      %s: the flow is pinned there, last packet %s ago\n", traced->site,
		       age);
		print_way(traced);
		break;
	case SL_TRACE_CHOSEN:
		printf("site      %s: a new flow; of the weighted draws its score is the lowest\n",
		       traced->site);
		print_way(traced);
		break;
	case SL_TRACE_NO_CANDIDATE:
		puts("site      none: no site takes new flows of this family now");
		break;
	default:
		puts("the dataplane's answer is not understood: are both programs of one version?");
	}
}

static double share_of(const struct sl_msg_traced *traced, unsigned i)
{
	double all = 0;

	for (unsigned k = 0; k < traced->candidates; k++)
		all += traced->candidate[k].weight;
	return all > 0 ? traced->candidate[i].weight / all : 0;
}

static void print_candidates(const struct sl_msg_traced *traced, const json_t *routes)
{
	static const char *const header[] = {"",	  "CANDIDATE",	  ">WEIGHT %",	  ">SCORE",
					     ">DELAY ms", ">RESPONSE ms", ">MARGINAL ms", "WHY",
					     NULL};
	struct table table;

	if (traced->candidates == 0)
		return;
	putchar('\n');
	table_init(&table, header);
	for (unsigned i = 0; i < traced->candidates; i++) {
		const char *site = traced->candidate[i].site;
		const json_t *route = route_of(routes, traced->service, site);
		float score = traced->candidate[i].score;
		table_cell(&table, "%s", strcmp(site, traced->site) == 0 ? "*" : "");
		table_cell(&table, "%s", site);
		table_cell(&table, "%.1f", 100 * share_of(traced, i));
		if (isfinite(score))
			table_cell(&table, "%.3g", (double)score);
		else
			table_cell(&table, "-");
		table_number(&table, route, "delay_ms", 1, 1);
		table_number(&table, route, "response_ms", 1, 1);
		table_number(&table, route, "marginal_ms", 1, 1);
		table_text(&table, route, "why");
	}
	table_print(&table);
}

static void print_json(const struct sl_msg_traced *traced, const json_t *routes)
{
	static const char *const how[] = {"no-service", "pinned", "chosen", "no-candidate"};
	json_t *candidates = json_array();
	char way[256];

	via_text(&traced->via, way, sizeof(way));
	for (unsigned i = 0; i < traced->candidates; i++) {
		float score = traced->candidate[i].score;
		const json_t *route = route_of(routes, traced->service, traced->candidate[i].site);
		json_t *candidate =
			json_pack("{ss, sf, so}", "site", traced->candidate[i].site, "weight",
				  share_of(traced, i), "score",
				  isfinite(score) ? json_real((double)score) : json_null());
		if (route)
			json_object_update_missing(candidate, (json_t *)route);
		json_array_append_new(candidates, candidate);
	}
	json_t *all =
		json_pack("{ss, ss, ss, sI, ss, ss, so}", "how",
			  traced->how < 4 ? how[traced->how] : "unknown", "service",
			  traced->service, "site", traced->site, "age_s", (json_int_t)traced->age_s,
			  "way", way, "next_hop", traced->next_hop, "candidates", candidates);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

/* Names end, and there are no more candidates than fit. */
static void bound(struct sl_msg_traced *traced)
{
	traced->service[SL_NAME_MAX - 1] = traced->site[SL_NAME_MAX - 1] = '\0';
	traced->next_hop[sizeof(traced->next_hop) - 1] = '\0';
	if (traced->candidates > SL_CANDIDATES_MAX)
		traced->candidates = SL_CANDIDATES_MAX;
	for (unsigned i = 0; i < traced->candidates; i++)
		traced->candidate[i].site[SL_NAME_MAX - 1] = '\0';
}

static int ask(const struct cli *cli, const struct sl_msg_trace *question,
	       struct sl_msg_traced *traced)
{
	struct ask_error error;
	int fd = ask_dataplane(cli->run_dir, &error);

	if (fd < 0)
		return cli_fail("%s", error.text);
	bool answered = ask_send(fd, question, sizeof(*question), &error) == 0 &&
			ask_receive(fd, traced, sizeof(*traced), SL_MSG_TRACED, sizeof(*traced),
				    &error) > 0;
	close(fd);
	if (!answered)
		return cli_fail("%s", error.text);
	bound(traced);
	return 0;
}

int trace_command(struct cli *cli, int argc, char **argv)
{
	struct trace trace = {.cli = cli};
	struct sl_msg_trace question;
	struct sl_msg_traced traced;
	struct ask_error error;

	argp_parse(&trace_argp, argc, argv, 0, NULL, &trace);
	int status = question_from(&trace, &question);
	if (status == 0)
		status = ask(cli, &question, &traced);
	if (status != 0)
		return status;
	json_t *routes = ask_control(cli->run_dir, json_pack("{ss}", "command", "routes"), &error);
	if (trace.json) {
		print_json(&traced, routes);
	} else {
		print_verdict(&traced);
		print_candidates(&traced, routes);
		if (!routes && traced.how != SL_TRACE_NO_SERVICE)
			printf("\nwithout delays and reasons: %s\n", error.text);
	}
	json_decref(routes);
	return 0;
}
