/* SPDX-License-Identifier: BSD-3-Clause */
#include "choose_pair.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The lowest finite score but one; -1 if there is none. */
static int lowest_but(const uint32_t *score, uint32_t candidates, int but)
{
	uint32_t lowest = CHOOSE_INFINITE;
	int place = -1;

	for (uint32_t i = 0; i < candidates; i++) {
		bool lower = score[i] < lowest && (int)i != but;
		lowest = lower ? score[i] : lowest;
		place = lower ? (int)i : place;
	}
	return place;
}

static float to_wait(const struct choose_load *load, int i)
{
	return load->backlog_s[i] +
	       load->step_s[i] * (load->sent[i] - load->share[i] * load->sent_all);
}

int choose_pair(const struct choose_set *set, struct choose_load *load, uint64_t hash)
{
	uint32_t score[SL_CANDIDATES_MAX];

	for (uint32_t at = 0; at < set->candidates; at += CHOOSE_LANES) {
		choose_bits scores = choose_scores(set, hash, at);
		memcpy(&score[at], &scores, sizeof(scores));
	}
	int best = lowest_but(score, set->candidates, -1);
	int second = lowest_but(score, set->candidates, best);
	if (best < 0)
		return -1;
	if (second >= 0 && to_wait(load, second) < to_wait(load, best))
		best = second;
	load->sent[best]++;
	load->sent_all++;
	return best;
}

void choose_forget(struct choose_load *load, float keep)
{
	for (uint32_t i = 0; i < SL_CANDIDATES_MAX; i++)
		load->sent[i] *= keep;
	load->sent_all *= keep;
}
