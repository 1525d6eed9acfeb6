/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dataplane measures of the paths to sites and transit nodes, by STAMP (RFC 8762):
 * RUN_DIR/paths, mapped MAP_SHARED, written by the dataplane alone. Readers map it
 * read-only and ask nobody; 64-bit loads are atomic, a slot is not all of one instant.
 *
 * A slot is a path's while `used` is set. The file outlives the dataplane, so that one that is
 * started again knows which paths were dead.
 *
 *	state		takes flows?	becomes
 *	unknown		yes		alive by the first answer
 *	alive		yes		dead after dead_ns without an answer
 *	dead		no		held by an answer
 *	held		no		alive after hold_ns without a gap of dead_ns, else dead
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <suanlu/route.h>

#define SL_PATHS_FILE "paths"
#define SL_PATHS_MAGIC 0x7368746170ULL /* "paths" */
#define SL_PATHS_VERSION 2

enum sl_path_state { SL_PATH_UNKNOWN, SL_PATH_ALIVE, SL_PATH_DEAD, SL_PATH_HELD };

enum sl_path_flags {
	SL_PATH_AUTHENTICATED = 1,
	/* Both clocks are synchronised, as both ends say and the operator declares: directions are
	 * one-way delays. Else each is half of the round trip. */
	SL_PATH_ONE_WAY = 2,
	/* The reflector repeats our sequence numbers: which way a probe was lost is not known. */
	SL_PATH_STATELESS = 4,
};

/* There: to the reflector; back: from it. */
enum sl_path_way { SL_PATH_THERE, SL_PATH_BACK, SL_PATH_WAYS };

/* Nanoseconds; 0: nothing measured yet. */
struct sl_path_delay {
	int64_t current_ns;
	int64_t least_ns;    /* of the last one to two minutes */
	int64_t smoothed_ns; /* exponential, 1/8 a probe */
	int64_t jitter_ns;   /* RFC 3550 section 6.4.1 */
};

struct sl_path_slot {
	uint64_t used;
	struct sl_path_name name;
	struct in6_addr reflector; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t state;		   /* enum sl_path_state */
	uint32_t flags;		   /* enum sl_path_flags */
	uint64_t interval_ns;
	uint64_t heard_ns;   /* CLOCK_MONOTONIC: the last answer came; 0: never */
	uint64_t changed_ns; /* state last changed */
	uint64_t hold_ns;    /* of the last death: how long answers must come before it is alive */
	double penalty;	     /* of deaths, at changed_ns; path.c */
	uint64_t deaths;
	uint64_t sent, answered;
	uint64_t unanswered;		 /* of those sent at least a second ago */
	uint64_t lost[SL_PATH_WAYS];	 /* of these, by the reflector's numbers; answered later:
					    given back */
	uint64_t recent;		 /* the last 64 that were decided: bit set, unanswered */
	uint64_t refused;		 /* answers of no use: unknown number, twice, wrong times */
	struct sl_path_delay round_trip; /* without the reflector's own time */
	struct sl_path_delay way[SL_PATH_WAYS];
};

struct sl_paths {
	uint64_t magic;
	uint32_t version;
	uint32_t pid;
	uint64_t bytes;
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC, renewed at least once a second */
	uint64_t unknown;      /* answers that belong to no path, or do not authenticate */
	uint64_t reflected;    /* probes of others that this node answered */
	uint64_t spent_ns;     /* processor time of worker 0 for it, the kernel's part included */
	struct sl_path_slot path[SL_PATHS_MAX];
};

/* "chengdu", "chengdu via t1, t2". Names in the file need not end. */
#define SL_PATH_NAME_TEXT (3 * SL_NAME_MAX + 8)
static inline const char *sl_path_name_text(const struct sl_path_name *name,
					    char out[SL_PATH_NAME_TEXT])
{
	int used = snprintf(out, SL_PATH_NAME_TEXT, "%.*s", SL_NAME_MAX - 1, name->end);

	for (unsigned i = 0; i < SL_TRANSITS_MAX && name->transit[i][0]; i++)
		used += snprintf(out + used, SL_PATH_NAME_TEXT - (size_t)used, "%s%.*s",
				 i ? ", " : " via ", SL_NAME_MAX - 1, name->transit[i]);
	return out;
}

static const char *const sl_path_state_text[]
	__attribute__((unused)) = {"unknown", "alive", "dead", "held"};
