/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pin table: which member (service, site) a flow was given. It stores no keys.
 *
 * A keyed 64-bit hash of the flow names a bucket (one cache line of 8 entries) by its low
 * half and a tag by its high half but one bit. A false match (8 / 2^31 a lookup) only sends a new
 *flow to a member that another flow chose, so no key is needed to be correct: the caller takes a
 * member that is not of the flow's service as a miss.
 *
 *	entry, 8 bytes:  tag 31 | spilled 1 | member 16 | state 2 | last use 14 (in ticks of 1 s)
 *
 * Buckets stand in pairs of neighbouring lines. A flow whose bucket is full of live ones goes to
 * the other of the pair, and `spilled` of the entry that its tag names (modulo 8) is set in its own
 * bucket. So only lookups that miss there and find that bit read a second line.
 *
 * One table per worker, one writer, no locks. The memory is the caller's (shared memory),
 * zero bytes are an empty table; readers in other threads see whole entries.
 * When a bucket is full the least valuable entry goes: empty or expired, then closing, then
 * half-open (only a SYN was seen), then, of the pair, the longest unused. A new flow that is
 * itself half-open or closing takes no live one's place and stays without a pin: a flood of SYNs
 * evicts nobody, and the flow is pinned by the packet that completes its handshake.
 *
 * Ages are modulo 2^14 s: idle_s is at most 16383, and an entry unused for 4.5 h counts as
 * young again, which is harmless like a false match.
 */
#pragma once

#include "pin_hash.h"

#define PIN_WAYS 8
#define PIN_MEMBER_NONE UINT16_MAX

enum pin_state { /* in order of their value */
		 PIN_EMPTY = 0,
		 PIN_CLOSING,	/* TCP, FIN or RST seen */
		 PIN_HALF_OPEN, /* TCP, only a SYN so far */
		 PIN_LIVE,
};

struct pin_bucket {
	_Alignas(64) uint64_t entry[PIN_WAYS];
};

struct pin_table {
	struct pin_bucket *bucket; /* aligned to 128 bytes: a pair */
	uint64_t buckets;	   /* even, below 2^32 */
};

/* An even number of buckets, of at most 16 bytes a flow together (one pair at least). */
size_t pin_buckets(uint32_t flows);

/* An entry's place, for pin_use; valid until the next pin_insert of this worker. */
struct pin_hit {
	uint64_t *entry; /* NULL: no pin */
	uint16_t member;
	uint32_t age_s; /* since its last use */
	enum pin_state state;
};

/* The line of a flow: hash to bucket by multiplication, so that any number of buckets will do. */
static inline struct pin_bucket *pin_bucket(const struct pin_table *table, uint64_t hash)
{
	return &table->bucket[(uint64_t)(uint32_t)hash * table->buckets >> 32];
}

/*
 * Entries unused for longer than idle_s do not match. now_s: any clock that counts seconds.
 * pin_lookup_in reads the flow's own bucket only: a miss is final unless pin_has_spilled.
 */
static inline struct pin_hit pin_lookup(const struct pin_table *table, uint64_t hash,
					uint32_t now_s, uint32_t idle_s);
static inline struct pin_hit pin_lookup_in(struct pin_bucket *bucket, uint64_t hash, uint32_t now_s,
					   uint32_t idle_s);
static inline bool pin_has_spilled(const struct pin_bucket *bucket, uint64_t hash);

/* The other line of the pair. */
static inline struct pin_bucket *pin_other(const struct pin_bucket *bucket)
{
	return (struct pin_bucket *)((uintptr_t)bucket ^ sizeof(*bucket));
}

/* Renews the last use and moves the state on; tcp_flags is 0 for all but TCP. */
static inline void pin_use(struct pin_hit *hit, uint8_t tcp_flags, uint32_t now_s);

/*
 * Remembers member for this flow, in place of an entry with the same tag or of the least
 * valuable one; not at all where only live ones stand and the flow is not.
 */
enum pin_inserted {
	PIN_REFUSED = 0,
	PIN_INSERTED,
	PIN_EVICTED, /* a live, unexpired entry of another flow was given up for it */
};
static inline enum pin_inserted pin_insert(const struct pin_table *table, uint64_t hash,
					   uint16_t member, uint8_t tcp_flags, uint32_t now_s,
					   uint32_t idle_s);
/* The same for what nearly all new flows find, in the flow's own bucket; false: use pin_insert. */
static inline bool pin_insert_in(struct pin_bucket *bucket, uint64_t hash, uint16_t member,
				 uint8_t tcp_flags, uint32_t now_s, uint32_t idle_s);

#include "pin_form.h"
