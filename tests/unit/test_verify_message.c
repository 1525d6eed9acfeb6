/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of the bus, and what bounds a sender on both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/codec.h"
#include "control/telemetry/unpack.h"
#include "control/telemetry/verify.h"

#define NOW_US 1700000000000000ull
#define SENDER 7

struct fixture {
	struct verify *verify;
	struct key own, site, stranger;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_true(sodium_init() >= 0);
	crypto_sign_keypair(f->own.public, f->own.secret);
	crypto_sign_keypair(f->site.public, f->site.secret);
	crypto_sign_keypair(f->stranger.public, f->stranger.secret);
	assert_int_equal(verify_open(&f->verify, &f->own), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	verify_close(f->verify);
	free(f);
	return 0;
}

static size_t make(const struct key *key, uint64_t sequence, uint64_t measured_us, uint8_t *data)
{
	Suanlu__Report report = SUANLU__REPORT__INIT;
	Suanlu__ServiceLoad load = SUANLU__SERVICE_LOAD__INIT, *loads = &load;
	int bytes;

	load.service = "infer";
	load.servers = 4;
	report.sequence = sequence;
	report.measured_at_us = measured_us;
	report.load = &loads;
	report.n_load = 1;
	bytes = codec_sign(key, &report, data);
	assert_true(bytes > 0);
	return (size_t)bytes;
}

/* From the heap and of its exact size, so that ASan sees any read past the end. */
static enum verify_reason give(struct fixture *f, const uint8_t *data, size_t bytes,
			       uint64_t now_us, unsigned sender)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	Suanlu__Report *report = NULL;
	int64_t ahead_us;
	enum verify_reason reason;

	memcpy(copy, data, bytes);
	reason = verify_message(f->verify, copy, bytes, now_us, sender, &report, &ahead_us);
	free(copy);
	assert_true((reason == VERIFY_ACCEPTED) == (report != NULL));
	if (report)
		unpack_release(report);
	return reason;
}

static enum verify_reason give_new(struct fixture *f, const struct key *key, unsigned sender,
				   uint64_t now_us)
{
	static uint64_t sequence = 1000;
	uint8_t data[CODEC_DATAGRAM_MAX];

	return give(f, data, make(key, sequence++, now_us, data), now_us, sender);
}

/* Untagged, on its sender's subject only, else the same checks as for UDP. */
static void takes_messages(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX + 1] = {}, good[CODEC_DATAGRAM_MAX], pair[CODEC_PAIR_BYTES];
	size_t bytes = make(&f->site, 1, NOW_US - 1000, good);
	Suanlu__Report *report = NULL;
	int64_t ahead_us;
	unsigned sender;

	assert_int_equal(give(f, data, 0, NOW_US, SENDER), VERIFY_SIZE);
	assert_int_equal(give(f, data, 27, NOW_US, SENDER), VERIFY_SIZE);
	assert_int_equal(
		verify_message(f->verify, NULL, 1 << 20, NOW_US, SENDER, &report, &ahead_us),
		VERIFY_SIZE);
	assert_int_equal(give(f, data, 100, NOW_US, SENDER), VERIFY_FORMAT);
	assert_int_equal(give(f, good, bytes, NOW_US, SENDER + 1), VERIFY_SUBJECT);
	for (size_t cut = 28; cut < bytes; cut++)
		assert_int_not_equal(give(f, good, cut, NOW_US + cut * 1000, SENDER),
				     VERIFY_ACCEPTED);
	memcpy(data, good, bytes);
	data[bytes - 1] ^= 1;
	assert_int_equal(give(f, data, bytes, NOW_US + 400000, SENDER), VERIFY_SIGNATURE);
	memcpy(data, good, bytes);
	data[4] ^= 1;
	assert_int_equal(give(f, data, bytes, NOW_US, SENDER), VERIFY_UNKNOWN_KEY);
	/* a last value that lay there for too long */
	assert_int_equal(give(f, good, bytes, NOW_US + 500000, SENDER), VERIFY_STALE);
	/* without its tag it is nothing for UDP */
	assert_int_equal(
		verify_datagram(f->verify, good, bytes, NOW_US, &report, &sender, &ahead_us),
		VERIFY_TAG);
	assert_int_equal(give(f, good, bytes, NOW_US, SENDER), VERIFY_ACCEPTED);
	assert_int_equal(give(f, good, bytes, NOW_US, SENDER), VERIFY_REPLAYED);
	/* and the same by UDP after it is the same once more */
	assert_int_equal(codec_pair(&f->site, f->own.public, pair), 0);
	codec_tag(pair, good, bytes, good + offsetof(struct codec_header, tag));
	assert_int_equal(
		verify_datagram(f->verify, good, bytes, NOW_US, &report, &sender, &ahead_us),
		VERIFY_REPLAYED);
}

/* 256 at once and 1,000 a second of a sender; another sender does not notice. */
static void bounds_each_sender(void **state)
{
	struct fixture *f = *state;
	uint8_t broken[CODEC_DATAGRAM_MAX];
	size_t bytes = make(&f->site, 1, NOW_US, broken);
	uint64_t now_us = NOW_US;

	broken[bytes - 1] ^= 1;
	assert_int_equal(verify_add(f->verify, f->stranger.public, SENDER + 1, NULL), 0);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(give(f, broken, bytes, now_us, SENDER), VERIFY_SIGNATURE);
	assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_FLOOD);
	assert_int_equal(give_new(f, &f->site, SENDER, now_us + 999), VERIFY_FLOOD);
	assert_int_equal(give_new(f, &f->stranger, SENDER + 1, now_us), VERIFY_ACCEPTED);
	now_us += 1000;
	assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_ACCEPTED);
	assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_FLOOD);
	/* our clock is set back by an hour: that must not shut anybody out for as long */
	now_us -= 3600000000;
	assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_ACCEPTED);
	/* and after a quiet second all is as at first */
	now_us += 1000000;
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_ACCEPTED);
	assert_int_equal(give_new(f, &f->site, SENDER, now_us), VERIFY_FLOOD);
}

/* As many as a large operator has. */
static void finds_each_of_many(void **state)
{
	enum { MANY = 3000 };
	static struct key key[MANY];
	struct fixture *f = *state;

	for (unsigned i = 0; i < MANY; i++) {
		crypto_sign_keypair(key[i].public, key[i].secret);
		assert_int_equal(verify_add(f->verify, key[i].public, 100 + i, NULL), 0);
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(give_new(f, &key[i], 100 + i, NOW_US), VERIFY_ACCEPTED);
	assert_int_equal(give_new(f, &f->site, SENDER, NOW_US), VERIFY_ACCEPTED);
	assert_int_equal(give_new(f, &f->stranger, SENDER, NOW_US), VERIFY_UNKNOWN_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_each_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_each_of_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
