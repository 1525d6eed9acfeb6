/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One path: what its probes and their answers say of it (suanlu/paths.h), and whether it lives.
 * Pure: time is passed in, by CLOCK_MONOTONIC where it does not say Unix. Worker 0's; struct
 *sl_path_slot is what other processes read.
 *
 * A path that dies again and again is held longer and longer before it is used again (damping as
 * in RFC 2439): each death adds 1 to a penalty p that halves with each hold_max_ns alive, and
 *	hold = min(hold_max, hold_least * 2^(p - 1))
 */
#pragma once

#include "stamp.h"
#include <suanlu/paths.h>

#define PATH_RING 256		   /* probes whose answers are known or awaited */
#define PATH_DECIDED_NS 1000000000 /* an answer that takes longer is a loss */

struct path_rule {
	uint64_t dead_ns; /* silence that makes it dead */
	uint64_t hold_ns, hold_max_ns;
	bool synchronised; /* the operator says that clocks are */
};

struct path {
	struct sl_path_slot *shared;
	uint32_t next;	  /* sequence number of the next probe */
	uint32_t decided; /* the outcome of all before is counted */
	/* Losses each way are counted from a first answer on; a reflector that starts afresh
	 * makes another one the first. */
	bool based, differs; /* differs: it counts by itself */
	uint32_t base, base_reflected, high, high_reflected;
	uint64_t answers; /* since then */
	uint64_t lost_before[SL_PATH_WAYS];
	int64_t transit_ns[1 + SL_PATH_WAYS]; /* of the last answer: for the jitter */
	int64_t least_ns[1 + SL_PATH_WAYS];   /* of this minute */
	uint64_t minute_ns;		      /* when it began */
	struct {
		int64_t sent_unix_ns;
		uint64_t sent_ns;
		bool answered;
	} ring[PATH_RING]; /* by sequence number */
};

/* `shared` is a slot with name, interval and, of an earlier run, state; all else starts afresh. */
void path_init(struct path *path, struct sl_path_slot *shared);

/* The next probe's number; it leaves now. A clock that is set between here and the answer does not
 * matter. */
uint32_t path_send(struct path *path, int64_t unix_ns, uint64_t now_ns);

/* An answer came in at at_ns. */
void path_answer(struct path *path, const struct path_rule *rule, const struct stamp_reply *reply,
		 bool synchronised, uint64_t at_ns);

/*
 * The since_ns of path_judge for all paths, newest_ns being when any that is alive was heard last.
 * If that is long ago the fault is likely near, where all paths share their fate: they then die
 * together, counted from the newest answer, or none does. One after the other flows would move
 * to the next path that is about to die, and break; when all are dead none moves (alive.h).
 */
uint64_t path_judged_from(const struct path_rule *rule, uint64_t newest_ns, uint64_t since_ns,
			  uint64_t now_ns);

/*
 * Brings its state up to now; true if it changed. since_ns: probes have been sent without a pause
 * since then, so that our own silence is not held against the path.
 */
bool path_judge(struct path *path, const struct path_rule *rule, uint64_t now_ns,
		uint64_t since_ns);

/* When path_judge should be called at the latest; UINT64_MAX: never. */
uint64_t path_deadline(const struct path *path, const struct path_rule *rule, uint64_t since_ns);

static inline bool path_takes_flows(const struct sl_path_slot *path)
{
	return path->state == SL_PATH_UNKNOWN || path->state == SL_PATH_ALIVE;
}
