/* SPDX-License-Identifier: BSD-3-Clause */
#include "scenario.h"
#include "../config_value.h"
#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400.0

static int set_number(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	char *end;

	if (!text)
		return -EINVAL;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= field->min && value <= field->max))
		return config_fail(reader, node, "expected a number from %g to %g, found '%.64s'",
				   field->min, field->max, text);
	*(double *)out = value;
	return 0;
}

static int set_work_kind(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	static const char *const words[] = {"lognormal", "pareto", "exponential", "deterministic",
					    "tokens"};
	const char *text = config_scalar(reader, node);

	(void)field;
	for (unsigned i = 0; text && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*(enum work_kind *)out = (enum work_kind)i;
			return 0;
		}
	if (!text)
		return -EINVAL;
	return config_fail(reader, node,
			   "expected lognormal, pareto, exponential, deterministic or tokens, "
			   "found '%.64s'",
			   text);
}

static int set_delays(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	struct scenario_edge *edge = out;

	return config_read_list(reader, field, config_set_ms, sizeof(double), SCENARIO_SITES_MAX,
				node, &edge->delay_s, &edge->delays);
}

static int set_files(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct scenario *scenario = out;

	return config_read_list(reader, field, config_set_text, sizeof(char *), 16, node,
				&scenario->demand.file, &scenario->demand.files);
}

static int set_correction(struct config_reader *reader, const struct config_field *field,
			  const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("node", config_set_text, struct scenario_correction, node),
		CONFIG_RANGE("latitude", set_number, struct scenario_correction, latitude, -90, 90),
		CONFIG_RANGE("longitude", set_number, struct scenario_correction, longitude, -180,
			     180),
	};
	struct scenario_correction *correction = out;

	(void)field;
	correction->latitude = correction->longitude = NAN;
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	if (!correction->node || isnan(correction->latitude) || isnan(correction->longitude))
		return config_fail(reader, node, "expected node, latitude and longitude");
	return 0;
}

static int set_corrections(struct config_reader *reader, const struct config_field *field,
			   const yaml_node_t *node, void *out)
{
	struct scenario *scenario = out;

	return config_read_list(reader, field, set_correction, sizeof(struct scenario_correction),
				64, node, &scenario->topology.correct,
				&scenario->topology.corrections);
}

static int set_topology(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("gml", config_set_text, struct scenario, topology.gml),
		CONFIG_WHOLE("correct", set_corrections),
	};
	struct scenario *scenario = out;

	(void)field;
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	return scenario->topology.gml ? 0 : config_fail(reader, node, "expected gml");
}

static int set_site(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct scenario_site, name),
		CONFIG_FIELD("node", config_set_text, struct scenario_site, node),
		CONFIG_RANGE("latitude", set_number, struct scenario_site, latitude, -90, 90),
		CONFIG_RANGE("longitude", set_number, struct scenario_site, longitude, -180, 180),
		CONFIG_RANGE("servers", config_set_amount, struct scenario_site, servers, 1, 1e6),
		CONFIG_RANGE("service_time_ms", config_set_ms, struct scenario_site, service_time_s,
			     0.001, 1e6),
	};
	struct scenario_site *site = out;

	(void)field;
	site->service_time_s = 0.01;
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	return *site->name && site->servers
		       ? 0
		       : config_fail(reader, node, "expected name and servers");
}

static int set_sites(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct scenario *scenario = out;

	return config_read_list(reader, field, set_site, sizeof(struct scenario_site),
				SCENARIO_SITES_MAX, node, &scenario->site, &scenario->sites);
}

static int set_edge(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct scenario_edge, name),
		CONFIG_FIELD("node", config_set_text, struct scenario_edge, node),
		CONFIG_RANGE("weight", set_number, struct scenario_edge, weight, 0, 1e9),
		{.key = "delay_ms", .set = set_delays, .min = 0, .max = 1e4},
	};
	struct scenario_edge *edge = out;

	(void)field;
	edge->weight = 1;
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	return *edge->name ? 0 : config_fail(reader, node, "expected name");
}

static int set_edges(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct scenario *scenario = out;

	return config_read_list(reader, field, set_edge, sizeof(struct scenario_edge),
				SCENARIO_EDGES_MAX, node, &scenario->edge, &scenario->edges);
}

static int set_demand(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_RANGE("utilisation", set_number, struct scenario, demand.utilisation, 1e-6,
			     10),
		CONFIG_RANGE("swing", set_number, struct scenario, demand.swing, 0, 1),
		CONFIG_RANGE("period_s", set_number, struct scenario, demand.period_s, 0.1, DAY_S),
		CONFIG_RANGE("burst", set_number, struct scenario, demand.burst, 1, 100),
		CONFIG_RANGE("burst_every_s", set_number, struct scenario, demand.burst_every_s,
			     0.01, DAY_S),
		CONFIG_RANGE("burst_for_s", set_number, struct scenario, demand.burst_for_s, 0.01,
			     DAY_S),
		CONFIG_WHOLE("traces", set_files),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_work(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("kind", set_work_kind, struct scenario, work.kind),
		CONFIG_RANGE("scv", set_number, struct scenario, work.scv, 0.001, 1000),
		CONFIG_RANGE("shape", set_number, struct scenario, work.shape, 1.05, 100),
		CONFIG_RANGE("context_ms", config_set_ms, struct scenario, work.context_s, 0, 1e4),
		CONFIG_RANGE("generated_ms", config_set_ms, struct scenario, work.generated_s, 0,
			     1e4),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_telemetry(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_RANGE("interval_ms", config_set_ms, struct scenario, telemetry.interval_s, 1,
			     1e6),
		CONFIG_RANGE("delay_ms", config_set_ms, struct scenario, telemetry.delay_s, 0, 1e6),
		CONFIG_RANGE("loss", set_number, struct scenario, telemetry.loss, 0, 1),
		CONFIG_RANGE("valid_for_ms", config_set_ms, struct scenario, telemetry.valid_for_s,
			     0, 1e7),
		CONFIG_RANGE("demand_ms", config_set_ms, struct scenario, telemetry.demand_s, 1,
			     1e6),
		CONFIG_RANGE("solve_gap_ms", config_set_ms, struct scenario, telemetry.solve_gap_s,
			     0, 1e6),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_event(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_RANGE("at_s", set_number, struct scenario_event, at_s, 0, DAY_S),
		CONFIG_RANGE("for_s", set_number, struct scenario_event, for_s, 0, DAY_S),
		CONFIG_FIELD("site", config_set_text, struct scenario_event, site_name),
		CONFIG_FIELD("lost", config_set_bool, struct scenario_event, lost),
		CONFIG_RANGE("speed", set_number, struct scenario_event, speed, 0.001, 1000),
		CONFIG_RANGE("lag_ms", config_set_ms, struct scenario_event, lag_s, 0, 1e6),
		CONFIG_RANGE("demand", set_number, struct scenario_event, demand, 0, 100),
	};
	struct scenario_event *event = out;

	(void)field;
	*event = (struct scenario_event){.at_s = NAN, .for_s = NAN, .speed = 1, .demand = 1};
	if (CONFIG_READ(reader, fields, node, out) < 0)
		return -EINVAL;
	if (isnan(event->at_s) || isnan(event->for_s))
		return config_fail(reader, node, "expected at_s and for_s");
	return 0;
}

static int set_events(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	struct scenario *scenario = out;

	return config_read_list(reader, field, set_event, sizeof(struct scenario_event),
				SCENARIO_EVENTS_MAX, node, &scenario->event, &scenario->events);
}

static const struct config_field scenario_fields[] = {
	CONFIG_FIELD("name", config_set_name, struct scenario, name),
	CONFIG_RANGE("duration_s", set_number, struct scenario, duration_s, 0.1, DAY_S),
	CONFIG_RANGE("warmup_s", set_number, struct scenario, warmup_s, 0, DAY_S),
	CONFIG_RANGE("timeout_ms", config_set_ms, struct scenario, timeout_s, 1, 1e6),
	CONFIG_RANGE("seed", config_set_unsigned, struct scenario, seed, 0, UINT32_MAX),
	CONFIG_WHOLE("topology", set_topology),
	CONFIG_WHOLE("sites", set_sites),
	CONFIG_WHOLE("edges", set_edges),
	CONFIG_WHOLE("demand", set_demand),
	CONFIG_WHOLE("work", set_work),
	CONFIG_WHOLE("telemetry", set_telemetry),
	CONFIG_WHOLE("events", set_events),
};

static int check_delays(struct config_reader *reader, struct scenario *scenario)
{
	for (unsigned i = 0; i < scenario->edges && !scenario->topology.gml; i++) {
		const struct scenario_edge *edge = &scenario->edge[i];
		char path[48];

		snprintf(path, sizeof(path), "edges[%u]", i);
		if (edge->delays != scenario->sites)
			return config_fail_at(reader, path, "expected %u delays, found %u",
					      scenario->sites, edge->delays);
		memcpy(scenario->delay_s[i], edge->delay_s, edge->delays * sizeof(double));
	}
	return 0;
}

static int check_events(struct config_reader *reader, struct scenario *scenario)
{
	for (unsigned i = 0; i < scenario->events; i++) {
		struct scenario_event *event = &scenario->event[i];
		char path[48];

		event->site = -1;
		for (unsigned k = 0; event->site_name && k < scenario->sites; k++)
			if (strcmp(event->site_name, scenario->site[k].name) == 0)
				event->site = (int)k;
		snprintf(path, sizeof(path), "events[%u].site", i);
		if (event->site_name && event->site < 0)
			return config_fail_at(reader, path,
					      "expected the name of a site, found "
					      "'%.64s'",
					      event->site_name);
	}
	return 0;
}

static int check(struct config_reader *reader, struct scenario *scenario)
{
	double weight = 0;

	if (!*scenario->name || scenario->sites == 0 || scenario->edges == 0)
		return config_fail_at(reader, "", "expected name, sites and edges");
	if ((scenario->work.kind == WORK_TOKENS) != (scenario->demand.files > 0))
		return config_fail_at(reader, "work", "traces and work of kind tokens go together");
	for (unsigned i = 0; i < scenario->edges; i++)
		weight += scenario->edge[i].weight;
	if (!(weight > 0))
		return config_fail_at(reader, "edges", "expected some weight above 0");
	for (unsigned i = 0; i < scenario->edges; i++)
		scenario->edge[i].weight /= weight;
	if (check_delays(reader, scenario) < 0)
		return -EINVAL;
	return check_events(reader, scenario);
}

static int load(struct scenario *scenario, const char *file, struct config_error *error)
{
	struct config_reader reader;
	char *copy = strdup(file), *directory = copy ? dirname(copy) : NULL;
	int result = copy ? config_reader_open(&reader, file, error) : -ENOMEM;

	if (result == 0) {
		result = CONFIG_READ(&reader, scenario_fields,
				     yaml_document_get_root_node(&reader.document), scenario);
		if (result == 0)
			result = check(&reader, scenario);
		config_reader_close(&reader);
	}
	if (result == 0 && scenario->topology.gml)
		result = topology_delays(scenario, directory, error);
	if (result == 0 && scenario->demand.files)
		result = trace_load(scenario, directory, error);
	free(copy);
	return result;
}

int scenario_load(const char *file, struct scenario **out, struct config_error *error)
{
	struct scenario *scenario = calloc(1, sizeof(*scenario));

	if (!scenario)
		return -ENOMEM;
	scenario->duration_s = 60;
	scenario->warmup_s = 5;
	scenario->timeout_s = 1;
	scenario->seed = 1;
	scenario->demand.utilisation = 0.6;
	scenario->demand.period_s = 20;
	scenario->demand.burst = 1;
	scenario->demand.burst_every_s = 5;
	scenario->demand.burst_for_s = 0.5;
	scenario->work.scv = 4;
	scenario->work.shape = 2.2;
	scenario->work.context_s = 0.25e-3;
	scenario->work.generated_s = 20e-3;
	scenario->telemetry.interval_s = 0.1;
	scenario->telemetry.demand_s = 0.02;
	int result = load(scenario, file, error);
	if (result < 0)
		scenario_free(scenario);
	else
		*out = scenario;
	for (unsigned i = 0; result == 0 && i < scenario->edges; i++)
		for (unsigned j = 0; j < scenario->sites; j++)
			scenario->longest_s = fmax(scenario->longest_s, scenario->delay_s[i][j]);
	return result;
}

void scenario_free(struct scenario *scenario)
{
	if (!scenario)
		return;
	for (unsigned i = 0; i < scenario->traces; i++) {
		free(scenario->trace[i].at_s);
		free(scenario->trace[i].work);
	}
	for (unsigned i = 0; i < scenario->events; i++)
		free(scenario->event[i].site_name);
	for (unsigned i = 0; i < scenario->demand.files; i++)
		free(scenario->demand.file[i]);
	for (unsigned i = 0; i < scenario->edges; i++) {
		free(scenario->edge[i].node);
		free(scenario->edge[i].delay_s);
	}
	for (unsigned i = 0; i < scenario->sites; i++)
		free(scenario->site[i].node);
	for (unsigned i = 0; i < scenario->topology.corrections; i++)
		free(scenario->topology.correct[i].node);
	free(scenario->topology.correct);
	free(scenario->topology.gml);
	free(scenario->trace);
	free(scenario->event);
	free(scenario->demand.file);
	free(scenario->edge);
	free(scenario->site);
	free(scenario);
}

double scenario_capacity_per_s(const struct scenario *scenario)
{
	double capacity = 0;

	for (unsigned j = 0; j < scenario->sites; j++)
		capacity += scenario->site[j].servers / scenario->site[j].service_time_s;
	return capacity;
}

double scenario_valid_for_s(const struct scenario *scenario)
{
	double interval_s = scenario->telemetry.interval_s;

	if (scenario->telemetry.valid_for_s > 0)
		return scenario->telemetry.valid_for_s;
	return scenario->longest_s + scenario->telemetry.delay_s +
	       fmin(5 * interval_s, fmax(0.5, 2.5 * interval_s));
}
