/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explains what the fast path would do, by asking the tables that it uses. Nothing is changed.
 */
#pragma once

#include "workers.h"

#define TRACE_TARGETS_PER_MESSAGE 64

/* Looks in all workers' pin tables: which worker a flow comes to is the port's affair. */
void trace(const struct routes *routes, const struct workers *workers,
	   const struct sl_msg_trace *asked, struct sl_msg_traced *traced);

/* States of the targets from slot `first` on; returns how many were written. */
unsigned trace_targets(const struct routes *routes, unsigned first,
		       struct sl_target_state state[TRACE_TARGETS_PER_MESSAGE]);
