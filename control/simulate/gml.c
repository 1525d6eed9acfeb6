/* SPDX-License-Identifier: BSD-3-Clause */
#include "gml.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EARTH_KM 6371.0
#define CABLE 1.4 /* length of cable per length of great circle */
#define FIBRE_S_PER_KM 5e-6
#define DEGREE (M_PI / 180)
#define WORD_MAX 256

struct reader {
	FILE *stream;
	int line;
	char word[WORD_MAX];
};

/* A key, a number, a string without its quotes, or a bracket. */
static bool next_word(struct reader *reader)
{
	unsigned length = 0;
	int c;

	do {
		c = getc(reader->stream);
		while (c == '#') /* a comment, to the end of its line */
			while ((c = getc(reader->stream)) != '\n' && c != EOF)
				;
		reader->line += c == '\n';
	} while (isspace(c));
	if (c == EOF)
		return false;
	bool quoted = c == '"';
	for (c = quoted ? getc(reader->stream) : c; c != EOF; c = getc(reader->stream)) {
		if (quoted ? c == '"' : isspace(c))
			break;
		reader->line += c == '\n';
		if (length < WORD_MAX - 1)
			reader->word[length++] = (char)c;
	}
	reader->line += !quoted && c == '\n';
	reader->word[length] = '\0';
	return true;
}

static bool word_is(const struct reader *reader, const char *word)
{
	return strcmp(reader->word, word) == 0;
}

/* The rest of a list whose "[" was read. */
static bool skip_list(struct reader *reader)
{
	unsigned depth = 1;

	while (depth > 0 && next_word(reader))
		depth += word_is(reader, "[") ? 1 : word_is(reader, "]") ? -1u : 0;
	return depth == 0;
}

static bool number(struct reader *reader, double *out)
{
	char *end;

	*out = strtod(reader->word, &end);
	return end != reader->word && *end == '\0' && isfinite(*out);
}

static bool whole(struct reader *reader, int *out)
{
	double value;

	if (!number(reader, &value) || value != floor(value) || fabs(value) > 1e9)
		return false;
	*out = (int)value;
	return true;
}

static bool read_value(struct reader *reader, const char *key, struct gml_node *node, int *ends)
{
	if (word_is(reader, "["))
		return skip_list(reader);
	if (strcmp(key, "id") == 0)
		return whole(reader, &node->id);
	if (strcmp(key, "source") == 0)
		return whole(reader, &ends[0]);
	if (strcmp(key, "target") == 0)
		return whole(reader, &ends[1]);
	if (strcmp(key, "Latitude") == 0)
		return number(reader, &node->latitude) && fabs(node->latitude) <= 90;
	if (strcmp(key, "Longitude") == 0)
		return number(reader, &node->longitude) && fabs(node->longitude) <= 180;
	if (strcmp(key, "label") == 0)
		snprintf(node->label, sizeof(node->label), "%.63s", reader->word);
	return true;
}

/* node [ ... ] or edge [ ... ]: the keys of both are read alike. */
static bool read_item(struct reader *reader, struct gml_node *node, int *ends)
{
	char key[WORD_MAX];

	*node = (struct gml_node){.id = -1, .latitude = NAN, .longitude = NAN};
	ends[0] = ends[1] = -1;
	if (!next_word(reader) || !word_is(reader, "["))
		return false;
	while (next_word(reader)) {
		if (word_is(reader, "]"))
			return true;
		memcpy(key, reader->word, sizeof(key));
		if (!next_word(reader) || !read_value(reader, key, node, ends))
			return false;
	}
	return false;
}

static bool read_graph(struct gml *gml, struct reader *reader)
{
	struct gml_node node;
	int ends[2];

	while (next_word(reader)) {
		if (word_is(reader, "]"))
			return true;
		bool is_node = word_is(reader, "node"), is_link = word_is(reader, "edge");
		if (!is_node && !is_link) {
			if (!next_word(reader) || (word_is(reader, "[") && !skip_list(reader)))
				return false;
			continue;
		}
		if (!read_item(reader, &node, ends) || gml->nodes == GML_NODES_MAX ||
		    gml->links == GML_LINKS_MAX)
			return false;
		if (is_node) {
			gml->node[gml->nodes++] = node;
		} else {
			gml->link[gml->links].source = ends[0];
			gml->link[gml->links++].target = ends[1];
		}
	}
	return false;
}

int gml_read(struct gml *gml, const char *file)
{
	struct reader reader = {.stream = fopen(file, "re"), .line = 1};
	bool good = false;

	if (!reader.stream)
		return -errno;
	gml->nodes = gml->links = 0;
	while (next_word(&reader)) {
		bool graph = word_is(&reader, "graph");
		if (!next_word(&reader))
			break;
		if (!graph)
			continue;
		good = word_is(&reader, "[") && read_graph(gml, &reader);
		break;
	}
	fclose(reader.stream);
	return good ? 0 : reader.line;
}

int gml_find(const struct gml *gml, const char *label)
{
	for (unsigned i = 0; i < gml->nodes; i++)
		if (strcmp(gml->node[i].label, label) == 0)
			return (int)i;
	return -1;
}

bool gml_placed(const struct gml *gml, unsigned node)
{
	return isfinite(gml->node[node].latitude) && isfinite(gml->node[node].longitude);
}

double gml_fibre_s(double latitude1, double longitude1, double latitude2, double longitude2)
{
	double a = sin((latitude2 - latitude1) * DEGREE / 2);
	double b = sin((longitude2 - longitude1) * DEGREE / 2);
	double h = a * a + cos(latitude1 * DEGREE) * cos(latitude2 * DEGREE) * b * b;

	return 2 * EARTH_KM * asin(fmin(1, sqrt(h))) * CABLE * FIBRE_S_PER_KM; /* haversine */
}

int gml_nearest(const struct gml *gml, double latitude, double longitude, double *delay_s)
{
	int nearest = -1;

	*delay_s = INFINITY;
	for (unsigned i = 0; i < gml->nodes; i++) {
		if (!gml_placed(gml, i))
			continue;
		double there_s = gml_fibre_s(latitude, longitude, gml->node[i].latitude,
					     gml->node[i].longitude);
		if (there_s < *delay_s) {
			*delay_s = there_s;
			nearest = (int)i;
		}
	}
	return nearest;
}

static int by_id(const struct gml *gml, int id)
{
	for (unsigned i = 0; i < gml->nodes; i++)
		if (gml->node[i].id == id)
			return (int)i;
	return -1;
}

static bool shorten(const struct gml *gml, int from, int to, double *delay_s)
{
	if (from < 0 || to < 0 || !gml_placed(gml, (unsigned)from) ||
	    !gml_placed(gml, (unsigned)to))
		return false;
	const struct gml_node *a = &gml->node[from], *b = &gml->node[to];
	double there_s =
		delay_s[from] + gml_fibre_s(a->latitude, a->longitude, b->latitude, b->longitude);
	if (!(there_s < delay_s[to]))
		return false;
	delay_s[to] = there_s;
	return true;
}

/* Bellman (1958) and Ford: backbones are small. */
void gml_delays(const struct gml *gml, unsigned from, double *delay_s)
{
	for (unsigned i = 0; i < gml->nodes; i++)
		delay_s[i] = INFINITY;
	if (!gml_placed(gml, from))
		return;
	delay_s[from] = 0;
	for (bool shorter = true; shorter;) {
		shorter = false;
		for (unsigned k = 0; k < gml->links; k++) {
			int a = by_id(gml, gml->link[k].source);
			int b = by_id(gml, gml->link[k].target);
			shorter |= shorten(gml, a, b, delay_s);
			shorter |= shorten(gml, b, a, delay_s);
		}
	}
}
