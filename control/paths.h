/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dataplane's measurements of paths (suanlu/paths.h), mapped read-only. A dataplane may put a
 * new file in its place at any time: paths_refresh follows.
 */
#pragma once

#include <suanlu/config.h>
#include <suanlu/paths.h>
#include <sys/types.h>

struct paths {
	char file[128];
	const struct sl_paths *map;
	dev_t device;
	ino_t inode;
};

void paths_open(struct paths *paths, const struct config *config);
void paths_close(struct paths *paths);

/* The file as it is now; NULL: there is none that we understand. */
const struct sl_paths *paths_refresh(struct paths *paths);
