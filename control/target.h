/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the shares of a service should be: by load, by capacity, at the nearest, or as they were.
 * Pure. Called by routes_update().
 */
#pragma once

#include "routes.h"

/* Sets route->target on this basis; site: of describe_sites(). Solving also sets what the other
 * edges send each member. */
void target_decide(struct routes *routes, unsigned service, enum routes_basis basis,
		   const struct solve_site *site, double now_s);

/* What usable members can take beside each other, 0 for the others: flows that the operator says
 * they finish, their servers if he does not say it of all. */
void target_capacities(const struct config *config, unsigned service, const struct route *route,
		       uint32_t capacity[SL_CANDIDATES_MAX]);
