/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telemetry in from the bus: what its threads put into the inbox is verified in control's loop, at
 * most INGEST_BURST messages before the loop turns again. Losing the bus changes nothing but
 * ages: the last reports go on counting until their validity ends, and then the last routes stay.
 */
#pragma once

#include "inbox.h"
#include "ingest.h"
#include "telemetry/bus.h"

enum ingest_bus_told { INGEST_BUS_UNKNOWN, INGEST_BUS_UP, INGEST_BUS_DOWN };

struct ingest_bus {
	struct ingest *ingest;
	struct bus *bus; /* NULL: none configured */
	struct inbox *inbox;
	struct event *readable;
	struct inbox_message *message; /* room for one */
	uint64_t elsewhere;	       /* messages of nodes that are not configured here */
	uint64_t lost_told;
	double lost_told_s;
	enum ingest_bus_told told; /* what was logged last of the connection */
	double told_due_s;	   /* when all lines so far would have come at their rate */
	char told_error[BUS_ERROR_TEXT];
};

/* If there is a `bus` in the configuration; the start connects. */
int ingest_bus_open(struct ingest_bus *in, struct ingest *ingest, const struct config *config,
		    struct config_error *error);
void ingest_bus_close(struct ingest_bus *in);
int ingest_bus_start(struct ingest_bus *in, struct event_base *base);

/* All last values of the bucket were taken; true without a bus. */
bool ingest_bus_complete(struct ingest_bus *in);

/* One line for each change of the connection or complaint, each 10 s in the mean and four at once;
 * and for what it loses, at most each 10 s. */
void ingest_bus_log(struct ingest_bus *in, double now_s);
