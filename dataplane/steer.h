/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which destinations the XDP program takes: the service addresses in force and this
 * node's SIDs, kept equal on all ports. Main thread only.
 */
#pragma once

#include "port.h"
#include "routes.h"

struct steer_prefix {
	uint8_t family; /* 4 or 6 */
	uint8_t bits;
	uint8_t address[16];
};

struct steer {
	const struct ports *ports;
	const struct config_dataplane *config;
	bool pruned; /* what a killed run steered and nobody wants any more is gone */
	unsigned prefixes;
	struct steer_prefix prefix[2 * SL_SERVICES_MAX + 64]; /* in the maps now, sorted */
};

void steer_init(struct steer *steer, const struct ports *ports,
		const struct config_dataplane *config);

/* Brings the maps in line with the services in force; what an earlier run left stays until the
 * first full update has ended (routes->synced). */
void steer_sync(struct steer *steer, const struct routes *routes);
