/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what is known to weights: which sites a service may use now, the shares that the solver
 * gives them, how fast to go there, and whether that is worth a message.
 *
 * Shares of a service always sum to 1, or are all 0 if the operator excluded every site. A
 * share rises by at most a full swing in 250 ms; from a site that may not be used it goes at
 * once. Weights are shares of 1,000,000, exactly 0 below 0.1 %. Pure: time is passed in, the
 * outcome is read from struct route.
 */
#pragma once

#include "solve/solve.h"
#include "state.h"

#define ROUTES_WEIGHT_SUM 1000000

/* Whether a member may get new flows. */
enum routes_use {
	ROUTES_USABLE,
	ROUTES_DRAINED,
	ROUTES_LABEL,  /* lacks one that the service requires */
	ROUTES_DELAY,  /* farther than the service allows */
	ROUTES_PATH,   /* the path there is dead, or held after that */
	ROUTES_SILENT, /* its reports stopped */
	ROUTES_NEVER,  /* it never reported, and others have for as long as a report is valid */
};

/* What the weights of a service stand on. */
enum routes_basis {
	ROUTES_NOTHING,	 /* no site is left: all weights 0 */
	ROUTES_CAPACITY, /* nobody reported yet: shares of configured servers */
	ROUTES_LOAD,	 /* solved from reports */
	ROUTES_HELD,	 /* all reports stopped: the last routes stay */
};

struct route {
	enum routes_basis basis;
	enum routes_use use[SL_CANDIDATES_MAX];
	double target[SL_CANDIDATES_MAX];    /* where the shares are going */
	double share[SL_CANDIDATES_MAX];     /* where they are */
	uint32_t weight[SL_CANDIDATES_MAX];  /* as last published */
	uint32_t standby[SL_CANDIDATES_MAX]; /* if none with a weight is alive (route.h) */
	float wait_s[SL_CANDIDATES_MAX]; /* of one more flow, as last published; and what it adds
					    to that, 0: not known */
	float step_s[SL_CANDIDATES_MAX];
	unsigned draws;				  /* of which a flow takes the best, by that */
	double told_s;				  /* when these were published */
	double arrivals_per_s[SL_CANDIDATES_MAX]; /* at the site, by all edges and others */
	double response_s[SL_CANDIDATES_MAX];	  /* predicted at that; NaN: no report */
	double marginal_s[SL_CANDIDATES_MAX];	  /* with the path delay; NaN: no report */
	double predicted_s; /* mean delay + response of this node's flows; NaN: no report */
	/* What the published weights cost each of this node's flows above the optimum of the
	 * model, for all flows that meet them; NaN: nothing is known, or no flow comes. */
	double regret_s;
	/* Targets of one to two seconds ago: what "the last routes" are once all reports have
	 * stopped, since the one that stopped last had everything for a moment. */
	double past[2][SL_CANDIDATES_MAX];
	double past_s;		      /* when past[0] was taken; 0: never */
	double first_s;		      /* when the first site ever reported; 0: none did */
	double heard_s;		      /* first report after all had stopped; 0: none since */
	double moved_s;		      /* when the shares last moved; 0: never */
	double predicted_at_s, all_s; /* when the members were predicted, when last all of them */
	solve_row *x;		      /* by edge, this one included, sorted by name */
};

struct routes {
	struct state *state;
	unsigned edges;			  /* with this node */
	unsigned own;			  /* its row */
	int order[SOLVE_EDGES_MAX];	  /* row -> config.edge, -1: this node */
	bool settled;			  /* false: shares jump */
	uint64_t solved, rounds, refused; /* counts */
	struct route *service;
};

int routes_open(struct routes *routes, struct state *state);
void routes_close(struct routes *routes);

/* Brings one service up to now. True if its weights changed enough to be published. */
bool routes_update(struct routes *routes, unsigned service, double now_s);

/* Why a member has the share it has, for people: "used", "dearer by 3.2 ms", "drained", ... */
void routes_why(const struct routes *routes, unsigned service, unsigned member, double now_s,
		char *out, size_t bytes);

/* Share of new flows by the published weights. */
double routes_published_share(const struct routes *routes, unsigned service, unsigned member);
