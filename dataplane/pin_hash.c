/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_hash.h"
#include <sodium.h>

_Static_assert(sizeof(struct pin_secret) >= crypto_shorthash_KEYBYTES, "key of the portable form");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "64 bits");

uint64_t pin_hash_siphash(const struct pin_secret *secret, const uint8_t block[32])
{
	uint64_t hash;

	crypto_shorthash((unsigned char *)&hash, block, 32, secret->key);
	return hash;
}

const char *pin_hash_form(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1"))
		return "aes";
#endif
	return "siphash";
}
