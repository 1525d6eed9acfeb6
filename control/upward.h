/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A site's answer for its instances: what they report becomes one signed report of the site to the
 * edges (`publish`, or `site` on a bus), each interval and at once when load jumps (pace.h).
 *
 * Of each service those instances count that new flows may go to and whose reports are
 * fresh (aggregate.h); a service without any is left out, so that edges hear that it is gone.
 * Totals only rise, whichever instances come, go or start again. The report was measured when they
 * were, on average, and is valid from when it is sent: one that dies does not silence the others.
 * Called in control's event loop.
 */
#pragma once

#include "routes.h"
#include "telemetry/bus.h"
#include "telemetry/key.h"
#include "telemetry/pace.h"
#include <suanlu/publish.h>

struct upward_service;

struct upward {
	const struct state *state;
	const struct routes *routes;
	struct sl_publisher *publisher; /* NULL: nobody is told */
	struct upward_service *service;
	struct sl_load *load; /* of the report being made */
	struct pace pace;
	uint64_t sent, extra;  /* reports, and those because load jumped */
	bool failed, too_long; /* told */
	double reached_s;      /* when all edges were last, or the start */
};

int upward_open(struct upward *upward, const struct state *state, const struct routes *routes,
		const struct key *key, struct bus *bus, struct config_error *error);
void upward_close(struct upward *upward);

/* Counts on where `from`, of the configuration before, is: services and instances by their names.
 */
void upward_carry(struct upward *upward, const struct upward *from);

/* Publishes if it is due; after each burst of reports, and each interval. */
void upward_step(struct upward *upward, double now_s);
