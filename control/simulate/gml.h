/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network from a GML file (Himsolt 1997; as the Internet Topology Zoo writes it): nodes with
 * label, Latitude and Longitude, edges with source and target. A link's delay is that of
 * its fibre: great circle x 1.4 x 5 us/km. A node without coordinates cannot be placed, so it and
 * its links are left out; wrong ones are put right by the caller before gml_delays.
 */
#pragma once

#include <stdbool.h>

#define GML_NODES_MAX 1024
#define GML_LINKS_MAX 8192

struct gml_node {
	int id;
	char label[64];
	double latitude, longitude; /* NaN: not given */
};

struct gml {
	struct gml_node node[GML_NODES_MAX];
	unsigned nodes;
	struct {
		int source, target; /* ids */
	} link[GML_LINKS_MAX];
	unsigned links;
};

/* 0, or the number of the line that is not understood, or -errno. */
int gml_read(struct gml *gml, const char *file);

int gml_find(const struct gml *gml, const char *label); /* index, -1: none */
bool gml_placed(const struct gml *gml, unsigned node);

/* The placed node nearest to a point, and the delay of fibre to there; -1 if none is placed. */
int gml_nearest(const struct gml *gml, double latitude, double longitude, double *delay_s);

/* One-way delay of fibre between two points. */
double gml_fibre_s(double latitude1, double longitude1, double latitude2, double longitude2);

/* Least delay from one node to all, over placed nodes; infinite where there is no way. */
void gml_delays(const struct gml *gml, unsigned from, double *delay_s);
