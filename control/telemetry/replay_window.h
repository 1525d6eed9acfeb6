/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which reports of one sender were taken, so that each is taken once.
 *
 *	1. Measured at or before floor_us: counts as taken.
 *	2. Among the sequences taken last, which rise: taken. Above the lowest of them: not,
 *	   however far apart a publisher's sequences are.
 *	3. Below all of them: taken, unless it was measured after everything that was taken. Then
 *	   its publisher counts anew (it was restarted after its clock had been set back), and
 *	   so does the window: what was taken before is below the floor.
 *
 * Parts of one report have one time and different sequences. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW_SEQUENCES 64

struct replay_window {
	uint64_t newest_us; /* latest measurement taken; 0: none */
	uint64_t floor_us;  /* 0: none */
	unsigned taken;	    /* of sequence[] */
	uint64_t sequence[REPLAY_WINDOW_SEQUENCES];
};

bool replay_window_is_new(const struct replay_window *window, uint64_t sequence,
			  uint64_t measured_us);

/* For a report that is new. */
void replay_window_take(struct replay_window *window, uint64_t sequence, uint64_t measured_us);

/* Nothing is remembered but that all that was measured until then counts as taken. */
void replay_window_restart(struct replay_window *window, uint64_t floor_us);
