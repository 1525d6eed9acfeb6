/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the simulated sites measure of themselves, as an agent does, and how their reports come to
 * the edges' views. Called by world.c alone.
 */
#pragma once

#include "world.h"

/* So many more servers of the site have work from now on. */
void telemetry_busy(struct world *world, struct world_site *site, int change);
/* It finished a request that it worked on for so long. */
void telemetry_done(struct world_site *site, double service_s);

/* A site measures itself and tells all edges; and again an interval later. */
void telemetry_publish(struct world *world, unsigned site);
/* A report that was on its way comes to its edge. */
void telemetry_deliver(struct world *world, uint32_t index);
/* The edge looks which sites' reports are still valid. */
void telemetry_look(struct world *world, unsigned edge);
