/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether this host's wall clock was set: reports carry its time, and receivers refuse those of
 * another. Everything that is measured is so by the monotonic clock, which nobody sets. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WALLTIME_JUMP_US 500000 /* less is slewing between two looks, or none of our business */

struct walltime {
	bool known;
	int64_t offset_us; /* wall - monotonic, when last looked at */
};

/* By how much it was set since the last look; 0: it was not. */
static inline int64_t walltime_jump_us(struct walltime *walltime, int64_t wall_us,
				       int64_t monotonic_us)
{
	const int64_t offset_us = wall_us - monotonic_us;
	const int64_t by_us = walltime->known ? offset_us - walltime->offset_us : 0;

	*walltime = (struct walltime){true, offset_us};
	return by_us > WALLTIME_JUMP_US || by_us < -WALLTIME_JUMP_US ? by_us : 0;
}
