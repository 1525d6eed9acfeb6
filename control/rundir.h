/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUN_DIR: made if it is missing (0750), held by one control at a time (a lock on
 * control.lock, which names its process), with the drained sites in `drained`: one name a
 * line, replaced as a whole, so that it is never half written.
 */
#pragma once

#include "state.h"

struct rundir {
	const struct config *config;
	int lock; /* -1: not held */
};

/* Makes and locks it. -EBUSY: another control runs; error->text names its pid. */
int rundir_open(struct rundir *rundir, const struct config *config, struct config_error *error);
void rundir_close(struct rundir *rundir);

/*
 * Gives it to config->user and becomes that user, if one is configured and root started us. Of the
 * capabilities only CAP_NET_ADMIN is kept, if there is something to announce.
 */
int rundir_drop(struct rundir *rundir, struct config_error *error);

/* Unknown names in the file are left out. A missing file is no error. */
int rundir_read_drained(const struct rundir *rundir, struct state *state,
			struct config_error *error);
int rundir_write_drained(const struct rundir *rundir, const struct state *state);
