/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoded messages in one piece of memory each, where protobuf-c would allocate twice for each
 * service: all that a message holds goes at once.
 *
 * A report is shared: it lives until its last holder releases it, and who keeps a part of it holds
 * all of it. verify.c makes reports and is the first holder; state.c keeps the loads that
 * sites said last. Control's event loop only: holders are counted without atomics.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <suanlu/telemetry.pb-c.h>

/* A serialised Report, with one holder; NULL: it is none, or no memory. */
Suanlu__Report *unpack_report(const uint8_t *packed, size_t bytes);

/* One holder more, and one less (of NULL: nothing is done). Only of what unpack_report() made. */
void unpack_hold(Suanlu__Report *report);
void unpack_release(Suanlu__Report *report);

struct unpack_arena {
	uint8_t *at, *end;
	struct unpack_piece *more; /* owned, where the first piece was too small */
};

/* Where a message is that is needed for a moment only. */
struct unpack_scratch {
	struct unpack_arena arena;
	_Alignas(16) uint8_t first[1600]; /* a SignedReport of the longest datagram */
};

/* A serialised SignedReport, in scratch until it is cleared; NULL: it is none, or no memory. */
Suanlu__SignedReport *unpack_signed(struct unpack_scratch *scratch, const uint8_t *packed,
				    size_t bytes);
void unpack_clear(struct unpack_scratch *scratch);
