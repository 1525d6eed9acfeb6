/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of suanlu/paths.h: this process is its only writer. Main thread only.
 */
#pragma once

#include <suanlu/paths.h>

/* Maps RUN_DIR/paths, made new if there is none or if its layout differs. -errno, said on stderr.
 */
int path_file_open(struct sl_paths **out, const char *run_dir);
void path_file_close(struct sl_paths *paths);
