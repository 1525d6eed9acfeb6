/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An experiment, which the worker does not do: of the two best draws of weighted rendezvous the
 * one with less to wait for. Two choices make the longest queue exponentially shorter
 * (Mitzenmacher 2001); as candidates are drawn by weight, nobody herds to the site that looks best.
 */
#pragma once

#include "../../dataplane/choose.h"

/* What is known of the candidates beyond their weights. All but sent is control's. */
struct choose_load {
	float backlog_s[SL_CANDIDATES_MAX]; /* to drain what is at the site, predicted */
	float step_s[SL_CANDIDATES_MAX];    /* what a flow adds to it */
	float share[SL_CANDIDATES_MAX];	    /* weight / sum of weights */
	float sent[SL_CANDIDATES_MAX], sent_all;
};

/*
 * What a flow waits for: backlog + step (sent - share sent_all). Counts the chosen one as sent.
 * -1 as choose().
 */
int choose_pair(const struct choose_set *set, struct choose_load *load, uint64_t hash);

/* Forgets what was sent by keep, 0..1: exp(-elapsed / CHOOSE_FORGET_S), when control writes. */
void choose_forget(struct choose_load *load, float keep);
#define CHOOSE_FORGET_S 0.06
