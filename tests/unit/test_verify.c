/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of a datagram that is not right, in the order of the checks. */
#include "reports.h"

/* A signed report of arbitrary bytes: what only a broken or hostile known sender makes. */
static size_t make_raw(const struct fixture *f, const uint8_t *report, size_t report_bytes,
		       size_t signature_bytes, uint8_t *data)
{
	uint8_t text[15 + CODEC_DATAGRAM_MAX] = "suanlu-report-1", signature[64];
	Suanlu__SignedReport outer = SUANLU__SIGNED_REPORT__INIT;
	size_t bytes;

	memcpy(text + 15, report, report_bytes);
	crypto_sign_detached(signature, NULL, text, 15 + report_bytes, f->site.secret);
	outer.report = (ProtobufCBinaryData){report_bytes, (uint8_t *)report};
	outer.signature = (ProtobufCBinaryData){signature_bytes, signature};
	memcpy(data, (uint8_t[28]){'S', 'L', 1, 0}, 28);
	memcpy(data + 4, f->site.public, 8);
	bytes = 28 + suanlu__signed_report__pack(&outer, data + 28);
	put_tag(&f->site, f->own, data, bytes);
	return bytes;
}

static void refuses_by_name(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX + 1] = {0}, good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	sample_init(&s);
	bytes = make(f, &s.report, good);
	assert_int_equal(give(f, good, 27), VERIFY_SIZE);
	assert_int_equal(give(f, data, CODEC_DATAGRAM_MAX + 1), VERIFY_SIZE);
	assert_int_equal(give(f, data, 28), VERIFY_FORMAT);

	memcpy(data, good, bytes);
	memcpy(data + 4, f->stranger.public, 8);
	assert_int_equal(give(f, data, bytes), VERIFY_UNKNOWN_KEY);

	/* another sender under a known key id */
	memcpy(data, good, bytes);
	put_tag(&f->stranger, f->own, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_TAG);
	/* meant for another receiver */
	put_tag(&f->site, f->stranger.public, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_TAG);

	assert_int_equal(give(f, data, make_raw(f, (uint8_t *)"\xff\xff", 2, 64, data)),
			 VERIFY_DECODE);
	/* all zero: measured in 1970 */
	assert_int_equal(give(f, data, make_raw(f, (uint8_t *)"", 0, 63, data)), VERIFY_STALE);

	/* not a SignedReport */
	memcpy(data, good, 28);
	memset(data + 28, 0xff, 8);
	put_tag(&f->site, f->own, data, 36);
	assert_int_equal(give(f, data, 36), VERIFY_DECODE);

	/* a right tag over a report that was changed after it was signed */
	memcpy(data, good, bytes);
	data[bytes - 1] ^= 1;
	put_tag(&f->site, f->own, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_SIGNATURE);

	assert_int_equal(give(f, good, bytes), VERIFY_ACCEPTED);
	assert_int_equal(give(f, good, bytes), VERIFY_REPLAYED);
}

static void refuses_every_truncation_and_bit_flip(void **state)
{
	uint8_t data[CODEC_DATAGRAM_MAX], good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	sample_init(&s);
	s.report.valid_for_ms = 60000;
	bytes = make(*state, &s.report, good);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_not_equal(give(*state, good, cut), VERIFY_ACCEPTED);
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		memcpy(data, good, bytes);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(give(*state, data, bytes), VERIFY_ACCEPTED);
	}
	memcpy(data, good, bytes);
	data[bytes] = 0;
	assert_int_not_equal(give(*state, data, bytes + 1), VERIFY_ACCEPTED);
	assert_int_equal(give(*state, good, bytes), VERIFY_ACCEPTED);
}

/* Its time or sequence may be what went wrong: that is looked at before the signature. */
static bool refused_before_use(enum verify_reason reason)
{
	return reason == VERIFY_DECODE || reason == VERIFY_STALE || reason == VERIFY_FUTURE ||
	       reason == VERIFY_SIGNATURE;
}

/* The same behind a right tag: a known sender whose bytes go wrong reaches the decoder. */
static void survives_every_corruption_behind_the_tag(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX], good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	sample_init(&s);
	s.report.valid_for_ms = 60000;
	bytes = make(f, &s.report, good);
	for (size_t at = 28; at < bytes; at++) {
		enum verify_reason reason;

		memcpy(data, good, bytes);
		put_tag(&f->site, f->own, data, at);
		reason = give(f, data, at);
		assert_true(refused_before_use(reason));
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(data, good, bytes);
			data[at] ^= (uint8_t)(1 << bit);
			put_tag(&f->site, f->own, data, bytes);
			reason = give(f, data, bytes);
			assert_true(refused_before_use(reason));
		}
	}
	assert_int_equal(give(f, good, bytes), VERIFY_ACCEPTED);
}

static enum verify_reason give_sequence(struct fixture *f, uint64_t sequence)
{
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct sample s;

	sample_init(&s);
	s.report.sequence = sequence;
	return give(f, data, make(f, &s.report, data));
}

/* Replays are refused before their signature is checked: a recorded line is no way to load us. */
static void takes_each_sequence_once(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(give_sequence(f, 1000 + i), VERIFY_ACCEPTED);
	for (uint64_t i = 36; i < 100; i++)
		assert_int_equal(give_sequence(f, 1000 + i), VERIFY_REPLAYED);
}

static void separates_senders(void **state)
{
	struct fixture *f = *state;
	struct key other = f->site;
	uint8_t twin[KEY_PUBLIC_BYTES];

	assert_int_equal(verify_add(f->verify, f->site.public, 1, NULL), -EEXIST);
	memcpy(twin, f->site.public, sizeof(twin));
	twin[31] ^= 1;
	assert_int_equal(verify_add(f->verify, twin, 1, NULL), -EEXIST);
	assert_int_equal(verify_add(f->verify, (uint8_t[32]){0}, 1, NULL), -EINVAL);

	/* each key has a window of its own */
	f->site = f->stranger;
	assert_int_equal(verify_add(f->verify, f->stranger.public, SENDER, NULL), 0);
	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	f->site = other;
	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, 5), VERIFY_REPLAYED);
}

/* A sender whose key was stolen costs no more than its rate, and costs the others nothing. */
static void bounds_the_rate_of_each_sender(void **state)
{
	struct fixture *f = *state;
	struct key other = f->site;
	unsigned checked = 0, refused = 0;
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct sample s;

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t at_us = now_us;
		enum verify_reason reason;

		sample_init(&s);
		reason = give(f, data, make(f, &s.report, data));
		now_us = at_us + 50; /* 20,000 a second */
		checked += reason == VERIFY_ACCEPTED;
		refused += reason == VERIFY_FLOOD;
	}
	assert_int_equal(checked + refused, 10000);
	assert_in_range(checked, 256 + 500 - 1, 256 + 500 + 1); /* in half a second */
	f->site = f->stranger;
	assert_int_equal(verify_add(f->verify, f->stranger.public, SENDER, NULL), 0);
	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	f->site = other;
	now_us += 1000;
	assert_int_equal(give_sequence(f, 1ull << 40), VERIFY_ACCEPTED);
}

/* To another verifier go pairs and windows of the keys that it has too. */
static void carries_what_it_knows(void **state)
{
	struct fixture *f = *state;
	struct verify *before = f->verify;

	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	assert_int_equal(verify_open(&f->verify, &f->own_key), 0);
	assert_int_equal(verify_add(f->verify, f->stranger.public, SENDER, before), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER, before), 0);
	assert_int_equal(give_sequence(f, 5), VERIFY_REPLAYED);
	assert_int_equal(give_sequence(f, 6), VERIFY_ACCEPTED);
	verify_close(before);

	/* with another key of ours the pair is another too */
	before = f->verify;
	make_key(&f->own_key);
	memcpy(f->own, f->own_key.public, sizeof(f->own));
	assert_int_equal(verify_open(&f->verify, &f->own_key), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER, before), 0);
	assert_int_equal(give_sequence(f, 6), VERIFY_REPLAYED);
	assert_int_equal(give_sequence(f, 7), VERIFY_ACCEPTED);
	verify_close(before);
}

/* What the caller keeps is enough to refuse all that was taken, in another process. */
static void keeps_the_newest(void **state)
{
	struct fixture *f = *state;
	uint8_t first[CODEC_DATAGRAM_MAX], second[CODEC_DATAGRAM_MAX];
	size_t first_bytes, second_bytes;
	uint64_t kept_us = 0;
	struct sample s;

	verify_keep(f->verify, f->stranger.public, &kept_us); /* nobody: nothing happens */
	verify_keep(f->verify, f->site.public, &kept_us);
	sample_init(&s);
	first_bytes = make(f, &s.report, first);
	assert_int_equal(give(f, first, first_bytes), VERIFY_ACCEPTED);
	sample_init(&s);
	second_bytes = make(f, &s.report, second);
	assert_int_equal(give(f, second, second_bytes), VERIFY_ACCEPTED);
	assert_int_equal(kept_us, s.report.measured_at_us);
	verify_close(f->verify);

	assert_int_equal(verify_open(&f->verify, &f->own_key), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER, NULL), 0);
	verify_keep(f->verify, f->site.public, &kept_us);
	assert_int_equal(give(f, first, first_bytes), VERIFY_REPLAYED);
	assert_int_equal(give(f, second, second_bytes), VERIFY_ACCEPTED); /* still the newest */
	assert_int_equal(give(f, second, second_bytes), VERIFY_REPLAYED);
	assert_int_equal(give_sequence(f, 1), VERIFY_ACCEPTED);
}

/* Our clock was an hour ahead, and so was a publisher's that is started anew afterwards. */
static void recovers_when_our_clock_is_set_back(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX];
	uint64_t kept_us = 0;
	struct sample s;
	size_t bytes;

	verify_keep(f->verify, f->site.public, &kept_us);
	now_us += 3600000000;
	for (uint64_t i = 0; i < 70; i++)
		assert_int_equal(give_sequence(f, now_us), VERIFY_ACCEPTED);
	now_us -= 3600000000;
	sample_init(&s);
	bytes = make(f, &s.report, data);
	now_us += 1;
	assert_int_equal(give_sequence(f, now_us), VERIFY_REPLAYED);
	verify_set_back(f->verify, now_us);
	assert_int_equal(kept_us, now_us);
	assert_int_equal(give(f, data, bytes), VERIFY_REPLAYED);
	now_us += 2000;
	assert_int_equal(give_sequence(f, now_us), VERIFY_ACCEPTED);
}

/* A peek says what decoding says, or nothing; never reads past the end. */
static void peeks_what_it_decodes(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct codec_peek peek = {};
	struct sample s;

	for (unsigned shift = 0; shift < 64; shift++) {
		sample_init(&s);
		s.report.sequence = UINT64_MAX >> shift;
		s.report.measured_at_us = 1ull << shift;
		s.report.valid_for_ms = shift % 2 ? 700 : 0;
		size_t bytes = make(f, &s.report, data);

		for (size_t cut = 28; cut <= bytes; cut++) {
			uint8_t *copy = malloc(cut - 28 ?: 1);

			memcpy(copy, data + 28, cut - 28);
			assert_int_equal(codec_peek(copy, cut - 28, &peek),
					 cut >= bytes - 66); /* all but the signature */
			free(copy);
		}
		assert_true(peek.sequence == s.report.sequence &&
			    peek.measured_us == s.report.measured_at_us &&
			    peek.valid_for_ms == s.report.valid_for_ms);
	}
	/* A varint of more than 64 bits, a length that is longer than what is there. */
	assert_false(codec_peek((uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
				13, &peek));
	assert_false(codec_peek((uint8_t *)"\x0a\x7f\x08\x01\x10\x01", 6, &peek));
	assert_true(codec_peek((uint8_t *)"\x0a\x04\x08\x01\x10\x02", 6, &peek));
	assert_true(peek.sequence == 1 && peek.measured_us == 2);
}

static double ns_per(struct fixture *f, const uint8_t *data, size_t bytes, unsigned count,
		     enum verify_reason expected)
{
	struct timespec from, to;
	Suanlu__Report *report;
	unsigned sender;
	int64_t ahead_us;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned i = 0; i < count; i++) {
		enum verify_reason reason = verify_datagram(f->verify, data, bytes, now_us, &report,
							    &sender, &ahead_us);

		if (reason != expected)
			fail_msg("%s", verify_reason_text(reason));
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	       count;
}

/* Garbage must be cheap; how cheap is printed, and only the order of magnitude asserted. */
static void garbage_is_cheap(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX];
	double tag_ns, replayed_ns, signature_ns;
	struct sample s;
	size_t bytes;

	sample_init(&s);
	bytes = make(f, &s.report, data);
	give(f, data, bytes);
	replayed_ns = ns_per(f, data, bytes, 20000, VERIFY_REPLAYED);
	sample_init(&s);
	bytes = make(f, &s.report, data);
	data[bytes - 1] ^= 1;
	put_tag(&f->site, f->own, data, bytes);
	signature_ns = ns_per(f, data, bytes, 200, VERIFY_SIGNATURE);
	data[12] ^= 1;
	tag_ns = ns_per(f, data, bytes, 20000, VERIFY_TAG);
	print_message("%zu bytes: whole check %.0f ns, replayed %.0f ns, bad tag %.0f ns", bytes,
		      signature_ns, replayed_ns, tag_ns);
	print_message(" (1400 bytes: %.0f ns)", ns_per(f, data, sizeof(data), 20000, VERIFY_TAG));
	data[4] ^= 1;
	print_message(", unknown key %.0f ns\n", ns_per(f, data, bytes, 20000, VERIFY_UNKNOWN_KEY));
	assert_true(tag_ns * 5 < signature_ns && replayed_ns * 3 < signature_ns);
}

static void names_reasons(void **state)
{
	(void)state;
	assert_string_equal(verify_reason_text(VERIFY_ACCEPTED), "accepted");
	assert_string_equal(verify_reason_text(VERIFY_IMPLAUSIBLE), "implausible");
	assert_string_equal(verify_reason_text(VERIFY_REASON_COUNT), "?");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(refuses_by_name),
		T(refuses_every_truncation_and_bit_flip),
		T(survives_every_corruption_behind_the_tag),
		T(takes_each_sequence_once),
		T(separates_senders),
		T(bounds_the_rate_of_each_sender),
		T(carries_what_it_knows),
		T(keeps_the_newest),
		T(recovers_when_our_clock_is_set_back),
		T(peeks_what_it_decodes),
		T(garbage_is_cheap),
		cmocka_unit_test(names_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
