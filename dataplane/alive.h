/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of a candidate's ways serves, by what probes say of their paths. Pure.
 *
 *	1. The first way whose targets are not dead serves.
 *	2. A candidate with none is out: it takes no new flow and its pins do not hold.
 *	3. If no candidate with a weight is left, those on standby take new flows.
 *	4. If there is none either, probes are not believed: packets into a path that is really
 *	   dead are lost either way, and probes can be at fault alone.
 */
#pragma once

#include "routes.h"

#define ALIVE_NONE (-1)

/* Sets serves and share of the candidates. */
void alive_decide(const struct routes *routes, struct service *service);

/* Would alive_decide change anything? */
bool alive_differs(const struct routes *routes, const struct service *service);
