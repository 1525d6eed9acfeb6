/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUN_DIR/replay: of each sender the time of its newest report taken, in shared memory, so that
 * nothing older is taken again after a restart of control, however it ended (replay_window.h). Every
 * change is one 8-byte store. The file is replaced as a whole when senders change; one that is gone is
 * remembered for as long as a report of it could still be valid.
 *
 * It is worth a warning and no more if the file cannot be read or made: then only this control
 * remembers.
 */
#pragma once

#include "telemetry/verify.h"
#include <stdint.h>

#define REPLAY_FILE "replay"
#define REPLAY_MAGIC 0x79616c706572ULL /* "replay" */
#define REPLAY_VERSION 1

struct replay_entry {
	uint8_t key[SL_KEY_BYTES];
	uint64_t newest_us; /* Unix time; 0: none */
};

struct replay_map {
	uint64_t magic;
	uint32_t version;
	uint32_t entries;
	struct replay_entry entry[];
};
_Static_assert(sizeof(struct replay_entry) == 40, "aligned, without padding");

struct replay {
	struct replay_map *map; /* NULL: nothing is kept */
	size_t bytes;
};

/* For all senders of a configuration; `verify` knows them. What an earlier run, or the one of
 * before a reload, has left is taken over. now_us: Unix time. */
void replay_open(struct replay *replay, const struct config *config, struct verify *verify,
		 uint64_t now_us);

/* Forgets the mapping; the file stays. The verifier that it was opened for must be gone. */
void replay_close(struct replay *replay);
