/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bodies of pin.h, inlined into the worker's loop; compiled for AVX-512, AVX2, or anything.
 */
#pragma once

#include <rte_branch_prediction.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define PIN_FIN 0x01
#define PIN_SYN 0x02
#define PIN_RST 0x04

#define PIN_AGE_MASK 0x3fffu
#define PIN_STATE_SHIFT 14
#define PIN_MEMBER_SHIFT 16
#define PIN_SPILLED (1ull << 32)
#define PIN_TAG_MASK 0xfffffffe00000000ull

_Static_assert(PIN_WAYS * sizeof(uint64_t) == 64, "a bucket is a cache line");

static inline enum pin_state pin_state_of(uint64_t entry)
{
	return entry >> PIN_STATE_SHIFT & 3;
}

static inline uint32_t pin_age(uint64_t entry, uint32_t now_s)
{
	return (now_s - (uint32_t)entry) & PIN_AGE_MASK;
}

static inline uint64_t pin_pack(uint64_t hash, uint16_t member, enum pin_state state,
				uint32_t now_s)
{
	return (hash & PIN_TAG_MASK) | (uint64_t)member << PIN_MEMBER_SHIFT |
	       (uint64_t)state << PIN_STATE_SHIFT | (now_s & PIN_AGE_MASK);
}

/* Bit 2 i + 1: entry i has the tag of this hash. Tags are the odd ones of 16 words of 32 bits. */
#define PIN_TAG_WORDS 0xaaaau
static inline unsigned pin_matches(const struct pin_bucket *bucket, uint64_t hash)
{
	const uint64_t tag = hash & PIN_TAG_MASK;
#if defined(__AVX512F__)
	const __m512i mask = _mm512_set1_epi64((long long)PIN_TAG_MASK);

	return _mm512_mask_cmpeq_epi32_mask(PIN_TAG_WORDS,
					    _mm512_and_si512(_mm512_load_si512(bucket), mask),
					    _mm512_set1_epi64((long long)tag));
#elif defined(__AVX2__)
	const __m256i *half = (const __m256i *)bucket, t = _mm256_set1_epi64x((long long)tag);
	const __m256i mask = _mm256_set1_epi64x((long long)PIN_TAG_MASK);
	__m256i a = _mm256_cmpeq_epi32(_mm256_and_si256(half[0], mask), t);
	__m256i b = _mm256_cmpeq_epi32(_mm256_and_si256(half[1], mask), t);

	return (_mm256_movemask_ps((__m256)a) | _mm256_movemask_ps((__m256)b) << 8) & PIN_TAG_WORDS;
#else
	unsigned matches = 0;

	for (unsigned i = 0; i < PIN_WAYS; i++)
		matches |= (unsigned)((bucket->entry[i] & PIN_TAG_MASK) == tag) << (2 * i + 1);
	return matches;
#endif
}

/* Which entry of a flow's own bucket says whether flows like it were sent to the other one. */
static inline unsigned pin_spill_way(uint64_t hash)
{
	return hash >> 33 & (PIN_WAYS - 1);
}

static inline bool pin_has_spilled(const struct pin_bucket *bucket, uint64_t hash)
{
	return bucket->entry[pin_spill_way(hash)] & PIN_SPILLED;
}

/* The entry of the lowest match. */
static inline uint64_t *pin_first(struct pin_bucket *bucket, unsigned matches)
{
	return (uint64_t *)(void *)((uint32_t *)bucket->entry + __builtin_ctz(matches) - 1);
}

static inline struct pin_hit pin_lookup_in(struct pin_bucket *bucket, uint64_t hash, uint32_t now_s,
					   uint32_t idle_s)
{
	for (unsigned m = pin_matches(bucket, hash); m != 0; m &= m - 1) {
		uint64_t *entry = pin_first(bucket, m), e = *entry;
		uint32_t age_s = pin_age(e, now_s);

		if (likely(pin_state_of(e) != PIN_EMPTY) && likely(age_s <= idle_s))
			return (struct pin_hit){entry, e >> PIN_MEMBER_SHIFT, age_s,
						pin_state_of(e)};
	}
	return (struct pin_hit){.member = PIN_MEMBER_NONE};
}

static inline struct pin_hit pin_lookup(const struct pin_table *table, uint64_t hash,
					uint32_t now_s, uint32_t idle_s)
{
	struct pin_bucket *bucket = pin_bucket(table, hash);
	struct pin_hit hit = pin_lookup_in(bucket, hash, now_s, idle_s);

	if (likely(!hit.entry) && unlikely(pin_has_spilled(bucket, hash)))
		hit = pin_lookup_in(pin_other(bucket), hash, now_s, idle_s);
	return hit;
}

static inline enum pin_state pin_first_state(uint8_t tcp_flags)
{
	if (tcp_flags & (PIN_FIN | PIN_RST))
		return PIN_CLOSING;
	return tcp_flags & PIN_SYN ? PIN_HALF_OPEN : PIN_LIVE;
}

/*
 * A SYN on a live flow changes nothing, or a forged one would open the flow to eviction. On a
 * closing one it is a new connection. Packets after FIN are acknowledgements of the other half.
 */
static inline enum pin_state pin_next_state(enum pin_state state, uint8_t tcp_flags)
{
	if (unlikely(tcp_flags & (PIN_FIN | PIN_RST)))
		return PIN_CLOSING;
	if (likely(state == PIN_LIVE))
		return state;
	if (state == PIN_CLOSING)
		return tcp_flags & PIN_SYN ? PIN_HALF_OPEN : PIN_CLOSING;
	return tcp_flags & PIN_SYN ? PIN_HALF_OPEN : PIN_LIVE;
}

/* A cache line that would not change is not dirtied: most packets come within one second. */
static inline void pin_use(struct pin_hit *hit, uint8_t tcp_flags, uint32_t now_s)
{
	const uint64_t changes = 3ull << PIN_STATE_SHIFT | PIN_AGE_MASK;
	uint64_t old = *hit->entry, new;

	hit->state = pin_next_state(hit->state, tcp_flags);
	hit->age_s = 0;
	new = (old & ~changes) | pin_pack(0, 0, hit->state, now_s);
	if (new != old)
		__atomic_store_n(hit->entry, new, __ATOMIC_RELAXED);
}

/*
 * What is lost with an entry, in 16 bits: its state, 0 if it is expired; below, how recent its use
 * was. Together with its way above them, so that the lowest of a bucket names itself.
 */
#define PIN_VALUE_LIVE ((uint32_t)PIN_LIVE << PIN_STATE_SHIFT)
#define PIN_VALUE_MASK 0xffffu
#define PIN_VALUE_WAY_SHIFT 16

#if defined(__SSE4_1__)
/* The states and ages of a bucket's entries. */
static inline __m128i pin_states(const struct pin_bucket *bucket)
{
#if defined(__AVX512VL__) && defined(__AVX512BW__)
	return _mm512_cvtepi64_epi16(_mm512_load_si512(bucket));
#else
	const __m128i *pair = (const __m128i *)bucket, mask = _mm_set1_epi64x(PIN_VALUE_MASK);
	__m128i low = _mm_packus_epi32(pair[0] & mask, pair[1] & mask);
	__m128i high = _mm_packus_epi32(pair[2] & mask, pair[3] & mask);

	return _mm_packus_epi32(low, high);
#endif
}
#endif

/* Way and value of the least valuable entry, the first of equal ones. */
static inline uint32_t pin_least(const struct pin_bucket *bucket, uint32_t now_s, uint32_t idle_s)
{
#if defined(__SSE4_1__)
	const __m128i mask = _mm_set1_epi16(PIN_AGE_MASK);
	__m128i e = pin_states(bucket);
	/* PIN_AGE_MASK - age */
	__m128i recent = _mm_sub_epi16(e, _mm_set1_epi16(now_s + 1)) & mask;
	__m128i expired = _mm_cmpgt_epi16(_mm_set1_epi16(PIN_AGE_MASK - idle_s), recent);

	return _mm_cvtsi128_si32(_mm_minpos_epu16(_mm_andnot_si128(expired | mask, e) | recent));
#else
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < PIN_WAYS; i++) {
		uint64_t e = bucket->entry[i];
		uint32_t age_s = pin_age(e, now_s), value = PIN_AGE_MASK - age_s;

		if (age_s <= idle_s)
			value |= pin_state_of(e) << PIN_STATE_SHIFT;
		if (value < (least & PIN_VALUE_MASK))
			least = i << PIN_VALUE_WAY_SHIFT | value;
	}
	return least;
#endif
}

static inline bool pin_is_live(uint32_t least)
{
	return (least & PIN_VALUE_MASK) >= PIN_VALUE_LIVE;
}

static inline uint64_t *pin_least_entry(struct pin_bucket *bucket, uint32_t least)
{
	return &bucket->entry[least >> PIN_VALUE_WAY_SHIFT];
}

static inline uint64_t *pin_same_tag(struct pin_bucket *bucket, uint64_t hash)
{
	unsigned matches = pin_matches(bucket, hash);

	return matches ? pin_first(bucket, matches) : NULL;
}

static inline void pin_set(uint64_t *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

/* Forgets that flows like this one were sent to the other line once none is there any more. */
static inline void pin_unspill(struct pin_bucket *bucket, uint64_t hash)
{
	const struct pin_bucket *other = pin_other(bucket);
	unsigned way = pin_spill_way(hash);

	for (unsigned i = 0; i < PIN_WAYS; i++)
		if (pin_state_of(other->entry[i]) != PIN_EMPTY &&
		    pin_spill_way(other->entry[i]) == way)
			return;
	pin_set(&bucket->entry[way], bucket->entry[way] & ~PIN_SPILLED);
}

/*
 * The place of a new flow that stands nowhere yet: the least valuable entry of its own line, or if
 * only live ones are there, of both. `live`: so is that one.
 */
static inline uint64_t *pin_place(struct pin_bucket *bucket, uint64_t hash, uint32_t now_s,
				  uint32_t idle_s, bool *live, bool may_evict)
{
	struct pin_bucket *other = pin_other(bucket);
	uint32_t own = pin_least(bucket, now_s, idle_s), way = pin_spill_way(hash), theirs;

	*live = pin_is_live(own);
	if (!*live)
		return pin_least_entry(bucket, own);
	theirs = pin_least(other, now_s, idle_s);
	if ((own & PIN_VALUE_MASK) <= (theirs & PIN_VALUE_MASK))
		return pin_least_entry(bucket, own);
	*live = pin_is_live(theirs);
	if (!*live || may_evict)
		pin_set(&bucket->entry[way], bucket->entry[way] | PIN_SPILLED);
	return pin_least_entry(other, theirs);
}

/* A new flow's usual case: nothing with its tag, and an entry worth less than a live one. */
static inline bool pin_insert_in(struct pin_bucket *bucket, uint64_t hash, uint16_t member,
				 uint8_t tcp_flags, uint32_t now_s, uint32_t idle_s)
{
	uint32_t least = pin_least(bucket, now_s, idle_s);
	uint64_t *entry = pin_least_entry(bucket, least);

	if (unlikely(pin_matches(bucket, hash) != 0) || unlikely(pin_has_spilled(bucket, hash)) ||
	    unlikely(pin_is_live(least)))
		return false;
	pin_set(entry,
		pin_pack(hash, member, pin_first_state(tcp_flags), now_s) | (*entry & PIN_SPILLED));
	return true;
}

static inline enum pin_inserted pin_insert(const struct pin_table *table, uint64_t hash,
					   uint16_t member, uint8_t tcp_flags, uint32_t now_s,
					   uint32_t idle_s)
{
	struct pin_bucket *bucket = pin_bucket(table, hash);
	enum pin_state state = pin_first_state(tcp_flags);
	bool live = false;
	uint64_t *entry;

	if (likely(pin_insert_in(bucket, hash, member, tcp_flags, now_s, idle_s)))
		return PIN_INSERTED;
	/* An empty entry has tag 0: taking it for a match is right too. */
	entry = pin_same_tag(bucket, hash);
	if (!entry && pin_has_spilled(bucket, hash)) {
		entry = pin_same_tag(pin_other(bucket), hash);
		if (!entry)
			pin_unspill(bucket, hash);
	}
	if (!entry)
		entry = pin_place(bucket, hash, now_s, idle_s, &live, state == PIN_LIVE);
	if (live && state != PIN_LIVE)
		return PIN_REFUSED;
	pin_set(entry, pin_pack(hash, member, state, now_s) | (*entry & PIN_SPILLED));
	return live ? PIN_EVICTED : PIN_INSERTED;
}
