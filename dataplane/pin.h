/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pin table: which member (service, site) a flow was given. It stores no keys.
 *
 * A keyed 64-bit hash of the flow names a bucket (one cache line of 8 entries) and a
 * 32-bit tag. A false match (8 / 2^32 a lookup) only sends a new flow to a member that
 * another flow chose, so no key is needed to be correct: the caller takes a member that
 * is not of the flow's service as a miss.
 *
 *	entry, 8 bytes:  tag 32 | member 16 | state 2 | last use 14 (in ticks of one second)
 *
 * One table per worker, one writer, no locks. The memory is the caller's (shared memory),
 * zero bytes are an empty table; readers in other threads see whole entries.
 * When a bucket is full the least valuable entry goes: expired, then closing,
 * then half-open (only a SYN was seen), then the longest unused. A new flow that is itself
 * half-open or closing takes no live one's place and stays without a pin: a flood of SYNs
 * evicts nobody, and the flow is pinned by the packet that completes its handshake.
 *
 * Ages are modulo 2^14 s: idle_s is at most 16383, and an entry unused for 4.5 h counts as
 * young again, which is harmless like a false match.
 */
#pragma once

#include "parse.h"
#include <stddef.h>

#define PIN_WAYS 8
#define PIN_MEMBER_NONE UINT16_MAX

struct pin_secret {
	_Alignas(16) uint8_t key[64]; /* random, drawn once per table */
};

enum pin_state {
	PIN_EMPTY = 0,
	PIN_HALF_OPEN, /* TCP, only a SYN so far */
	PIN_CLOSING,   /* TCP, FIN or RST seen */
	PIN_LIVE,
};

struct pin_bucket {
	_Alignas(64) uint64_t entry[PIN_WAYS];
};

struct pin_table {
	struct pin_bucket *bucket;
	uint64_t mask; /* buckets - 1, a power of two */
};

/* Buckets for so many flows at a load of at most one half (16 bytes a flow), a power of two. */
size_t pin_buckets(uint32_t flows);

/*
 * Keyed hash of a flow for its service's affinity: FLOW all of the key, CLIENT source
 * address and service, NONE like FLOW. AES rounds where the CPU has them, SipHash of
 * libsodium elsewhere; the two differ, so the layout version of a kept table names the form.
 */
uint64_t pin_hash(const struct pin_secret *secret, const struct flow_key *key,
		  enum sl_affinity affinity, uint16_t service);

/* The portable form, whatever the CPU has: all 48 bytes of the key. */
uint64_t pin_hash_siphash(const struct pin_secret *secret, const struct flow_key *key);

/* "aes" or "siphash" */
const char *pin_hash_form(void);

static inline void pin_prefetch(const struct pin_table *table, uint64_t hash)
{
	__builtin_prefetch(&table->bucket[hash & table->mask], 1, 3);
}

/* An entry's place, for pin_use; valid until the next pin_insert of this worker. */
struct pin_hit {
	uint64_t *entry; /* NULL: no pin */
	uint16_t member;
	uint32_t age_s; /* since its last use */
	enum pin_state state;
};

/* Entries unused for longer than idle_s do not match. now_s: any clock that counts seconds. */
struct pin_hit pin_lookup(const struct pin_table *table, uint64_t hash, uint32_t now_s,
			  uint32_t idle_s);

/* Renews the last use and moves the state on; tcp_flags is 0 for all but TCP. */
void pin_use(struct pin_hit *hit, uint8_t tcp_flags, uint32_t now_s);

/*
 * Remembers member for this flow, in place of an entry with the same tag or of the least
 * valuable one; not at all where only live ones stand and the flow is not. Returns true if a live,
 * unexpired entry of another flow was given up.
 */
bool pin_insert(struct pin_table *table, uint64_t hash, uint16_t member, uint8_t tcp_flags,
		uint32_t now_s, uint32_t idle_s);
