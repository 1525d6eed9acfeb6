/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Can these values be? Publishers ask before they sign, receivers after they verified, so
 * that both judge alike. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <suanlu/telemetry.pb-c.h>

#define PLAUSIBLE_ENTRIES_MAX 128 /* of load, of demand, of path in one report */
#define PLAUSIBLE_DETAILS_MAX 16  /* metrics, and latency quantiles, per service */
#define PLAUSIBLE_VALID_FOR_MS_MAX 60000
#define PLAUSIBLE_SERVERS_MAX 1000000
#define PLAUSIBLE_FLOWS_MAX 100000000 /* in flight, and queued */
#define PLAUSIBLE_RATE_MAX 1e9
#define PLAUSIBLE_SCV_MAX 1e4
#define PLAUSIBLE_TIME_S_MAX 1e5
#define PLAUSIBLE_OFFERS_MAX 32
#define PLAUSIBLE_APPROVAL_BYTES_MAX 800

/* false: `why` names the field that cannot be, as "load infer: service_time_s". */
bool plausible(const Suanlu__Report *report, char *why, size_t why_bytes);
