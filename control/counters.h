/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dataplane's counters file (suanlu/counters.h), mapped read-only. A dataplane may
 * start, restart or put a new file in its place at any time: counters_refresh follows. Nothing
 * in the file is trusted: lengths are bounded by the file's size, slots by their names.
 */
#pragma once

#include "state.h"
#include <suanlu/counters.h>
#include <sys/types.h>

struct counters {
	char path[128];
	const struct sl_counters *map; /* NULL: there is none that we understand */
	size_t bytes;
	dev_t device;
	ino_t inode;
	unsigned workers;
	double scanned_s;
	unsigned *first; /* by service: index of its first member in slot[] */
	int *slot;	 /* by member; -1: it has none yet */
	unsigned members;
	unsigned unassigned; /* members without a slot */
	bool told;	     /* that the file is not understood */
};

int counters_open(struct counters *counters, const struct config *config);
void counters_close(struct counters *counters);

/* Goes on with the mapping that `from` has, and leaves it without; slots are looked for anew. */
void counters_carry(struct counters *counters, struct counters *from);

/* Follows the file. Returns true if it is another than before: totals start afresh. */
bool counters_refresh(struct counters *counters, struct state *state, double now_s);

/* Sum over the workers; false if the dataplane does not count this member. */
bool counters_member(const struct counters *counters, const struct config *config, unsigned service,
		     unsigned member, struct sl_member_counters *out);
