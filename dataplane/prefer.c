/* SPDX-License-Identifier: BSD-3-Clause */
#include "prefer.h"
#include <math.h>
#include <string.h>

void prefer_init(struct prefer *prefer, const struct choose_set *set, const float *wait_s,
		 const float *step_s, unsigned draws)
{
	unsigned with_weight = 0, known = 0;
	float sum = 0;

	memset(prefer, 0, sizeof(*prefer));
	prefer->draws = (uint16_t)draws;
	for (uint32_t i = 0; i < set->candidates; i++) {
		bool has_weight = isfinite(set->inverse_weight[i]);

		prefer->share[i] = has_weight ? 1 / set->inverse_weight[i] : 0;
		sum += prefer->share[i];
		with_weight += has_weight;
		known += has_weight && step_s[i] > 0;
	}
	prefer->known = known == with_weight && known > 1;
	for (uint32_t i = 0; prefer->known && i < set->candidates; i++) {
		prefer->share[i] /= sum;
		prefer->wait_s[i] = wait_s[i];
		prefer->step_s[i] = step_s[i];
		prefer->fall_s[i] = step_s[i] * prefer->share[i];
	}
}

void prefer_begin(struct choice *choice, const struct prefer *prefer, const struct choose_set *set,
		  const struct sl_member_counters *counters)
{
	choice->set = *set;
	for (uint32_t i = 0; i < set->candidates; i++)
		choice->sent[i] =
			__atomic_load_n(&counters[set->member[i]].new_flows, __ATOMIC_RELAXED);
	choice->due = 0;
	prefer_renew(choice, prefer, counters);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PREFER_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PREFER_CLONES
#endif

/* A group of candidates at once, by the compiler's vectors. */
typedef float floats __attribute__((vector_size(4 * CHOOSE_GROUP)));
typedef int32_t ints __attribute__((vector_size(4 * CHOOSE_GROUP)));

/* What flows now wait for at each candidate. */
static void predict(const struct choice *choice, const struct prefer *prefer,
		    const struct sl_member_counters *counters, float *wait_s)
{
	const struct choose_set *set = &choice->set;
	int32_t all = 0;

	for (uint32_t i = 0; i < set->candidates; i++) {
		int32_t sent = (int32_t)(counters[set->member[i]].new_flows - choice->sent[i]);

		wait_s[i] = prefer->wait_s[i] + prefer->step_s[i] * (float)sent;
		all += sent;
	}
	for (uint32_t i = 0; i < set->candidates; i++)
		wait_s[i] -= prefer->fall_s[i] * (float)all;
}

PREFER_CLONES void prefer_renew(struct choice *choice, const struct prefer *prefer,
				const struct sl_member_counters *counters)
{
	struct choose_set *set = &choice->set;
	_Alignas(64) float wait_s[SL_CANDIDATES_MAX] = {0};

	if (!prefer->known) {
		choice->due = UINT64_MAX;
		return;
	}
	predict(choice, prefer, counters, wait_s);
	for (uint32_t at = 0; at < set->candidates; at += CHOOSE_GROUP) {
		floats wait, share, as_long = {0}, longer = {0}, none = {0};
		floats bent = none + 1, power = none + 1;

		memcpy(&wait, &wait_s[at], sizeof(wait));
		memcpy(&share, &prefer->share[at], sizeof(share));
		for (uint32_t k = 0; k < set->candidates; k++) {
			floats there = none + wait_s[k];
			ints part = (ints)(none + prefer->share[k]);

			as_long += (floats)(part & (there >= wait));
			longer += (floats)(part & (there > wait));
		}
		for (unsigned d = 1; d < prefer->draws; d++) {
			power *= as_long;
			bent = bent * longer + power;
		}
		share = 1 / (share * bent); /* infinite without a weight */
		memcpy(&set->inverse_weight[at], &share, sizeof(share));
	}
}
