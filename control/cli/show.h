/* SPDX-License-Identifier: BSD-3-Clause */
/* The things that `suanlu show` reads without control; each returns the exit status. */
#pragma once

#include "cli.h"
#include <stdbool.h>

int counters_show(const struct cli *cli, bool json, bool all); /* RUN_DIR/counters */
int paths_show(const struct cli *cli, bool json);	       /* RUN_DIR/paths */
int neighbours_show(const struct cli *cli, bool json);	       /* asks the dataplane */
