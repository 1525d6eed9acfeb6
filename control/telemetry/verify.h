/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A datagram becomes a report, or one named reason why not.
 *
 * Checks in this order, cheapest first: size, format, known key id, pairwise tag (on the bus: its
 * sender's subject), sequence (replay), time, rate, decode, signature (about 55 us, all before it 2
 * to 6), plausible values. Whatever fails is counted by reason and changes nothing. A sender has
 * 1,000 datagrams a second opened and 256 at once, so that neither one whose key was stolen nor
 * garbage on its subject costs more than a twentieth of a core; what was taken already does not
 * count, so recorded datagrams shut nobody out. Pure: time is passed in. Called by control's event
 * loop.
 */
#pragma once

#include "key.h"
#include <stddef.h>
#include <stdint.h>
#include <suanlu/config.h>
#include <suanlu/telemetry.pb-c.h>

#define VERIFY_REASONS(X)                                                                    \
	X(ACCEPTED, "accepted")                                                              \
	X(SIZE, "size")		      /* longer than 1,400 bytes or shorter than a header */ \
	X(FORMAT, "format")	      /* not our magic or version */                         \
	X(UNKNOWN_KEY, "unknown-key") /* no configured site or edge has this key id */       \
	X(TAG, "tag")		      /* not made by that sender for us */                   \
	X(SUBJECT, "subject")	      /* on the bus: not that sender's, or none of ours */   \
	X(REPLAYED, "replayed")	      /* taken already (replay_window.h) */                  \
	X(FLOOD, "flood")	      /* more of one sender than it may send */              \
	X(DECODE, "decode")	      /* not a SignedReport or Report */                     \
	X(STALE, "stale")	      /* measured longer ago than it is valid */             \
	X(FUTURE, "future")	      /* measured more than 1 s after our clock */           \
	X(SIGNATURE, "signature")                                                            \
	X(IMPLAUSIBLE, "implausible") /* a value that cannot be: NaN, negative, out of range */

enum verify_reason {
#define X(name, text) VERIFY_##name,
	VERIFY_REASONS(X)
#undef X
		VERIFY_REASON_COUNT
};

const char *verify_reason_text(enum verify_reason reason);

struct verify;

/* `own`: this node's key, copied. -ENOMEM. */
int verify_open(struct verify **out, const struct key *own);
void verify_close(struct verify *verify);

/*
 * Accept reports of this key; `sender` is the caller's, given back with each report. What `before`
 * (may be NULL), a verifier until now, has computed and taken of the key is taken over.
 * -EEXIST: the key, or another with the same id, is known.
 */
int verify_add(struct verify *verify, const uint8_t key[SL_KEY_BYTES], unsigned sender,
	       const struct verify *before);

/*
 * Memory of the key's newest report taken, of the caller, which may outlive us: what is older than
 * it says (0: nothing) counts as taken, and it is kept up to date. That report itself may be taken
 * once more: it still is the newest that there is, and the bus has it ready for us. Of a key
 * that is not known nothing is done.
 */
void verify_keep(struct verify *verify, const uint8_t key[SL_KEY_BYTES], uint64_t *newest_us);

/* Our clock was set back to now_us: what was measured before counts as taken, all else as new. */
void verify_set_back(struct verify *verify, uint64_t now_us);

/*
 * On VERIFY_ACCEPTED *report is the caller's (unpack_release(), unpack.h).
 * *sender is set then, and on VERIFY_STALE and VERIFY_FUTURE, with *ahead_us: by how much its
 * measurement is before (negative) or after now. Otherwise all three are untouched.
 */
enum verify_reason verify_datagram(struct verify *verify, const uint8_t *data, size_t bytes,
				   uint64_t now_us, Suanlu__Report **report, unsigned *sender,
				   int64_t *ahead_us);

/* Whose it says it is, looked at before anything is checked; -1: nobody's. */
int verify_claimed(const struct verify *verify, const uint8_t *data, size_t bytes);

/* The same for a message of the bus on the subject of `sender`: one for all receivers, untagged. */
enum verify_reason verify_message(struct verify *verify, const uint8_t *data, size_t bytes,
				  uint64_t now_us, unsigned sender, Suanlu__Report **report,
				  int64_t *ahead_us);
