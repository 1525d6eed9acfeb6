/* SPDX-License-Identifier: BSD-3-Clause */
/* RUN_DIR/paths for those who show it. */
#pragma once

#include "cli.h"
#include <stdbool.h>
#include <suanlu/paths.h>

/* The mapped file; NULL after cli_fail. */
const struct sl_paths *paths_map(const struct cli *cli);

/* What is measured of one path now; milliseconds, NaN: not measured. Loss in 0..1 of the last 64
 * probes that were decided. */
struct path_view {
	char name[SL_PATH_NAME_TEXT];
	const char *state, *basis;
	double there_ms, back_ms, least_ms, jitter_there_ms, jitter_back_ms, round_trip_ms;
	double now_there_ms, now_back_ms, least_back_ms;
	double loss, age_ms;
	double changed_s; /* CLOCK_MONOTONIC, of the state */
	double hold_ms;	  /* of the last death */
	double left_ms;	  /* of it yet, while it is held */
	uint64_t sent, answered, lost_there, lost_back, deaths;
	bool which_way; /* it is known which way probes were lost */
};

struct path_view path_view(const struct sl_path_slot *path);
