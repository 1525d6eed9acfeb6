/* SPDX-License-Identifier: BSD-3-Clause */
#include "gml.h"
#include "scenario.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct config_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(struct config_error *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static void note(struct scenario *scenario, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct scenario *scenario, const char *format, ...)
{
	size_t length = strlen(scenario->notes);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(scenario->notes + length, sizeof(scenario->notes) - length, format, arguments);
	va_end(arguments);
}

static int correct(struct scenario *scenario, struct gml *gml, struct config_error *error)
{
	for (unsigned i = 0; i < scenario->topology.corrections; i++) {
		const struct scenario_correction *c = &scenario->topology.correct[i];
		int node = gml_find(gml, c->node);

		if (node < 0)
			return fail(error, "topology.correct: no node '%.64s' in %.200s", c->node,
				    scenario->topology.gml);
		note(scenario, "%s: coordinates put right, from %.2f N %.2f E to %.2f N %.2f E\n",
		     c->node, gml->node[node].latitude, gml->node[node].longitude, c->latitude,
		     c->longitude);
		gml->node[node].latitude = c->latitude;
		gml->node[node].longitude = c->longitude;
	}
	for (unsigned i = 0; i < gml->nodes; i++)
		if (!gml_placed(gml, i))
			note(scenario, "%s: no coordinates, left out with its links\n",
			     gml->node[i].label);
	return 0;
}

/* Where a site hangs: at its node, or by a spur of fibre from its own place. */
static int place_site(const struct scenario_site *site, const struct gml *gml, double *spur_s)
{
	*spur_s = 0;
	if (site->node)
		return gml_find(gml, site->node);
	return gml_nearest(gml, site->latitude, site->longitude, spur_s);
}

static int delays_of_edge(struct scenario *scenario, const struct gml *gml, unsigned i,
			  struct config_error *error)
{
	static double delay_s[GML_NODES_MAX];
	const struct scenario_edge *edge = &scenario->edge[i];
	int from = edge->node ? gml_find(gml, edge->node) : -1;

	if (from < 0)
		return fail(error, "edges[%u].node: no node '%.64s' in %.200s", i, edge->node ?: "",
			    scenario->topology.gml);
	gml_delays(gml, (unsigned)from, delay_s);
	for (unsigned j = 0; j < scenario->sites; j++) {
		double spur_s;
		int to = place_site(&scenario->site[j], gml, &spur_s);

		if (to < 0 || !isfinite(delay_s[to]))
			return fail(error, "sites[%u]: no way from %.32s", j, edge->name);
		scenario->delay_s[i][j] = delay_s[to] + spur_s;
	}
	return 0;
}

int topology_delays(struct scenario *scenario, const char *directory, struct config_error *error)
{
	struct gml *gml = calloc(1, sizeof(*gml));
	char file[512];
	int result = gml ? 0 : -ENOMEM;

	snprintf(file, sizeof(file), "%s%s%s", *scenario->topology.gml == '/' ? "" : directory,
		 *scenario->topology.gml == '/' ? "" : "/", scenario->topology.gml);
	if (result == 0)
		result = gml_read(gml, file);
	if (result > 0)
		result = fail(error, "%.200s:%d: not the GML of a graph", file, result);
	else if (result < 0)
		snprintf(error->text, sizeof(error->text), "%.200s: %s", file, strerror(-result));
	if (result == 0)
		result = correct(scenario, gml, error);
	for (unsigned i = 0; result == 0 && i < scenario->edges; i++)
		result = delays_of_edge(scenario, gml, i, error);
	free(gml);
	return result;
}
