/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counters file of include/suanlu/counters.h: this process is its only writer.
 *
 * Names keep their slots for the life of the file, so a restarted dataplane goes on
 * with the same slots. Main thread only, except that each worker writes its own counters.
 */
#pragma once

#include <suanlu/counters.h>

/* Maps RUN_DIR/counters, made new if there is none or if its layout differs. NULL: errno. */
struct sl_counters *stats_open(const char *run_dir, unsigned workers);
void stats_close(struct sl_counters *counters);

/* Tells readers that we live; once a second. */
void stats_heartbeat(struct sl_counters *counters);
