/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The site of a new flow: weighted rendezvous hashing (Thaler and Ravishankar 1998;
 * weights by the exponential draw, -ln(u) / w, smallest wins).
 *
 * Over many flows each candidate gets its weight's share (within 0.04 %); a changed weight moves
 * only the flows it must; there is no table to build. The draw of a candidate depends on
 * the flow's hash and the candidate's own key alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <suanlu/route.h>

#define CHOOSE_GROUP 16 /* padded to whole groups, the widest vector there is */

struct choose_set {
	uint32_t candidates;				      /* 0..SL_CANDIDATES_MAX */
	_Alignas(64) uint32_t key[SL_CANDIDATES_MAX];	      /* choose_key of the site's name */
	_Alignas(64) float inverse_weight[SL_CANDIDATES_MAX]; /* infinite: takes no new flow */
	uint16_t member[SL_CANDIDATES_MAX];
};
_Static_assert(SL_CANDIDATES_MAX % CHOOSE_GROUP == 0, "whole groups");

uint32_t choose_key(const char *site);

/* Adds a candidate; weight 0 never wins. */
void choose_add(struct choose_set *set, const char *site, uint32_t weight, uint16_t member);

/* Another weight for a candidate (below set->candidates). */
void choose_weigh(struct choose_set *set, unsigned candidate, uint32_t weight);

/* Index of the winner, -1 if no candidate has weight. Forms with and without fused
 * multiply-add may differ where two scores do by less than 1e-6 of them. */
static inline int choose(const struct choose_set *set, uint64_t hash);

/*
 * The same in two steps where all candidates are one group, to be taken apart in a loop over flows:
 * choose_winner(choose_group(set, hash, 0)).
 */
static inline bool choose_is_few(const struct choose_set *set);

/* The score of a candidate (below set->candidates), to explain a choice: -log2(u) / weight. */
float choose_score(const struct choose_set *set, uint64_t hash, unsigned candidate);

#include "choose_form.h"
