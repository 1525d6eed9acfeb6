/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection to the dataplane (suanlu/route.h): it keeps the dataplane at the weights
 * that link_set was last told, over restarts of either side.
 *
 * After each connect and each new configuration a full update goes out (HELLO, the node, every
 * service, SYNC), then only what changed. A service has at most one message unanswered; weights
 * that change meanwhile wait and go out together with the answer's arrival. Called in control's
 * event loop.
 */
#pragma once

#include "reaction.h"
#include <event2/event.h>
#include <suanlu/config.h>
#include <sys/un.h>

struct link_service {
	uint32_t weight[SL_CANDIDATES_MAX];
	uint32_t standby[SL_CANDIDATES_MAX];
	float wait_s[SL_CANDIDATES_MAX], step_s[SL_CANDIDATES_MAX]; /* as in the message */
	uint16_t draws;
	bool pending;				 /* in the queue to be sent */
	bool unanswered;			 /* sent, no answer yet */
	bool again;				 /* changed since it was sent */
	bool refused;				 /* by the last answer */
	uint64_t generation;			 /* of the last message sent; 0: none */
	uint64_t acknowledged;			 /* the last one that the dataplane uses; 0: none */
	struct reaction_cause cause, sent_cause; /* of what waits; of what is unanswered */
};

/* A path that the dataplane is to probe, or has been told not to any more. */
struct link_path {
	struct sl_msg_path message;
	bool pending, ended;
};

/* How packets reach a site now. */
struct link_ways {
	struct sl_via via[SL_INNER_FAMILIES], second[SL_INNER_FAMILIES];
};

enum link_phase {
	LINK_DOWN,
	LINK_HELLO,   /* connected, HELLO is to be sent */
	LINK_NODE,    /* then SL_MSG_NODE */
	LINK_FILLING, /* services of the full update, then SYNC */
	LINK_UP,
};

struct link {
	struct event_base *base;
	const struct config *config;
	struct sockaddr_un address;
	struct reaction reaction, whole; /* from arrival, from measurement */
	enum link_phase phase;
	int fd;
	struct event *readable, *writable, *retry;
	unsigned backoff_ms;
	bool told_lost, told_up; /* logged since it changed */
	uint64_t generation;
	uint64_t node;	/* generation of the last SL_MSG_NODE; 0: answered */
	uint64_t stale; /* answers up to this generation are of an earlier configuration */
	uint64_t connects, sent, acknowledged, refused;
	struct link_service *service;
	unsigned *queue; /* ring of pending services */
	unsigned queued, first;
	struct link_ways *ways; /* by site */
	struct link_path *path;
	unsigned paths;
};

int link_open(struct link *link, struct event_base *base, const struct config *config);
void link_close(struct link *link);

/*
 * Goes over to another configuration, without a break: next was opened with it and has been told
 * all weights. Afterwards next holds what the link had before; the caller closes it.
 */
void link_reload(struct link *link, struct link *next);

/* Connected, if not yet answered. */
static inline bool link_is_up(const struct link *link)
{
	return link->phase != LINK_DOWN;
}

/* Connects, and goes on trying; before it, weights are only remembered. */
void link_start(struct link *link);

/* Answers that are here, while there is more to do: changes may be waiting for them. */
void link_take(struct link *link);

/* Probe this path, by its name; ways that changed take the place of those before. 0 or -ENOMEM. */
int link_path(struct link *link, const struct sl_msg_path *message);
void link_path_end(struct link *link, const struct sl_path_name *name);

/* Other ways to a site than its configured one; services that use it are sent again. */
void link_ways(struct link *link, unsigned site, const struct sl_via *via,
	       const struct sl_via *second);

/* What members get if none with a weight is alive (route.h); goes out with the next link_set. */
void link_standby(struct link *link, unsigned service, const uint32_t *standby);

/* What flows wait for, by site too, and the best of how many draws they take; goes out with the
 * next link_set. */
void link_know(struct link *link, unsigned service, const float *wait_s, const float *step_s,
	       unsigned draws);

/* New weights of a service, by its config.service[].site order. */
void link_set(struct link *link, unsigned service, const uint32_t *weight,
	      struct reaction_cause cause);
