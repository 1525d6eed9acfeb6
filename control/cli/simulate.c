/* SPDX-License-Identifier: BSD-3-Clause */
#include "../simulate/policy.h"
#include "../simulate/result.h"
#include "../simulate/scenario.h"
#include "../simulate/world.h"
#include "cli.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERVALS_MAX 16
#define POLICIES_MAX 32
#define KEY_DEMAND 0x1001
#define KEY_WITHOUT 0x1002
#define KEY_DURATION 0x1003
#define KEY_PNG 0x1004
#define KEY_JSON 0x1005
#define KEY_SOLVE_GAP 0x1006

struct simulate {
	struct cli *cli;
	const char *file, *json, *png, *without;
	const struct policy *policy[POLICIES_MAX];
	unsigned policies;
	double interval_s[INTERVALS_MAX];
	unsigned intervals;
	double demand, duration_s, solve_gap_s;
	long seed;
	struct scenario *scenario;
	struct result *result;
	unsigned results;
};

static void parse_policies(struct argp_state *state, struct simulate *simulate, char *text)
{
	for (char *name = strtok(text, ","); name; name = strtok(NULL, ",")) {
		const struct policy *policy = policy_find(name);
		if (!policy)
			argp_error(state, "no policy '%s'", name);
		if (simulate->policies < POLICIES_MAX)
			simulate->policy[simulate->policies++] = policy;
	}
}

static double parse_number(struct argp_state *state, const char *text, double least)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value < 1e9))
		argp_error(state, "expected a number from %g, found '%s'", least, text);
	return value;
}

static void parse_intervals(struct argp_state *state, struct simulate *simulate, char *text)
{
	for (char *part = strtok(text, ","); part; part = strtok(NULL, ","))
		if (simulate->intervals < INTERVALS_MAX)
			simulate->interval_s[simulate->intervals++] =
				parse_number(state, part, 1) / 1e3;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct simulate *simulate = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = simulate->cli;
		return 0;
	case 'p':
		parse_policies(state, simulate, argument);
		return 0;
	case 'i':
		parse_intervals(state, simulate, argument);
		return 0;
	case 's':
		simulate->seed = (long)parse_number(state, argument, 0);
		return 0;
	case KEY_DEMAND:
		simulate->demand = parse_number(state, argument, 1e-6);
		return 0;
	case KEY_DURATION:
		simulate->duration_s = parse_number(state, argument, 0.1);
		return 0;
	case KEY_SOLVE_GAP:
		simulate->solve_gap_s = parse_number(state, argument, 0) / 1e3;
		return 0;
	case KEY_WITHOUT:
		simulate->without = argument;
		return 0;
	case KEY_JSON:
		simulate->json = argument;
		return 0;
	case KEY_PNG:
		simulate->png = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (simulate->file)
			argp_error(state, "one SCENARIO at a time");
		simulate->file = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected SCENARIO.yaml");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"policy", 'p', "NAME,...", 0, "ways to steer (default: all, see below)", 0},
	{"interval", 'i', "MS,...", 0, "telemetry intervals (default: the scenario's)", 0},
	{"seed", 's', "N", 0, "other chance (default: the scenario's)", 0},
	{"demand", KEY_DEMAND, "FACTOR", 0, "what if demand were so many times as much?", 0},
	{"without", KEY_WITHOUT, "SITE", 0, "what if a site failed, a third into the run?", 0},
	{"duration", KEY_DURATION, "S", 0, "measured time (default: the scenario's)", 0},
	{"solve-gap", KEY_SOLVE_GAP, "MS", 0,
	 "suanlu solves no sooner after a solution: quicker to simulate (default: the scenario's)",
	 0},
	{"json", KEY_JSON, "FILE", 0, "results, - for standard output instead of the table", 0},
	{"png", KEY_PNG, "FILE", 0, "a picture: mean and 99th percentile (needs gnuplot)", 0},
	{0},
};

static const struct argp_child children[] = {{&cli_argp, 0, NULL, 0}, {0}};
static const struct argp simulate_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "SCENARIO.yaml",
	.doc = "Simulates a network of edges and sites, with the model, solver and choice of the "
	       "product and with other ways to steer, request by request. The same seed gives the "
	       "same figures.\vPolicies: nearest, random, static, least-loaded, power-of-two, "
	       "load-interpretation, lsq, prequal, waterfall, oracle, suanlu (the product).\n"
	       "control/simulate/scenario.h describes SCENARIO.yaml; tests/data has examples.",
	.children = children,
};

static int add_event(struct simulate *simulate)
{
	struct scenario *scenario = simulate->scenario;
	int site = -1;

	for (unsigned j = 0; j < scenario->sites; j++)
		if (strcmp(simulate->without, scenario->site[j].name) == 0)
			site = (int)j;
	if (site < 0)
		return cli_fail("no site '%s' in %s", simulate->without, simulate->file);
	struct scenario_event *grown =
		reallocarray(scenario->event, scenario->events + 1, sizeof(*grown));
	if (!grown)
		return cli_fail("no memory");
	scenario->event = grown;
	grown[scenario->events++] = (struct scenario_event){
		.at_s = scenario->duration_s / 3,
		.for_s = 10 * scenario->duration_s,
		.site = site,
		.lost = true,
		.speed = 1,
		.demand = 1,
	};
	return 0;
}

static int prepare(struct simulate *simulate)
{
	struct scenario *scenario = simulate->scenario;

	scenario->demand.utilisation *= simulate->demand;
	if (simulate->duration_s > 0)
		scenario->duration_s = simulate->duration_s;
	if (simulate->solve_gap_s > 0)
		scenario->telemetry.solve_gap_s = simulate->solve_gap_s;
	if (simulate->seed >= 0)
		scenario->seed = (uint32_t)simulate->seed;
	if (simulate->intervals == 0)
		simulate->interval_s[simulate->intervals++] = scenario->telemetry.interval_s;
	for (unsigned i = 0; simulate->policies == 0 || (i > 0 && policies[i]); i++)
		simulate->policy[simulate->policies++] = policies[i];
	simulate->result = calloc(simulate->policies * simulate->intervals, sizeof(struct result));
	if (!simulate->result)
		return cli_fail("no memory");
	return simulate->without ? add_event(simulate) : 0;
}

struct bar {
	const char *name;
	double done, all;
	bool shown;
};

static void show_progress(void *argument, double part)
{
	struct bar *bar = argument;
	int cells = (int)(30 * (bar->done + part) / bar->all);

	if (bar->shown)
		fprintf(stderr, "\r[%-30.*s] %3.0f %% %-20s", cells,
			"##############################", 100 * (bar->done + part) / bar->all,
			bar->name);
}

/*
 * A policy that needs no reports does the same at every interval; but that a site is gone all
 * learn from its silence.
 */
static const struct result *same(const struct simulate *simulate, const struct policy *policy)
{
	for (unsigned i = 0; i < simulate->scenario->events; i++)
		if (simulate->scenario->event[i].site >= 0)
			return NULL;
	for (unsigned i = 0; i < simulate->results && !policy->by_reports; i++)
		if (strcmp(simulate->result[i].policy, policy->name) == 0)
			return &simulate->result[i];
	return NULL;
}

static int run_all(struct simulate *simulate)
{
	struct bar bar = {.all = simulate->policies * simulate->intervals,
			  .shown = isatty(STDERR_FILENO)};

	for (unsigned k = 0; k < simulate->intervals; k++) {
		for (unsigned i = 0; i < simulate->policies; i++) {
			const struct policy *policy = simulate->policy[i];
			struct result *result = &simulate->result[simulate->results];
			const struct result *known = same(simulate, policy);

			bar.name = policy->name;
			simulate->scenario->telemetry.interval_s = simulate->interval_s[k];
			if (known)
				*result = *known;
			else if (world_run(simulate->scenario, policy, result, show_progress,
					   &bar) < 0)
				return cli_fail("no memory");
			result->interval_s = simulate->interval_s[k];
			simulate->results++;
			bar.done++;
		}
	}
	if (bar.shown)
		fprintf(stderr, "\r%60s\r", "");
	return 0;
}

static void print_table(const struct simulate *simulate)
{
	double requests = 0, took_s = 0;

	fputs(simulate->scenario->notes, stdout);
	result_table_head(stdout);
	for (unsigned i = 0; i < simulate->results; i++) {
		result_table_row(stdout, &simulate->result[i]);
		requests += (double)simulate->result[i].all_requests;
		took_s += simulate->result[i].took_s;
	}
	for (unsigned i = 0; i < simulate->policies; i++)
		if (simulate->policy[i]->note)
			printf("%s: %s\n", simulate->policy[i]->name, simulate->policy[i]->note);
	fprintf(stderr, "%.2f M requests, %.2f M/s\n", requests / 1e6, requests / took_s / 1e6);
}

static int write_json(const struct simulate *simulate)
{
	bool standard = strcmp(simulate->json, "-") == 0;
	FILE *out = standard ? stdout : fopen(simulate->json, "we");

	if (!out)
		return cli_fail("%s: %m", simulate->json);
	fputs("[\n", out);
	for (unsigned i = 0; i < simulate->results; i++) {
		result_json(out, &simulate->result[i], "  ");
		fputs(i + 1 < simulate->results ? ",\n" : "\n", out);
	}
	fputs("]\n", out);
	if ((standard ? fflush(out) : fclose(out)) != 0)
		return cli_fail("%s: %m", simulate->json);
	return 0;
}

/* The file's name must be quoted as gnuplot reads it. */
static int write_png(const struct simulate *simulate)
{
	FILE *plot = strpbrk(simulate->png, "'\n") ? NULL : popen("gnuplot", "we");

	if (!plot)
		return cli_fail("%s: cannot draw", simulate->png);
	fprintf(plot,
		"set terminal pngcairo size 1000,600\nset output '%s'\n"
		"set style data histograms\nset style fill solid 0.8\nset logscale y\n"
		"set ylabel 'ms'\nset title '%s'\nset xtics rotate by -35\nset grid y\n"
		"plot '-' using 2:xtic(1) title 'mean', '' using 3:xtic(1) title '99th "
		"percentile'\n",
		simulate->png, simulate->scenario->name);
	for (unsigned set = 0; set < 2; set++) {
		for (unsigned i = 0; i < simulate->results; i++)
			fprintf(plot, "\"%s %g ms\" %g %g\n", simulate->result[i].policy,
				1e3 * simulate->result[i].interval_s,
				1e3 * result_mean_s(&simulate->result[i]),
				1e3 * result_quantile_s(&simulate->result[i], 0.99));
		fprintf(plot, "e\n");
	}
	return pclose(plot) == 0 ? 0 : cli_fail("%s: gnuplot failed", simulate->png);
}

int simulate_command(struct cli *cli, int argc, char **argv)
{
	struct simulate simulate = {.cli = cli, .demand = 1, .seed = -1};
	struct config_error error = {""};
	int failed;

	argp_parse(&simulate_argp, argc, argv, 0, NULL, &simulate);
	if (scenario_load(simulate.file, &simulate.scenario, &error) < 0)
		return cli_fail("%s", *error.text ? error.text : "no memory");
	failed = prepare(&simulate);
	failed = failed ?: run_all(&simulate);
	if (!failed && !(simulate.json && strcmp(simulate.json, "-") == 0))
		print_table(&simulate);
	failed = failed ?: simulate.json ? write_json(&simulate) : 0;
	failed = failed ?: simulate.png ? write_png(&simulate) : 0;
	free(simulate.result);
	scenario_free(simulate.scenario);
	return failed;
}
