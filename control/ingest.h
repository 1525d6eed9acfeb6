/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telemetry in: datagrams of UDP, and messages of the bus (ingest_bus.h), verified, counted by
 * reason; accepted reports go into the state.
 *
 * A readable socket is drained by at most INGEST_BURST datagrams before the loop turns
 * again (a signature check is about 55 us), so that a flood delays routes by
 * milliseconds and not for good. `ready` is called after each burst that changed the state, and
 * told whether there is `more` to be read.
 *
 * Garbage costs about 2 us each, so some 400,000 a second are refused as they come and none
 * waits: a good report among them is as early as without. What control does besides (solving, at
 * most half an interval) fills the socket's queue meanwhile; it holds INGEST_BUFFER_BYTES.
 */
#pragma once

#include "discover.h"
#include "replay.h"
#include "state.h"
#include "telemetry/subject.h"
#include "telemetry/verify.h"
#include <event2/event.h>

#define INGEST_BURST 32
#define INGEST_BUFFER_BYTES (16 << 20) /* about 13,000 datagrams, 65 ms of 200,000 a second */

typedef void ingest_ready(void *argument, bool more);

struct ingest {
	struct state *state;
	struct discover *discover; /* NULL: nobody may announce himself */
	struct verify *verify;	   /* NULL: neither telemetry.listen nor bus */
	struct replay replay;	   /* what verify has taken, over restarts */
	int fd;
	struct event *readable;
	ingest_ready *ready;
	void *argument;
	uint64_t count[VERIFY_REASON_COUNT];
	uint64_t dropped; /* by the kernel: the socket's queue was full; by us: overtaken in it */
	uint32_t dropped_seen;
	double *off_s;	  /* by sender: last refused for its time, which is said; 0: it is right */
	double waited_s;  /* so long waited what was stale for that only; 0: said, or nothing did */
	int64_t clock_us; /* Unix time minus monotonic time, as last seen; 0: not yet */
	uint64_t logged[VERIFY_REASON_COUNT]; /* count when a line was last written */
	double logged_s[VERIFY_REASON_COUNT];
	struct sockaddr_storage refused_from[VERIFY_REASON_COUNT]; /* the last of each */
	char refused_on[VERIFY_REASON_COUNT][SUBJECT_TEXT];	   /* "": not on the bus */
};

/* Who may report, by a configuration with telemetry.listen or bus; `key`: this node's. `before`:
 * the verifier until now, or NULL. */
int ingest_verifier(struct verify **out, const struct config *config, const struct key *key,
		    const struct verify *before, struct config_error *error);

/* Binds telemetry.listen; nothing is read before ingest_start. */
int ingest_open(struct ingest *ingest, struct state *state, const struct key *key,
		struct config_error *error);

/* Takes over another verifier, for the configuration that the state has by now. */
void ingest_reload(struct ingest *ingest, struct verify *verify);
void ingest_close(struct ingest *ingest);
int ingest_start(struct ingest *ingest, struct event_base *base, ingest_ready *ready,
		 void *argument);

/* Before bytes are given to verify.h. */
void ingest_expect(const struct ingest *ingest, const uint8_t *data, size_t bytes);

/* A verdict of verify.h: counts it, and puts an accepted report, which it frees, into the state. */
void ingest_count(struct ingest *ingest, enum verify_reason reason, Suanlu__Report *report,
		  unsigned sender, int64_t ahead_us, uint64_t arrived_ns);

/* Once an interval: says when our clock was set, and lets nobody be shut out by it. */
void ingest_watch_clock(struct ingest *ingest);

/* One line for each reason that refused reports since its last line, at most each 10 s. */
void ingest_log_refused(struct ingest *ingest, double now_s);
