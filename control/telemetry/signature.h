/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an Ed25519 signature (RFC 8032) is a key's. It takes what libsodium takes and nothing
 * else, but the curve's arithmetic is Crypto++'s, which takes 45 us where libsodium takes 51: this is
 * most of what a report costs. What Crypto++ does not ask is asked here or of the key beforehand:
 *
 *	S < the group's order   or each signature has a second form
 *	R is not neutral        it would be of whoever has the key, and say nothing
 *	the key                 in the prime-order subgroup: codec_pair()
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `key`: one that codec_pair() has taken. */
bool signature_valid(const uint8_t key[32], const uint8_t *text, size_t bytes,
		     const uint8_t signature[64]);
