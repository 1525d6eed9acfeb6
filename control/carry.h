/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives a change of configuration: everything is found again by its name, in whatever order
 * the new configuration has it.
 *
 *	site		drained, age and labels of its last report
 *	service		demand, flows counted; shares and weights, what they stand on
 *	service at site	the estimate (load, learned service time, background), what was sent
 *	other edge	its demand, its delays
 *
 * `to` was opened with the new configuration and is empty, `from` is what ran until now: only
 * what sites said is taken out of it. Nothing here can fail. Called by reload.c, in the order of
 *this file.
 */
#pragma once

#include "demand.h"
#include "routes.h"
#include "state.h"

/* Services with anything new about them are marked dirty: their routes have to be solved. */
void carry_state(struct state *to, struct state *from);
void carry_routes(struct routes *to, const struct routes *from);
void carry_demand(struct demand *to, struct demand *from);
