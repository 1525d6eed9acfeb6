/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The optimum is a corner: each edge has two or three sites, though others may be nearly as good,
 * and then has little to choose between when chance makes a queue. Of all shares that load the
 * sites as the optimum does, these spread each edge's flows the wider, the less path delay that
 * costs: the entropic optimal transport of the same loads (Cuturi 2013),
 *
 *	x_ij = u_i v_j exp(-r_ij / tau),   sum_j x_ij = 1,   sum_i d_i x_ij = L_j
 *
 * r_ij: how much dearer site j is to edge i than its cheapest one. tau: a part of what chance
 * moves a site's wait by, the root of its servers in flows: service time / root of servers. Where
 * that is long against paths (few servers, long work) every edge uses all sites; where paths
 * matter the optimum stays. Pure, no allocation. Called by control.
 */
#pragma once

#include "solve.h"

/* x in: of solve(); out: rows that sum to 1, with zeros where not allowed or where no edge goes. */
void spread(const struct solve_problem *problem, solve_row *x);
