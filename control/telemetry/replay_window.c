/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_window.h"
#include <string.h>

/* Where `sequence` belongs: how many taken sequences are below it. */
static unsigned place_of(const struct replay_window *window, uint64_t sequence)
{
	unsigned place = window->taken;

	while (place > 0 && window->sequence[place - 1] >= sequence)
		place--;
	return place;
}

static bool is_below_all(const struct replay_window *window, unsigned place)
{
	return place == 0 && window->taken == REPLAY_WINDOW_SEQUENCES;
}

bool replay_window_is_new(const struct replay_window *window, uint64_t sequence,
			  uint64_t measured_us)
{
	unsigned place = place_of(window, sequence);

	if (window->floor_us && measured_us <= window->floor_us)
		return false;
	if (place < window->taken && window->sequence[place] == sequence)
		return false;
	return !is_below_all(window, place) || measured_us > window->newest_us;
}

/* A full window forgets its lowest. */
void replay_window_take(struct replay_window *window, uint64_t sequence, uint64_t measured_us)
{
	unsigned place = place_of(window, sequence);
	uint64_t *at = window->sequence;

	if (is_below_all(window, place)) {
		replay_window_restart(window, window->newest_us);
		place = 0;
	}
	if (window->taken < REPLAY_WINDOW_SEQUENCES) {
		memmove(at + place + 1, at + place, (window->taken - place) * sizeof(*at));
		window->taken++;
	} else {
		place--;
		memmove(at, at + 1, place * sizeof(*at));
	}
	at[place] = sequence;
	if (measured_us > window->newest_us)
		window->newest_us = measured_us;
}

void replay_window_restart(struct replay_window *window, uint64_t floor_us)
{
	*window = (struct replay_window){.newest_us = floor_us, .floor_us = floor_us};
}
