/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service's sites as the solver wants to know them: queues as they are now, and what comes there
 * that no edge sends. Pure. Called by routes_update().
 */
#pragma once

#include "solve/solve.h"
#include "state.h"

/* out: by member. Sets what estimates must be told by their owner. */
void describe_sites(const struct state *state, unsigned service, double now_s,
		    struct solve_site *out);
