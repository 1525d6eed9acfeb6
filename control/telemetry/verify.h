/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A datagram becomes a report, or one named reason why not.
 *
 * Checks in this order, cheapest first: size, format, known key id, pairwise tag (on the bus: its
 * sender's subject), rate, decode, signature, sequence (replay), time, plausible values. Whatever
 * fails is counted by reason and changes nothing. A sender has 1,000 datagrams a second opened and
 * 256 at once, so that neither a broken one nor garbage on its subject costs more than a
 * twentieth of a core. Pure: time is passed in. Called by control's event loop.
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
	X(FLOOD, "flood")	      /* more of one sender than it may send */              \
	X(DECODE, "decode")	      /* not a SignedReport or Report */                     \
	X(SIGNATURE, "signature")                                                            \
	X(REPLAYED, "replayed")	      /* sequence seen, or older than the window */          \
	X(STALE, "stale")	      /* measured longer ago than it is valid */             \
	X(FUTURE, "future")	      /* measured more than 1 s after our clock */           \
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

/* Accept reports of this key; `sender` is the caller's, given back with each report.
 * -EEXIST: the key, or another with the same id, is known. */
int verify_add(struct verify *verify, const uint8_t key[SL_KEY_BYTES], unsigned sender);

/* What `from` has taken of keys that `to` knows too is taken there. */
void verify_carry(struct verify *to, const struct verify *from);

/*
 * On VERIFY_ACCEPTED *report is the caller's (free with suanlu__report__free_unpacked(r, NULL))
 * and *sender is set; on any other reason both are untouched.
 */
enum verify_reason verify_datagram(struct verify *verify, const uint8_t *data, size_t bytes,
				   uint64_t now_us, Suanlu__Report **report, unsigned *sender);

/* The same for a message of the bus on the subject of `sender`: one for all receivers, untagged. */
enum verify_reason verify_message(struct verify *verify, const uint8_t *data, size_t bytes,
				  uint64_t now_us, unsigned sender, Suanlu__Report **report);
