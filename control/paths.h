/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths as control sees them: what the dataplane is to probe, and what it measured
 * (suanlu/paths.h), read from its file once an interval into the state. Nothing in the file is
 * trusted but numbers: slots are known by their names.
 */
#pragma once

#include "link.h"
#include "state.h"
#include <suanlu/paths.h>
#include <sys/types.h>

struct paths {
	struct state *state;
	char file[128];
	const struct sl_paths *map; /* NULL: there is none that we understand */
	dev_t device;
	ino_t inode;
};

void paths_open(struct paths *paths, struct state *state);
void paths_close(struct paths *paths);

/* Tells the link what is to be probed. 0 or -ENOMEM. */
int paths_start(const struct config *config, struct link *link);

/* Takes over what was measured since; called once an interval. */
void paths_refresh(struct paths *paths);

/* The path's slot; NULL if the dataplane does not probe it. */
const struct sl_path_slot *paths_find(const struct paths *paths, const struct sl_path_name *name);
