/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of a candidate's ways serves, by what probes say of their paths. Pure.
 *
 *	1. The first way whose targets are alive serves.
 *	2. If none is, the first that is held does, for the pins: it answers. No new flow.
 *	3. A candidate with none is out: it takes no new flow and its pins do not hold.
 *	4. If no candidate with a weight is left, those on standby take new flows.
 *	5. If there is none either, probes are not believed: packets into a path that is really
 *	   dead are lost either way, and probes can be at fault alone. So a fault that all paths
 *	   share moves no flow, neither when it comes nor when it goes (2).
 */
#pragma once

#include "routes.h"

#define ALIVE_NONE (-1)

/* Sets serves and share of the candidates. */
void alive_decide(const struct routes *routes, struct service *service);

/* Would alive_decide change anything? */
bool alive_differs(const struct routes *routes, const struct service *service);
