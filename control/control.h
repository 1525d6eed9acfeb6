/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All of a running control, for those who show it (answer.c, metrics.c) and for main.c, which
 * builds it up and lets data flow:
 *
 *	UDP, bus -> ingest -> state -> routes -> link -> dataplane
 *	dataplane's counters -> demand -> state, other edges
 *	dataplane's paths -> ways -> state, link
 *	state, routes -> upward -> edges, if this is the gateway of a site
 *	routes, link -> announce -> kernel -> the operator's routing daemon
 *
 * A new configuration (reload.h) replaces what is shaped by the old one, between two events.
 */
#pragma once

#include "announce.h"
#include "demand.h"
#include "discover.h"
#include "ingest_bus.h"
#include "link.h"
#include "paths.h"
#include "routes.h"
#include "rundir.h"
#include "upward.h"
#include "ways.h"

struct control {
	struct event_base *base;
	const char *file; /* of the configuration */
	struct config *config;
	struct key key; /* this node's, if config has one that is used */
	struct rundir rundir;
	struct state state;
	struct demand demand;
	struct routes routes;
	struct upward upward;
	struct link link;
	struct paths paths;
	struct ways ways;
	struct ingest ingest;
	struct ingest_bus bus;
	struct discover discover;
	struct announce announce;
	struct event *interval;
	enum estimate_state *told; /* by site: what the log last said of it */
	double started_s;
	double complete_s;	 /* from the start until every site was heard and the dataplane had
				    all routes; NaN: not yet */
	double solved_s, took_s; /* when news were last solved for, and for how long */
	bool busy;		 /* reports waited to be read when some last were */
	struct event *rested;
	bool started_link;
	unsigned next, next_news; /* services that the next turn begins with: of all once an
				     interval, of those with news */
};

/* Reads the configuration and makes everything but the sockets for people. -errno. */
int control_open(struct control *control, const char *file, struct config_error *error);
void control_close(struct control *control);

/*
 * What a configuration shapes and no socket belongs to: told, state, routes, demand, upward, from
 * control->config and control->key. On failure close it with control_unshape.
 */
int control_shape(struct control *control, struct config_error *error);
void control_unshape(struct control *control);

/* Lets data flow: telemetry is read, the interval turns. */
int control_start(struct control *control);

/* The interval is that of the configuration from now on. 0 or -ENOMEM. */
int control_set_interval(struct control *control);

/* Whether this configuration wants the node's key: it hears or tells somebody. */
bool control_needs_key(const struct config *config);

/* Solves a service now and hands what changed to the link. */
void control_update(struct control *control, unsigned service);

/* Brings what is announced up to now, after such updates. */
void control_announce(struct control *control);
