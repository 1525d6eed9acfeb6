/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's way out: measured loads become signed reports to all edges, and an edge that
 * cannot be reached is told of once, and once more when it is back.
 */
#pragma once

#include "config.h"
#include "meter.h"

#define REPORT_METRICS_MAX 12

struct report;

/* Of one service. Texts of the metrics need to last only while report_send does. */
struct report_load {
	struct meter_load load;
	uint32_t servers;
	double cpu_utilisation; /* of its host; negative: unknown */
	struct sl_metric metric[REPORT_METRICS_MAX];
	unsigned metrics;
};

/* -errno; error->text says why. `config` must outlive it. */
int report_open(struct report **out, const struct agent_config *config, struct config_error *error);
void report_close(struct report *report);

/* One report of the services with include[i], as load[i] says. now_ns: monotonic, of the
 * measurement. */
void report_send(struct report *report, const struct report_load *load, const bool *include,
		 uint64_t now_ns);

/* Whether an edge would take it; else `why`. */
bool report_plausible(const struct sl_report *report, char why[256]);

uint64_t report_count(const struct report *report);
uint64_t report_left_out(const struct report *report);	  /* loads that cannot be */
uint64_t report_clock_jumps(const struct report *report); /* times that it was set */
