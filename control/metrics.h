/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs, in numbers: GET /metrics in OpenMetrics text 1.0.0 over HTTP, at metrics.listen (a
 * loopback address, unless the network before it may read everything here).
 * Dataplane counters come from shared memory at the time of the request.
 */
#pragma once

#include "control.h"
#include <event2/http.h>

struct metrics {
	struct control *control;
	struct evhttp *http; /* NULL: no metrics.listen */
};

int metrics_open(struct metrics *metrics, struct control *control, struct config_error *error);
void metrics_close(struct metrics *metrics);
