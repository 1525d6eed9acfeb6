/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A load report of ORCA (xds.data.orca.v3.OrcaLoadReport) in protobuf's JSON form, from an
 * HTTP endpoint: {"cpu_utilization": 0.7, "rps_fractional": 120, "named_metrics": {"depth": 3}}.
 * Its numbers become samples named cpu_utilization, named_metrics.depth, utilization.x, ..., so
 * that the same mappings read them. lowerCamelCase names are understood, too. Pure.
 */
#pragma once

#include "exposition.h"

/* bad: members that are neither a number nor an object of numbers, or everything. */
struct exposition_result orca_parse(const char *text, size_t bytes, exposition_each *each,
				    void *context);
