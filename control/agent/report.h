/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's way out: measured loads become signed reports to all edges, and an edge that
 * cannot be reached is told of once, and once more when it is back.
 */
#pragma once

#include "config.h"
#include "meter.h"

struct report;

/* -errno; error->text says why. `config` must outlive it. */
int report_open(struct report **out, const struct agent_config *config, struct config_error *error);
void report_close(struct report *report);

/*
 * One report of the services with include[i], as load[i] says. cpu_utilisation: of the host,
 * negative: unknown. now_ns: monotonic, of the measurement.
 */
void report_send(struct report *report, const struct meter_load *load, const bool *include,
		 double cpu_utilisation, uint64_t now_ns);

uint64_t report_count(const struct report *report);
