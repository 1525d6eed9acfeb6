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
 * What is lost with an entry: its state, or 1 if it is expired, in the high bits; below, how
 * recent its use was; below, its way, so that all differ and the first of equal ones is the least.
 */
#define PIN_VALUE_WAY 8u
#define PIN_VALUE_EXPIRED (1u << PIN_STATE_SHIFT)
#define PIN_VALUE_LIVE ((uint32_t)PIN_LIVE << (PIN_STATE_SHIFT + 1))

static inline uint32_t pin_value(uint64_t entry, uint32_t way, uint32_t now_s, uint32_t idle_s)
{
	uint32_t age_s = pin_age(entry, now_s);
	uint32_t value = ((uint32_t)entry & 3u << PIN_STATE_SHIFT) << 1;

	if (value != 0 && age_s > idle_s)
		value = PIN_VALUE_EXPIRED;
	return (value | (PIN_AGE_MASK - age_s)) * PIN_VALUE_WAY + way;
}

static inline uint32_t pin_least(const struct pin_bucket *bucket, uint32_t now_s, uint32_t idle_s)
{
#if defined(__AVX512VL__) && defined(__AVX512DQ__)
	const __m256i way = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i e = _mm512_cvtepi64_epi32(_mm512_load_si512(bucket));
	__m256i mask = _mm256_set1_epi32(PIN_AGE_MASK);
	__m256i age = _mm256_and_si256(_mm256_sub_epi32(_mm256_set1_epi32(now_s), e), mask);
	__m256i value = _mm256_and_si256(_mm256_slli_epi32(e, 1),
					 _mm256_set1_epi32(3 << (PIN_STATE_SHIFT + 1)));
	__mmask8 expired = _mm256_mask_cmpgt_epi32_mask(_mm256_test_epi32_mask(value, value), age,
							_mm256_set1_epi32(idle_s));
	__m128i least;

	value = _mm256_mask_mov_epi32(value, expired, _mm256_set1_epi32(PIN_VALUE_EXPIRED));
	value = _mm256_or_si256(value, _mm256_sub_epi32(mask, age));
	value = _mm256_or_si256(_mm256_slli_epi32(value, 3), way);
	least = _mm_min_epu32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
	least = _mm_min_epu32(least, _mm_shuffle_epi32(least, 0x4e));
	least = _mm_min_epu32(least, _mm_shuffle_epi32(least, 0xb1));
	return _mm_cvtsi128_si32(least);
#else
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < PIN_WAYS; i++) {
		uint32_t value = pin_value(bucket->entry[i], i, now_s, idle_s);

		least = value < least ? value : least;
	}
	return least;
#endif
}

static inline bool pin_is_live(uint32_t value)
{
	return value >= PIN_VALUE_LIVE * PIN_VALUE_WAY;
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
		return &bucket->entry[own % PIN_VALUE_WAY];
	theirs = pin_least(other, now_s, idle_s);
	if (own / PIN_VALUE_WAY <= theirs / PIN_VALUE_WAY)
		return &bucket->entry[own % PIN_VALUE_WAY];
	*live = pin_is_live(theirs);
	if (!*live || may_evict)
		pin_set(&bucket->entry[way], bucket->entry[way] | PIN_SPILLED);
	return &other->entry[theirs % PIN_VALUE_WAY];
}

/* A new flow's usual case: nothing with its tag, and an entry that is worth less than a live one.
 */
static inline bool pin_insert_in(struct pin_bucket *bucket, uint64_t hash, uint16_t member,
				 uint8_t tcp_flags, uint32_t now_s, uint32_t idle_s)
{
	uint32_t value = pin_least(bucket, now_s, idle_s);
	uint64_t *entry = &bucket->entry[value % PIN_VALUE_WAY];

	if (unlikely(pin_matches(bucket, hash) != 0) || unlikely(pin_has_spilled(bucket, hash)) ||
	    unlikely(pin_is_live(value)))
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
