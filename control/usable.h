/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which members of a service may get new flows now, and on what its weights can stand: load that
 * sites report, configured capacity, or the last routes. Pure but for the log lines.
 */
#pragma once

#include "routes.h"

/* Sets route->use of every member. */
enum routes_basis usable_decide(const struct routes *routes, unsigned service, double now_s);

/* One line when what a service stands on changes; `first`: it stood on nothing yet. */
void usable_log(const struct state *state, unsigned service, enum routes_basis before,
		enum routes_basis now, bool first);
