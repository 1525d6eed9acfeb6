/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sites that announce themselves (RFC 10054 R1). An announcement comes in a report of its site, by
 * UDP or on the bus, and has with it the approval of an operator whose key is configured
 * (telemetry/approval.h). Whatever the site says, the bounds of the approval hold: a service that
 * it may not offer is left out, a SID outside refuses the announcement. What is announced is merged
 * into a copy of the configuration, to which control then goes over as at a reload: candidates
 * come and go, and nothing else changes.
 *
 * An announcement counts until its validity ends. Called in control's event loop.
 */
#pragma once

#include "state.h"
#include "telemetry/approval.h"
#include "telemetry/plausible.h"

#define DISCOVER_SITES_MAX 2048

#define DISCOVER_RESULTS(X)                                                                       \
	X(TAKEN, "taken")                                                                         \
	X(UNAPPROVED, "unapproved") /* no approval by an operator of the configuration */         \
	X(FORGED, "forged")	    /* the approval or the report is not what was signed */       \
	X(EXPIRED, "expired")	    /* the approval is over, or the announcement too old */       \
	X(NAME, "name")		    /* another site has the name or the key, or it is not of its  \
				       approval */                                                \
	X(SID, "sid")		    /* none, outside of the approval, or no way away from here */ \
	X(FULL, "full")		    /* more sites than there is room for, or too many a second */

enum discover_result {
#define X(name, text) DISCOVER_##name,
	DISCOVER_RESULTS(X)
#undef X
		DISCOVER_RESULT_COUNT
};

struct discover_site {
	struct approval approval;
	uint8_t approval_hash[32];
	char service[PLAUSIBLE_OFFERS_MAX][SL_NAME_MAX]; /* that it may offer and does */
	unsigned services;
	uint32_t servers; /* the most of any service, within the approval */
	struct in6_addr sid[SL_INNER_FAMILIES];
	bool has_sid[SL_INNER_FAMILIES];
	double heard_s, valid_until_s;
	char denied[SL_NAME_MAX]; /* a service that it announces and may not offer; "": none */
	char refused[64];	  /* why its last announcement was not taken; "": it was */
};

struct discover {
	struct state *state;
	struct discover_site **site;
	unsigned sites;
	bool changed, told_full;
	double merged_s;
	uint64_t due_us; /* of strangers: when all so far would have come at their rate */
	uint64_t count[DISCOVER_RESULT_COUNT], denied;
	double logged_s[DISCOVER_RESULT_COUNT];
};

const char *discover_result_text(enum discover_result result);

void discover_open(struct discover *discover, struct state *state);
void discover_close(struct discover *discover);

/*
 * A datagram whose key nobody knows. `name`: of its subject on the bus; NULL by UDP. Signatures of
 * 100 strangers a second are checked. from: for the log.
 */
void discover_stranger(struct discover *discover, const uint8_t *data, size_t bytes,
		       const char *name, const char *from, uint64_t now_us, double now_s);

/* A verified report of a discovered site that has an announcement in it. */
void discover_report(struct discover *discover, unsigned site, const Suanlu__Report *report,
		     uint64_t now_us, double now_s);

/* Forgets what is over. True if a merge is due: not more often than each 0.2 s. */
bool discover_step(struct discover *discover, uint64_t now_us, double now_s);

/* Adds all sites that count to a configuration of the file alone. 0 or -ENOMEM. */
int discover_merge(struct discover *discover, struct config *config, double now_s);
