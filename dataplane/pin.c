/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin.h"
#include <sodium.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AES_FORM 1
#endif

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

#define AGE_MASK 0x3fffu
#define STATE_SHIFT 14
#define MEMBER_SHIFT 16
#define TAG_SHIFT 32

_Static_assert(PIN_WAYS * sizeof(uint64_t) == 64, "a bucket is a cache line");
_Static_assert(sizeof(struct pin_secret) >= crypto_shorthash_KEYBYTES, "key of the fallback");

size_t pin_buckets(uint32_t flows)
{
	size_t entries = (size_t)flows * 2, buckets = 1;

	while (buckets * PIN_WAYS < entries)
		buckets *= 2;
	return buckets;
}

#ifdef HAVE_AES_FORM
/*
 * Each block gets keys of its own and two rounds, which spread every byte over all 16; the sum
 * gets three more. So all 64 bits taken depend on all 48 bytes and on the whole secret.
 */
static __attribute__((target("aes,sse4.1"))) uint64_t hash_aes(const struct pin_secret *secret,
							       const struct flow_key *key)
{
	const __m128i *k = (const __m128i *)secret->key;
	const __m128i *block = (const __m128i *)key;
	__m128i a = _mm_xor_si128(_mm_loadu_si128(&block[0]), k[0]);
	__m128i b = _mm_xor_si128(_mm_loadu_si128(&block[1]), k[1]);
	__m128i c = _mm_xor_si128(_mm_loadu_si128(&block[2]), k[2]);

	a = _mm_aesenc_si128(_mm_aesenc_si128(a, k[3]), k[1]);
	b = _mm_aesenc_si128(_mm_aesenc_si128(b, k[0]), k[2]);
	c = _mm_aesenc_si128(_mm_aesenc_si128(c, k[1]), k[0]);
	a = _mm_xor_si128(_mm_xor_si128(a, b), c);
	a = _mm_aesenc_si128(a, k[1]);
	a = _mm_aesenc_si128(a, k[2]);
	a = _mm_aesenc_si128(a, k[3]);
	return (uint64_t)_mm_cvtsi128_si64(a);
}

static inline bool aes_usable(void)
{
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}
#else
static inline bool aes_usable(void)
{
	return false;
}

static uint64_t hash_aes(const struct pin_secret *secret, const struct flow_key *key)
{
	return pin_hash_siphash(secret, key);
}
#endif

uint64_t pin_hash_siphash(const struct pin_secret *secret, const struct flow_key *key)
{
	uint64_t hash;

	_Static_assert(sizeof hash == crypto_shorthash_BYTES, "64 bits");
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, sizeof *key,
			 secret->key);
	return hash;
}

/* Protocol 0 keeps these apart from flows. */
static struct flow_key client_key(const struct flow_key *key, uint16_t service)
{
	struct flow_key client = {.source_port = service, .family = key->family};

	memcpy(client.source, key->source, sizeof client.source);
	return client;
}

uint64_t pin_hash(const struct pin_secret *secret, const struct flow_key *key,
		  enum sl_affinity affinity, uint16_t service)
{
	struct flow_key client;

	if (affinity == SL_AFFINITY_CLIENT) {
		client = client_key(key, service);
		key = &client;
	}
	return aes_usable() ? hash_aes(secret, key) : pin_hash_siphash(secret, key);
}

const char *pin_hash_form(void)
{
	return aes_usable() ? "aes" : "siphash";
}

static inline uint32_t tag_of(uint64_t hash)
{
	return hash >> TAG_SHIFT;
}

static inline uint16_t member_of(uint64_t entry)
{
	return entry >> MEMBER_SHIFT;
}

static inline enum pin_state state_of(uint64_t entry)
{
	return entry >> STATE_SHIFT & 3;
}

static inline uint32_t age_of(uint64_t entry, uint32_t now_s)
{
	return (now_s - (uint32_t)entry) & AGE_MASK;
}

static inline uint64_t pack(uint32_t tag, uint16_t member, enum pin_state state, uint32_t now_s)
{
	return (uint64_t)tag << TAG_SHIFT | (uint64_t)member << MEMBER_SHIFT |
	       (uint64_t)state << STATE_SHIFT | (now_s & AGE_MASK);
}

/* Bit i: entry i has this tag. Compiles to vector compares, no branches. */
static inline unsigned tag_matches(const struct pin_bucket *bucket, uint32_t tag)
{
	static const uint32_t bit[PIN_WAYS] = {1, 2, 4, 8, 16, 32, 64, 128};
	uint32_t matches = 0;

	for (unsigned i = 0; i < PIN_WAYS; i++)
		matches |= (uint32_t)(bucket->entry[i] >> TAG_SHIFT) == tag ? bit[i] : 0;
	return matches;
}

struct pin_hit pin_lookup(const struct pin_table *table, uint64_t hash, uint32_t now_s,
			  uint32_t idle_s)
{
	struct pin_bucket *bucket = &table->bucket[hash & table->mask];
	unsigned matches = tag_matches(bucket, tag_of(hash));

	for (; matches != 0; matches &= matches - 1) {
		uint64_t *entry = &bucket->entry[__builtin_ctz(matches)];
		uint32_t age_s = age_of(*entry, now_s);

		if (state_of(*entry) != PIN_EMPTY && age_s <= idle_s)
			return (struct pin_hit){entry, member_of(*entry), age_s, state_of(*entry)};
	}
	return (struct pin_hit){.member = PIN_MEMBER_NONE};
}

static inline enum pin_state first_state(uint8_t tcp_flags)
{
	if (tcp_flags & (TCP_FIN | TCP_RST))
		return PIN_CLOSING;
	return tcp_flags & TCP_SYN ? PIN_HALF_OPEN : PIN_LIVE;
}

/*
 * A SYN on a live flow changes nothing, or a forged one would open the flow to eviction. On a
 * closing one it is a new connection. Packets after FIN are acknowledgements of the other half.
 */
static inline enum pin_state next_state(enum pin_state state, uint8_t tcp_flags)
{
	if (tcp_flags & (TCP_FIN | TCP_RST))
		return PIN_CLOSING;
	if (state == PIN_CLOSING)
		return tcp_flags & TCP_SYN ? PIN_HALF_OPEN : PIN_CLOSING;
	if (state == PIN_HALF_OPEN)
		return tcp_flags & TCP_SYN ? PIN_HALF_OPEN : PIN_LIVE;
	return state;
}

/* A cache line that would not change is not dirtied: most packets come within one second. */
void pin_use(struct pin_hit *hit, uint8_t tcp_flags, uint32_t now_s)
{
	uint64_t old = *hit->entry, new;

	hit->state = next_state(hit->state, tcp_flags);
	hit->age_s = 0;
	new = pack(tag_of(old), hit->member, hit->state, now_s);
	if (new != old)
		__atomic_store_n(hit->entry, new, __ATOMIC_RELAXED);
}

/* What is lost with an entry: its class (see pin.h), then the more recent use. */
static inline uint32_t value_of(uint64_t entry, uint32_t now_s, uint32_t idle_s)
{
	static const uint32_t class[] = {
		[PIN_EMPTY] = 0, [PIN_CLOSING] = 2, [PIN_HALF_OPEN] = 3, [PIN_LIVE] = 4};
	uint32_t age_s = age_of(entry, now_s);
	uint32_t rank = class[state_of(entry)];

	if (rank != 0 && age_s > idle_s)
		rank = 1;
	return rank << 14 | (AGE_MASK - age_s);
}

#define VALUE_LIVE (4u << 14)

static unsigned least_valuable(const struct pin_bucket *bucket, uint32_t now_s, uint32_t idle_s,
			       uint32_t *value)
{
	unsigned least = 0;

	*value = value_of(bucket->entry[0], now_s, idle_s);
	for (unsigned i = 1; i < PIN_WAYS; i++) {
		uint32_t other = value_of(bucket->entry[i], now_s, idle_s);

		if (other < *value) {
			*value = other;
			least = i;
		}
	}
	return least;
}

bool pin_insert(struct pin_table *table, uint64_t hash, uint16_t member, uint8_t tcp_flags,
		uint32_t now_s, uint32_t idle_s)
{
	struct pin_bucket *bucket = &table->bucket[hash & table->mask];
	enum pin_state state = first_state(tcp_flags);
	unsigned matches = tag_matches(bucket, tag_of(hash)), at;
	uint32_t value = 0;

	/* A zeroed entry has tag 0: taking it for a match is right too. */
	at = matches != 0 ? (unsigned)__builtin_ctz(matches)
			  : least_valuable(bucket, now_s, idle_s, &value);
	if (value >= VALUE_LIVE && state != PIN_LIVE)
		return false;
	__atomic_store_n(&bucket->entry[at], pack(tag_of(hash), member, state, now_s),
			 __ATOMIC_RELAXED);
	return value >= VALUE_LIVE;
}
