/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyed hash of a flow, 64 bits: what a client can choose (its address and port), and the
 * service. AES rounds where the CPU has them, SipHash of libsodium elsewhere; the two
 * differ, so the layout version of a kept table names the form.
 *
 * Two blocks of 16 bytes are hashed, so laid out that a masked load from a packet is one:
 *
 *	first:  source address 16                                    (IPv6 only)
 *	second: source address 4 (IPv4) | 0 4 | source port 2 | 0 2 | service 2 | family 1 |
 *affinity 1
 *
 * Affinity CLIENT leaves the port 0. The other addresses of the 5-tuple are the service's.
 */
#pragma once

#include "parse.h"
#include <stddef.h>
#include <string.h>
#if defined(__AES__) && defined(__SSE4_1__)
#include <immintrin.h>
#define PIN_HASH_AES 1
#endif

struct pin_secret {
	_Alignas(16) uint8_t key[64]; /* random, drawn once per table */
};

/* 16 bytes before the upper-layer header's ninth: what of them counts, and what is put in. */
struct pin_mask {
	_Alignas(16) uint8_t keep[16];
	uint8_t put[16];
};

static inline struct pin_mask pin_mask(uint8_t family, enum sl_affinity affinity, uint16_t service)
{
	struct pin_mask mask = {.put = {[14] = family, [15] = affinity == SL_AFFINITY_CLIENT}};

	memcpy(mask.put + 12, &service, sizeof(service));
	memset(mask.keep, family == 4 ? 0xff : 0, 4);
	memset(mask.keep + 8, affinity == SL_AFFINITY_CLIENT ? 0 : 0xff, 2);
	return mask;
}

/* SipHash-2-4 of both blocks. */
uint64_t pin_hash_siphash(const struct pin_secret *secret, const uint8_t block[32]);

/* "aes" or "siphash": what this CPU gets */
const char *pin_hash_form(void);

#ifdef PIN_HASH_AES
/*
 * Whitening and five rounds, so that each of the 64 bits taken depends on every bit of the block
 * and on the whole secret; an IPv6 source has two rounds of its own before that.
 */
static inline uint64_t pin_hash_aes(const struct pin_secret *secret, __m128i block)
{
	const __m128i *k = (const __m128i *)secret->key;
	__m128i a = _mm_xor_si128(block, k[0]);

	a = _mm_aesenc_si128(a, k[1]);
	a = _mm_aesenc_si128(a, k[2]);
	a = _mm_aesenc_si128(a, k[3]);
	a = _mm_aesenc_si128(a, k[0]);
	a = _mm_aesenc_si128(a, k[1]);
	return (uint64_t)_mm_cvtsi128_si64(a);
}

static inline __m128i pin_hash_source(const struct pin_secret *secret, const uint8_t *source)
{
	const __m128i *k = (const __m128i *)secret->key;
	__m128i a = _mm_xor_si128(_mm_loadu_si128((const __m128i *)source), k[2]);

	return _mm_aesenc_si128(_mm_aesenc_si128(a, k[3]), k[0]);
}

static inline __m128i pin_hash_block(const struct pin_mask *mask, const uint8_t *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)at);

	v = _mm_and_si128(v, *(const __m128i *)mask->keep);
	return _mm_or_si128(v, *(const __m128i *)mask->put);
}
#endif

/* The 16 bytes from eight before the upper-layer header on, masked. */
static inline void pin_hash_take(uint8_t block[16], const struct pin_mask *mask, const uint8_t *at)
{
	for (unsigned i = 0; i < 16; i++)
		block[i] = (at[i] & mask->keep[i]) | mask->put[i];
}

/* Straight from an IPv4 header of 20 bytes, a UDP or TCP header after it. */
static inline uint64_t pin_hash_ipv4(const struct pin_secret *secret, const struct pin_mask *mask,
				     const uint8_t *ip)
{
#ifdef PIN_HASH_AES
	return pin_hash_aes(secret, pin_hash_block(mask, ip + 12));
#else
	uint8_t block[32] = {0};

	pin_hash_take(block + 16, mask, ip + 12);
	return pin_hash_siphash(secret, block);
#endif
}

/* Straight from an IPv6 header, a UDP or TCP header after it. */
static inline uint64_t pin_hash_ipv6(const struct pin_secret *secret, const struct pin_mask *mask,
				     const uint8_t *ip)
{
#ifdef PIN_HASH_AES
	return pin_hash_aes(secret, _mm_xor_si128(pin_hash_source(secret, ip + 8),
						  pin_hash_block(mask, ip + 32)));
#else
	uint8_t block[32];

	memcpy(block, ip + 8, 16);
	pin_hash_take(block + 16, mask, ip + 32);
	return pin_hash_siphash(secret, block);
#endif
}

/* The same, of a flow that was parsed. */
static inline uint64_t pin_hash(const struct pin_secret *secret, const struct flow_key *key,
				enum sl_affinity affinity, uint16_t service)
{
	struct pin_mask mask = pin_mask(key->family, affinity, service);
	uint8_t ip[56] = {0};
	uint8_t *ports = key->family == 4 ? ip + 20 : ip + 40;

	memcpy(ip + (key->family == 4 ? 12 : 8), key->source, key->family == 4 ? 4 : 16);
	memcpy(ports, &key->source_port, sizeof(key->source_port));
	return key->family == 4 ? pin_hash_ipv4(secret, &mask, ip)
				: pin_hash_ipv6(secret, &mask, ip);
}
