/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"
#include "ask.h"
#include "table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct show {
	struct cli *cli;
	const char *what;
	bool json, all;
};

static double sum_of(const json_t *list, const char *name)
{
	double sum = 0;
	size_t index;
	const json_t *item;

	json_array_foreach (list, index, item)
		sum += json_number_value(json_object_get(item, name));
	return sum;
}

/* "a, b, c" of a list of strings. */
static void list_cell(struct table *table, const json_t *list)
{
	char text[512] = "";
	size_t index, used = 0;
	const json_t *item;

	json_array_foreach (list, index, item) {
		const char *name = json_string_value(item);
		int more = snprintf(text + used, sizeof(text) - used, "%s%s", index ? ", " : "",
				    name ? name : "?");
		if (more < 0 || used + (size_t)more >= sizeof(text))
			break;
		used += (size_t)more;
	}
	table_cell(table, "%s", used ? text : "-");
}

static void acknowledged_cell(struct table *table, const json_t *service)
{
	json_t *told = json_object_get(service, "generation");
	json_t *acknowledged = json_object_get(service, "acknowledged");

	if (json_is_boolean(acknowledged))
		table_cell(table, "%s", json_is_true(acknowledged) ? "in use" : "not yet");
	else if (json_is_integer(acknowledged) && json_is_integer(told))
		table_cell(table, "%s",
			   json_integer_value(acknowledged) > 0 &&
					   json_integer_value(acknowledged) >=
						   json_integer_value(told)
				   ? "in use"
				   : "not yet");
	else
		table_cell(table, "-");
}

static void announced_cell(struct table *table, const json_t *service)
{
	json_t *announced = json_object_get(service, "announced");

	table_cell(table, "%s",
		   json_is_boolean(announced) ? json_is_true(announced) ? "yes" : "no" : "-");
}

static void show_services(const json_t *answer)
{
	static const char *const header[] = {
		"SERVICE", "IPV4",	"IPV6",		"PROTOCOL",
		">PORT",   "AFFINITY",	">NEW FLOWS/s", ">PREDICTED ms",
		">ROUTES", "DATAPLANE", "ANNOUNCED",	"SITES",
		NULL};
	const json_t *list = json_object_get(answer, "services"), *service;
	struct table table;
	size_t index;

	table_init(&table, header);
	json_array_foreach (list, index, service) {
		table_text(&table, service, "name");
		table_text(&table, service, "ipv4");
		table_text(&table, service, "ipv6");
		table_text(&table, service, "protocol");
		table_number(&table, service, "port", 1, 0);
		table_text(&table, service, "affinity");
		table_number(&table, service, "demand_per_s", 1, 1);
		table_number(&table, service, "predicted_ms", 1, 1);
		table_number(&table, service, "generation", 1, 0);
		acknowledged_cell(&table, service);
		announced_cell(&table, service);
		list_cell(&table, json_object_get(service, "sites"));
	}
	if (json_array_size(list) > 1) {
		table_cell(&table, "total");
		table_empty(&table, 5);
		table_cell(&table, "%.1f", sum_of(list, "demand_per_s"));
		table_empty(&table, 5);
	}
	table_print(&table);
}

static void site_cells(struct table *table, const json_t *site)
{
	const char *state = json_string_value(json_object_get(site, "state"));

	table_text(table, site, "name");
	table_cell(table, "%s%s", state ? state : "-",
		   json_is_true(json_object_get(site, "drained")) ? ", drained" : "");
	table_number(table, site, "age_ms", 1, 0);
	table_number(table, site, "delay_ms", 1, 1);
	table_text(table, site, "way");
}

static void load_cells(struct table *table, const json_t *load)
{
	table_text(table, load, "name");
	table_number(table, load, "servers", 1, 0);
	table_number(table, load, "service_time_ms", 1, 1);
	table_number(table, load, "in_flight", 1, 0);
	table_number(table, load, "queued", 1, 0);
	table_number(table, load, "arrivals_per_s", 1, 1);
	table_number(table, load, "background_per_s", 1, 1);
	table_number(table, load, "utilisation", 100, 0);
	table_number(table, load, "response_ms", 1, 1);
	table_number(table, load, "reported_response_ms", 1, 1);
	table_number(table, load, "weight", 100, 1);
	table_number(table, load, "new_flows_per_s", 1, 1);
}

static void show_sites(const json_t *answer)
{
	static const char *const header[] = {
		"SITE",	       "REPORTS",      ">AGE ms",     ">DELAY ms",    "WAY",
		"SERVICE",     ">SERVERS",     ">SERVICE ms", ">BUSY",	      ">QUEUED",
		">ARRIVALS/s", ">OTHERS/s",    ">USED %",     ">RESPONSE ms", ">REPORTED ms",
		">WEIGHT %",   ">NEW FLOWS/s", NULL};
	const json_t *site, *load;
	double arrivals = 0, new_flows = 0, queued = 0;
	struct table table;
	size_t index, row;

	table_init(&table, header);
	json_array_foreach (json_object_get(answer, "sites"), index, site) {
		const json_t *services = json_object_get(site, "services");
		json_array_foreach (services, row, load) {
			site_cells(&table, site);
			load_cells(&table, load);
		}
		if (json_array_size(services) == 0) {
			site_cells(&table, site);
			table_empty(&table, 12);
		}
		arrivals += sum_of(services, "arrivals_per_s");
		new_flows += sum_of(services, "new_flows_per_s");
		queued += sum_of(services, "queued");
	}
	table_cell(&table, "total");
	table_empty(&table, 8);
	table_cell(&table, "%.0f", queued);
	table_cell(&table, "%.1f", arrivals);
	table_empty(&table, 5);
	table_cell(&table, "%.1f", new_flows);
	table_print(&table);
}

static void show_routes(const json_t *answer)
{
	static const char *const header[] = {
		"SERVICE",	"SITE",		">WEIGHT %", ">DELAY ms",
		">RESPONSE ms", ">MARGINAL ms", "WHY",	     NULL};
	const json_t *route;
	struct table table;
	size_t index;

	table_init(&table, header);
	json_array_foreach (json_object_get(answer, "routes"), index, route) {
		table_text(&table, route, "service");
		table_text(&table, route, "site");
		table_number(&table, route, "weight", 100, 1);
		table_number(&table, route, "delay_ms", 1, 1);
		table_number(&table, route, "response_ms", 1, 1);
		table_number(&table, route, "marginal_ms", 1, 1);
		table_text(&table, route, "why");
	}
	table_print(&table);
}

static void show_telemetry(const json_t *answer)
{
	static const char *const header[] = {"SITE",	   ">AGE ms",	 "SERVICE", "METRIC",
					     ">LEVEL",	   ">VALUE",	 "UNIT",    "SOURCE",
					     "STATISTICS", ">WINDOW ms", "BY",	    NULL};
	const json_t *metric;
	struct table table;
	size_t index;

	table_init(&table, header);
	json_array_foreach (json_object_get(answer, "telemetry"), index, metric) {
		table_text(&table, metric, "site");
		table_number(&table, metric, "age_ms", 1, 0);
		table_text(&table, metric, "service");
		table_text(&table, metric, "type");
		table_number(&table, metric, "level", 1, 0);
		table_cell(&table, "%.6g", json_number_value(json_object_get(metric, "value")));
		table_text(&table, metric, "unit");
		table_text(&table, metric, "source");
		table_text(&table, metric, "statistics");
		table_number(&table, metric, "window_ms", 1, 0);
		table_text(&table, metric, "by");
	}
	table_print(&table);
}

static void show_reports(const json_t *answer)
{
	static const char *const header[] = {"REPORTS", ">COUNT", NULL};
	const json_t *count;
	const char *reason;
	json_int_t total = 0;
	struct table table;

	table_init(&table, header);
	json_object_foreach (json_object_get(answer, "reports"), reason, count) {
		table_cell(&table, "%s", reason);
		table_cell(&table, "%" JSON_INTEGER_FORMAT, json_integer_value(count));
		total += json_integer_value(count);
	}
	table_cell(&table, "total");
	table_cell(&table, "%" JSON_INTEGER_FORMAT, total);
	table_print(&table);
}

/* Whatever control tells of itself: one line each, one level deep. */
static void show_status(const json_t *answer)
{
	static const char *const header[] = {"WHAT", "VALUE", NULL};
	const json_t *value, *inner;
	const char *name, *inner_name;
	struct table table;

	table_init(&table, header);
	json_object_foreach ((json_t *)answer, name, value) {
		if (strcmp(name, "ok") == 0)
			continue;
		if (json_is_object(value)) {
			json_object_foreach ((json_t *)value, inner_name, inner) {
				char *text = json_dumps(inner, JSON_ENCODE_ANY | JSON_COMPACT);
				table_cell(&table, "%s %s", name, inner_name);
				table_cell(&table, "%s", text ? text : "?");
				free(text);
			}
			continue;
		}
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		table_cell(&table, "%s", name);
		table_cell(&table, "%s", json_is_string(value) ? json_string_value(value) : text);
		free(text);
	}
	table_print(&table);
}

static void show_announcements(const json_t *answer)
{
	static const char *const header[] = {"SITE",	 "OPERATOR", "SERVERS", "AGE",
					     "SERVICES", "REMARK",   NULL};
	const json_t *site, *service;
	struct table table;
	size_t i, k;

	table_init(&table, header);
	json_array_foreach (json_object_get(answer, "announcements"), i, site) {
		const char *denied = json_string_value(json_object_get(site, "denied"));
		const char *refused = json_string_value(json_object_get(site, "refused"));
		char names[200] = "";

		json_array_foreach (json_object_get(site, "services"), k, service) {
			size_t used = strlen(names);
			snprintf(names + used, sizeof(names) - used, "%s%s", used ? "," : "",
				 json_string_value(service));
		}
		table_cell(&table, "%s", json_string_value(json_object_get(site, "site")));
		table_cell(&table, "%s", json_string_value(json_object_get(site, "operator")));
		table_cell(&table, "%" JSON_INTEGER_FORMAT,
			   json_integer_value(json_object_get(site, "servers")));
		table_cell(&table, "%.1f s",
			   json_number_value(json_object_get(site, "age_ms")) / 1000);
		table_cell(&table, "%s", names);
		table_cell(&table, "%s%s%s%s", *refused ? "last refused: " : "", refused,
			   *denied ? "may not offer " : "", denied);
	}
	table_print(&table);
}

static const struct {
	const char *what;
	void (*print)(const json_t *answer);
} views[] = {
	{"announcements", show_announcements},
	{"services", show_services},
	{"sites", show_sites},
	{"routes", show_routes},
	{"telemetry", show_telemetry},
	{"reports", show_reports},
	{"status", show_status},
};

static int show_view(const struct show *show, size_t view)
{
	struct ask_error error;
	json_t *answer = ask_control(show->cli->run_dir,
				     json_pack("{ss}", "command", views[view].what), &error);

	if (!answer)
		return cli_fail("%s", error.text);
	if (show->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		views[view].print(answer);
	}
	json_decref(answer);
	return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct show *show = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = show->cli;
		return 0;
	case 'j':
		show->json = true;
		return 0;
	case 'a':
		show->all = true;
		return 0;
	case ARGP_KEY_ARG:
		if (show->what)
			argp_error(state, "one of them at a time");
		show->what = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"json", 'j', NULL, 0, "for programs", 0},
	{"all", 'a', NULL, 0, "counters: those that are zero, too", 0},
	{0},
};
static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp show_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "services|sites|announcements|routes|paths|telemetry|counters|reports|"
		    "neighbours|status",
	.doc = "Shows what the node knows and does. Counters and paths are read from shared memory "
	       "and neighbours from the dataplane; the rest is asked of suanlu-control.",
	.children = children,
};

int show_command(struct cli *cli, int argc, char **argv)
{
	struct show show = {.cli = cli};

	argp_parse(&show_argp, argc, argv, 0, NULL, &show);
	if (strcmp(show.what, "counters") == 0)
		return counters_show(cli, show.json, show.all);
	if (strcmp(show.what, "paths") == 0)
		return paths_show(cli, show.json);
	if (strcmp(show.what, "neighbours") == 0)
		return neighbours_show(cli, show.json);
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strcmp(show.what, views[i].what) == 0)
			return show_view(&show, i);
	return cli_fail(
		"show: expected services, sites, routes, paths, telemetry, counters, reports, "
		"neighbours or status, found '%s'",
		show.what);
}
