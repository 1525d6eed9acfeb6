/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where control knows what a flow would wait for, each goes to the best of d draws: a second
 * choice makes the longest queue exponentially shorter (Mitzenmacher 2001), and as all are drawn by
 * weight, nobody herds to the site that looks best.
 *
 * For as long as waits stand, the best of d draws is one draw by other weights, so that a flow
 *costs no more than without:
 *
 *	p_j = w_j (A_j^d - B_j^d) / (A_j - B_j) = w_j (A_j^(d-1) + A_j^(d-2) B_j + .. + B_j^(d-1))
 *
 * w_j: the share of candidate j. A_j, B_j: the shares of all that wait for as long as it or longer,
 * and only longer. A wait is control's prediction and, since then, what this worker sent there
 * beyond its share.
 */
#pragma once

#include "choose.h"
#include <suanlu/counters.h>

#define PREFER_US 50 /* waits stand for so long: then a million flows a second cost no more */

/* Of a service; only read once it is made. */
struct prefer {
	bool known; /* waits are, of all that have weight; and that is more than one */
	uint16_t draws;
	float share[SL_CANDIDATES_MAX];
	float wait_s[SL_CANDIDATES_MAX]; /* to begin with */
	float step_s[SL_CANDIDATES_MAX]; /* what a flow there adds to it */
	float fall_s[SL_CANDIDATES_MAX]; /* what a flow takes off it, wherever it goes */
};

/* A worker's own of a service: rw by it, begun by main. */
struct choice {
	struct choose_set set;
	uint64_t due; /* when waits are looked at again, on the worker's clock */
	uint64_t sent[SL_CANDIDATES_MAX]; /* new flows when it began */
};

/* set: by weight. step_s 0: nothing is known of that candidate. draws >= 1. */
void prefer_init(struct prefer *prefer, const struct choose_set *set, const float *wait_s,
		 const float *step_s, unsigned draws);

/* counters: of the worker, by set->member. */
void prefer_begin(struct choice *choice, const struct prefer *prefer, const struct choose_set *set,
		  const struct sl_member_counters *counters);
void prefer_renew(struct choice *choice, const struct prefer *prefer,
		  const struct sl_member_counters *counters);
