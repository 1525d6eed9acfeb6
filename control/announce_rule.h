/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the host route of one service address is in the kernel.
 *
 * It goes in when the address is ready, but not within ANNOUNCE_REST_S of its last
 * withdrawal, so that a neighbour sees at most one change a second. It goes out once it has
 * been seen not ready for as long as the patience with the reason of now (seen: a control that
 * stood still for a while has not yet read what came meanwhile):
 *
 *	no site may be used (drained, too far, lacks a label)	none
 *	no site is heard				endless: the last routes stay, and so does
 *this. Silence of all is more often ours than theirs, and must not take a service off the whole
 *network the dataplane does not acknowledge		ANNOUNCE_DATAPLANE_S
 *
 * Pure: time is passed in and never runs backwards.
 */
#pragma once

#include <stdbool.h>

#define ANNOUNCE_REST_S 1.0
#define ANNOUNCE_DATAPLANE_S 2.0 /* a restart takes less */

/* From worst to best: of an address with several services the best counts. */
enum announce_need {
	ANNOUNCE_EXCLUDED,   /* no service has a site that may be used */
	ANNOUNCE_SILENT,     /* one has, but reports of all such sites stopped or never came */
	ANNOUNCE_UNANSWERED, /* one has a usable site, but no dataplane that acknowledges */
	ANNOUNCE_READY,
};

struct announce_rule {
	bool on;
	double lost_s; /* since when it is seen not ready; negative: it is ready */
	double off_s;  /* of the last withdrawal; negative: none */
};

/* `on`: the kernel has the route already, from an earlier run. */
void announce_rule_init(struct announce_rule *rule, bool on, double now_s);

/* True if rule->on changed. */
bool announce_rule_update(struct announce_rule *rule, enum announce_need need, double now_s);

/* Why an address is not ready, for people. */
const char *announce_need_text(enum announce_need need);
