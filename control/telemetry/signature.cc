/* SPDX-License-Identifier: BSD-3-Clause */
extern "C" {
#include "signature.h"
}
#include <cryptopp/donna.h>
#include <sodium.h>

/* 2^252 + 27742317777372353535851937790883648493, RFC 8032 section 5.1, the lowest byte first */
static const uint8_t ORDER[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
				  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,	  0,	0,    0,
				  0,	0,    0,    0,	  0,	0,    0,    0,	  0,	0x10};
static const uint8_t NEUTRAL[32] = {1};

bool signature_valid(const uint8_t key[32], const uint8_t *text, size_t bytes,
		     const uint8_t signature[64])
{
	const uint8_t *r = signature, *s = signature + 32;

	return sodium_compare(s, ORDER, sizeof(ORDER)) < 0 &&
	       sodium_memcmp(r, NEUTRAL, sizeof(NEUTRAL)) != 0 &&
	       CryptoPP::Donna::ed25519_sign_open(text, bytes, key, signature) == 0;
}
