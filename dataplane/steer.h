/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which destinations the XDP program takes: the service addresses in force and this
 * node's SIDs, kept equal on all ports. Main thread only.
 */
#pragma once

#include "port.h"
#include "routes.h"

/* Those of one configuration, and during an update those of the one before. */
#define STEER_PREFIXES_MAX (2 * (2 * SL_SERVICES_MAX + SL_SIDS_MAX + SL_VNIS_MAX))

struct steer_prefix {
	uint32_t map;  /* STEER_IPV4, ... */
	uint32_t bits; /* of the prefix; VXLAN: the VNI */
	uint8_t address[16];
};

struct steer {
	const struct ports *ports;
	bool pruned; /* what a killed run steered and nobody wants any more is gone */
	unsigned prefixes;
	struct steer_prefix prefix[STEER_PREFIXES_MAX]; /* in the maps now, sorted */
};

void steer_init(struct steer *steer, const struct ports *ports);

/* Brings the maps in line with the services and SIDs in force. During a full update nothing
 * goes away, so that an address may change its service without passing by the kernel; what an
 * earlier run left stays until the first one has ended (routes->synced). */
void steer_sync(struct steer *steer, const struct routes *routes);
