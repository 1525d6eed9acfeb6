/* SPDX-License-Identifier: BSD-3-Clause */
#include "reaction.h"
#include <math.h>

#define PER_OCTAVE 8

static unsigned bucket_of(double us)
{
	double bucket = us > 1 ? ceil(log2(us) * PER_OCTAVE) : 0;

	return bucket < REACTION_BUCKETS - 1 ? (unsigned)bucket : REACTION_BUCKETS - 1;
}

void reaction_add(struct reaction *reaction, uint64_t ns)
{
	reaction->count++;
	reaction->sum_ns += ns;
	reaction->bucket[bucket_of((double)ns / 1000)]++;
}

double reaction_quantile_us(const struct reaction *reaction, double quantile)
{
	double rank = quantile * (double)reaction->count;
	uint64_t seen = 0;
	unsigned i;

	if (reaction->count == 0)
		return 0;
	for (i = 0; i < REACTION_BUCKETS - 1; i++) {
		seen += reaction->bucket[i];
		if (seen > 0 && (double)seen >= rank)
			break;
	}
	return exp2((double)i / PER_OCTAVE);
}

uint64_t reaction_within(const struct reaction *reaction, unsigned octave)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i <= octave * PER_OCTAVE && i < REACTION_BUCKETS; i++)
		seen += reaction->bucket[i];
	return seen;
}
