/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures are taken as libsodium takes them, the good ones and those made to differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/telemetry/codec.h"
#include "control/telemetry/signature.h"

#define ROUNDS 300
#define TEXT_MAX 1415

/* RFC 8032 section 7.1: public key, message, signature */
static const struct vector {
	const char *what, *key, *text, *signature;
} vectors[] = {
	{"test 1", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
	 "c"
	 "f9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"test 2", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
	 "0"
	 "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"test 3", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
	 "8"
	 "4dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

/* Of order 1, 2, 4, 4, 8, 8, 8, 8; then 1, 2 and 4 in encodings that are not canonical. */
static const char *const small_order[] = {
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static const char order_text[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

static size_t from_hex(uint8_t *out, size_t room, const char *text)
{
	size_t bytes;

	assert_int_equal(sodium_hex2bin(out, room, text, strlen(text), NULL, &bytes, NULL), 0);
	return bytes;
}

static bool libsodium(const struct key *key, const uint8_t *text, size_t bytes,
		      const uint8_t *signature)
{
	return crypto_sign_verify_detached(signature, text, bytes, key->public) == 0;
}

/* Both say the same; that. */
static bool both(const struct key *key, const uint8_t *text, size_t bytes, const uint8_t *signature)
{
	bool ours = signature_valid(key->public, text, bytes, signature);

	assert_int_equal(ours, libsodium(key, text, bytes, signature));
	return ours;
}

struct made {
	struct key key;
	uint8_t text[TEXT_MAX], signature[64];
	size_t bytes;
};

static void make(struct made *m)
{
	crypto_sign_keypair(m->key.public, m->key.secret);
	m->bytes = randombytes_uniform(TEXT_MAX + 1);
	randombytes_buf(m->text, sizeof(m->text));
	crypto_sign_detached(m->signature, NULL, m->text, m->bytes, m->key.secret);
}

static void takes_those_of_the_rfc(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		uint8_t key[32], text[8], signature[64];
		size_t bytes = from_hex(text, sizeof(text), vectors[i].text);

		from_hex(key, sizeof(key), vectors[i].key);
		from_hex(signature, sizeof(signature), vectors[i].signature);
		if (!signature_valid(key, text, bytes, signature))
			fail_msg("%s", vectors[i].what);
		signature[i] ^= 1;
		assert_false(signature_valid(key, text, bytes, signature));
	}
}

static void agrees_on_changes(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct made m, other;

		make(&m);
		make(&other);
		assert_true(both(&m.key, m.text, m.bytes, m.signature));
		assert_false(both(&other.key, m.text, m.bytes, m.signature));
		m.signature[round * 8 / 5 % 64] ^= (uint8_t)(1u << randombytes_uniform(8));
		assert_false(both(&m.key, m.text, m.bytes, m.signature));
		if (other.bytes == 0)
			continue;
		other.text[randombytes_uniform((uint32_t)other.bytes)] ^= 1;
		assert_false(both(&other.key, other.text, other.bytes, other.signature));
	}
}

/* S and S plus the order are the same to the curve: only one may count. */
static void takes_one_form_of_each(void **unused)
{
	uint8_t order[32];
	struct made m;

	(void)unused;
	from_hex(order, sizeof(order), order_text);
	for (unsigned round = 0; round < ROUNDS; round++) {
		make(&m);
		for (unsigned times = 1; times < 8; times++) {
			sodium_add(m.signature + 32, order, sizeof(order));
			assert_false(both(&m.key, m.text, m.bytes, m.signature));
		}
	}
	/* the order itself, and zero: S of R = -hA, which nobody can make */
	memcpy(m.signature + 32, order, sizeof(order));
	assert_false(both(&m.key, m.text, m.bytes, m.signature));
}

/* R neutral, S = h a: right by the equation for whoever has the key. */
static void refuses_r_that_says_nothing(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(*small_order); i++) {
		uint8_t wide[64] = {0}, hash[64], scalar[32], h[32];
		crypto_hash_sha512_state state;
		struct made m;

		make(&m);
		from_hex(m.signature, 32, small_order[i]);
		crypto_sign_ed25519_sk_to_curve25519(wide, m.key.secret); /* a, as it is clamped */
		crypto_core_ed25519_scalar_reduce(scalar, wide);
		crypto_hash_sha512_init(&state);
		crypto_hash_sha512_update(&state, m.signature, 32);
		crypto_hash_sha512_update(&state, m.key.public, 32);
		crypto_hash_sha512_update(&state, m.text, m.bytes);
		crypto_hash_sha512_final(&state, hash);
		crypto_core_ed25519_scalar_reduce(h, hash);
		crypto_core_ed25519_scalar_mul(m.signature + 32, h, scalar);
		assert_false(both(&m.key, m.text, m.bytes, m.signature));
	}
}

/* What signature_valid() does not ask of a key is asked when it becomes known. */
static void keys_are_asked_first(void **unused)
{
	uint8_t pair[CODEC_PAIR_BYTES];
	struct key own, other;

	(void)unused;
	crypto_sign_keypair(own.public, own.secret);
	for (size_t i = 0; i < sizeof(small_order) / sizeof(*small_order); i++) {
		from_hex(other.public, sizeof(other.public), small_order[i]);
		assert_int_equal(codec_pair(&own, other.public, pair), -EINVAL);
		/* a point of the other kind too: a key plus one of order 2 to 8 */
		if (i == 0 || i >= 8)
			continue;
		assert_int_equal(crypto_core_ed25519_add(other.public, own.public, other.public),
				 0);
		assert_int_equal(codec_pair(&own, other.public, pair), -EINVAL);
	}
	/* the second encodings, 2^255 - 19 and above: all are outside of the subgroup */
	for (unsigned low = 0xed; low <= 0xff; low++)
		for (unsigned sign = 0; sign < 2; sign++) {
			memset(other.public, 0xff, sizeof(other.public));
			other.public[0] = (uint8_t)low;
			other.public[31] = (uint8_t)(0x7f | sign << 7);
			assert_int_equal(codec_pair(&own, other.public, pair), -EINVAL);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_those_of_the_rfc),
		cmocka_unit_test(agrees_on_changes),
		cmocka_unit_test(takes_one_form_of_each),
		cmocka_unit_test(refuses_r_that_says_nothing),
		cmocka_unit_test(keys_are_asked_first),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
