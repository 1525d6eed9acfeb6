/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets byte for byte as figures 2 to 5 of RFC 8762 place their fields. HMACs and timestamps
 * were computed by Python's hmac and integers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/stamp.h"

#define T1 1700000000123456789
#define T2 (T1 + 2000000)
#define T3 (T2 + 1500)
#define NTP1 0xe8, 0xfe, 0x6f, 0x80, 0x1f, 0x9a, 0xdd, 0x38
#define NTP2 0xe8, 0xfe, 0x6f, 0x80, 0x20, 0x1d, 0xef, 0xa6
#define NTP3 0xe8, 0xfe, 0x6f, 0x80, 0x20, 0x1e, 0x08, 0xd1
#define SEQUENCE 0x01, 0x02, 0x03, 0x04
#define ZERO4 0, 0, 0, 0
#define ZERO8 ZERO4, ZERO4
#define ZERO12 ZERO8, ZERO4

static const uint8_t sent[STAMP_BYTES] = {
	SEQUENCE, NTP1, 0x8a, 0x01, 0xbe, 0xef, ZERO12, ZERO12, ZERO4,
};
static const uint8_t reflected[STAMP_BYTES] = {
	0,	  0,	0,    7,    NTP3, 0x0a, 0x02, 0xbe, 0xef, NTP2,
	SEQUENCE, NTP1, 0x8a, 0x01, 0,	  0,	254,  0,    0,	  0,
};
static const uint8_t sent_authenticated[STAMP_AUTHENTICATED_BYTES] = {
	SEQUENCE, ZERO12, NTP1,	 0x8a, 0x01, 0xbe, 0xef, ZERO12, ZERO12, ZERO12,
	ZERO12,	  ZERO12, ZERO8, 0xf0, 0x03, 0x4d, 0x18, 0x10,	 0x7b,	 0xaa,
	0x88,	  0xd0,	  0x1f,	 0x36, 0xf3, 0xd3, 0xee, 0xc8,	 0xb4,
};
static const uint8_t reflected_authenticated[STAMP_AUTHENTICATED_BYTES] = {
	0,	0,     0,	 7,	 ZERO12, NTP3, 0x0a, 0x02, 0xbe, 0xef,	ZERO4,
	NTP2,	ZERO8, SEQUENCE, ZERO12, NTP1,	 0x8a, 0x01, 0,	   0,	 ZERO4, 254,
	ZERO12, 0,     0,	 0,	 0x3f,	 0x2c, 0x50, 0xdc, 0x99, 0xcd,	0x6d,
	0x1d,	0x62,  0x34,	 0x34,	 0x7a,	 0x69, 0x52, 0xf7, 0xee,
};

static const struct stamp_key open_key;
static struct stamp_key secret_key;
static const struct stamp_probe probe = {0x01020304, T1, 0x8a01, 0xbeef};
static const struct stamp_reflection reflection = {7, T2, T3, 0x0a02, 254};

static int setup(void **state)
{
	uint8_t secret[32];

	(void)state;
	for (unsigned i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	stamp_key_set(&secret_key, secret, sizeof(secret));
	return sodium_init() < 0;
}

static const struct {
	const char *what;
	const struct stamp_key *key;
	const uint8_t *sent, *reflected;
	size_t bytes;
} modes[] = {
	{"unauthenticated", &open_key, sent, reflected, STAMP_BYTES},
	{"authenticated", &secret_key, sent_authenticated, reflected_authenticated,
	 STAMP_AUTHENTICATED_BYTES},
};
#define MODES (sizeof(modes) / sizeof(*modes))

static void test_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODES; i++) {
		uint8_t data[STAMP_AUTHENTICATED_BYTES];
		struct stamp_probe read;

		print_message("%s\n", modes[i].what);
		assert_int_equal(stamp_write(data, modes[i].key, &probe), modes[i].bytes);
		assert_memory_equal(data, modes[i].sent, modes[i].bytes);
		assert_true(stamp_read(data, modes[i].bytes, modes[i].key, &read));
		assert_int_equal(read.sequence, probe.sequence);
		assert_int_equal(read.sent_ns, probe.sent_ns);
		assert_int_equal(read.error, probe.error);
		assert_int_equal(read.session, probe.session);
		assert_int_equal(stamp_reflected_bytes(modes[i].bytes, modes[i].key),
				 modes[i].bytes);
		stamp_reflect(data, modes[i].bytes, modes[i].key, &reflection);
		assert_memory_equal(data, modes[i].reflected, modes[i].bytes);
	}
}

static void test_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODES; i++) {
		struct stamp_reply reply = {0};

		assert_true(
			stamp_reply_read(modes[i].reflected, modes[i].bytes, modes[i].key, &reply));
		assert_int_equal(reply.sequence, 0x01020304);
		assert_int_equal(reply.reflected, 7);
		assert_int_equal(reply.received_ns, T2);
		assert_int_equal(reply.sent_ns, T3);
		assert_int_equal(reply.session, 0xbeef);
		assert_false(reply.synchronised);
	}
}

/* Every length but a whole packet's, in memory of exactly that size. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODES; i++)
		for (size_t bytes = 0; bytes < modes[i].bytes; bytes++) {
			uint8_t *one = malloc(bytes + 1), *other = malloc(bytes + 1);
			struct stamp_probe read = {.sequence = 99};
			struct stamp_reply reply = {.sequence = 99};
			bool whole = stamp_read(memcpy(one, modes[i].sent, bytes), bytes,
						modes[i].key, &read);

			assert_int_equal(whole, !modes[i].key->on && bytes >= STAMP_LEAST_BYTES);
			assert_int_equal(read.sequence, whole ? 0x01020304 : 99);
			whole = stamp_reply_read(memcpy(other, modes[i].reflected, bytes), bytes,
						 modes[i].key, &reply);
			assert_int_equal(whole, !modes[i].key->on && bytes >= 41);
			assert_int_equal(reply.sequence, whole ? 0x01020304 : 99);
			free(one);
			free(other);
		}
}

/* Every bit of an authenticated packet counts. */
static void test_forged(void **state)
{
	uint8_t one[STAMP_AUTHENTICATED_BYTES], other[STAMP_AUTHENTICATED_BYTES];
	struct stamp_probe read;
	struct stamp_reply reply;

	(void)state;
	for (unsigned bit = 0; bit < 8 * STAMP_AUTHENTICATED_BYTES; bit++) {
		memcpy(one, sent_authenticated, sizeof(one));
		memcpy(other, reflected_authenticated, sizeof(other));
		one[bit / 8] ^= 1 << bit % 8;
		other[bit / 8] ^= 1 << bit % 8;
		assert_false(stamp_read(one, sizeof(one), &secret_key, &read));
		assert_false(stamp_reply_read(other, sizeof(other), &secret_key, &reply));
	}
}

/* A TWAMP Light sender: 14 bytes, or padding that comes back (RFC 8762 section 4.6). */
static void test_other_lengths(void **state)
{
	uint8_t data[200];
	struct stamp_probe read;

	(void)state;
	memset(data, 0xaa, sizeof(data));
	memcpy(data, sent, STAMP_LEAST_BYTES);
	assert_true(stamp_read(data, STAMP_LEAST_BYTES, &open_key, &read));
	assert_int_equal(read.session, 0);
	assert_int_equal(stamp_reflected_bytes(STAMP_LEAST_BYTES, &open_key), STAMP_BYTES);
	stamp_reflect(data, STAMP_LEAST_BYTES, &open_key, &reflection);
	assert_memory_equal(data, reflected, 14);
	assert_memory_equal(data + 16, reflected + 16, STAMP_BYTES - 16);

	memset(data, 0xaa, sizeof(data));
	memcpy(data, sent, STAMP_BYTES);
	assert_int_equal(stamp_reflected_bytes(sizeof(data), &open_key), sizeof(data));
	stamp_reflect(data, sizeof(data), &open_key, &reflection);
	assert_memory_equal(data, reflected, STAMP_BYTES);
	for (size_t i = STAMP_BYTES; i < sizeof(data); i++)
		assert_int_equal(data[i], 0xaa);
}

static void test_time(void **state)
{
	static const int64_t times[] = {0,
					1,
					999999999,
					1000000000,
					T1,
					2085978495999999999,
					2085978496000000000 /* NTP's era 1 begins */};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		assert_int_equal(stamp_unix_ns(stamp_ntp(times[i]), 0), times[i]);
	srand(20261);
	for (unsigned i = 0; i < 100000; i++) {
		int64_t ns = T1 + (int64_t)rand() * 1000 + rand();
		assert_int_equal(stamp_unix_ns(stamp_ntp(ns), 0), ns);
	}
	assert_int_equal(stamp_unix_ns(0x6553f1000000007bULL, STAMP_PTP),
			 1700000000LL * 1000000000 + 123);
}

static void test_error(void **state)
{
	(void)state;
	for (uint64_t ns = 0; ns < 4000000000; ns = ns * 3 + 1) {
		uint16_t error = stamp_error(ns & 1, (uint32_t)ns);
		double s = (error & 0xff) * __builtin_ldexp(1, (error >> 8 & 0x3f) - 32);

		assert_int_equal(error & STAMP_SYNCHRONISED, ns & 1 ? STAMP_SYNCHRONISED : 0);
		assert_int_not_equal(error & 0xff, 0);
		assert_true(s >= (double)ns / 1e9);
		assert_true(s <= (double)ns / 1e9 * 1.02 + 1e-9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	      cmocka_unit_test(test_reply),
		cmocka_unit_test(test_truncated),     cmocka_unit_test(test_forged),
		cmocka_unit_test(test_other_lengths), cmocka_unit_test(test_time),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
