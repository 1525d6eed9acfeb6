/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A primal-dual interior point for the problem of solve.h.
 *
 * Water-filling edge by edge stalls where two edges would have to swap sites through a
 * loaded one; Newton on all of them together does not. And where several solutions are equally
 * good (edges at the same place), it ends in the middle of them, so
 * that edges which solve apart act alike. Called by solve() alone, which polishes the result.
 */
#pragma once

#include "solve.h"

/*
 * demand_per_s: > 0, per edge. x in: a solution found before for a problem like this one, from
 * which a few steps lead to the next, taken if that is the only one; or any rows. x out: rows are
 * set to shares near the optimum (about 1e-7 of the marginal), zero where not allowed or clearly
 * too dear; rows without allowed sites untouched.
 */
void interior_point(const struct solve_problem *problem, const double *demand_per_s, solve_row *x);
