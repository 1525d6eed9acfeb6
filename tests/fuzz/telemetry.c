/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A telemetry datagram. The first byte says how much of it is made right, so that each stage is
 * reached: 0 nothing, 1 the header and its tag, 2 the signature too (input is the Report).
 */
#include "control/telemetry/codec.h"
#include "control/telemetry/plausible.h"
#include "control/telemetry/unpack.h"
#include "control/telemetry/verify.h"
#include "fuzz.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_US 1700000000000000ULL

static struct key site, own;

static void make_keys(void)
{
	static const uint8_t seed[32];
	uint8_t other[32] = {1};

	assert(sodium_init() >= 0);
	crypto_sign_seed_keypair(own.public, own.secret, seed);
	crypto_sign_seed_keypair(site.public, site.secret, other);
}

static size_t sign(uint8_t *datagram, const uint8_t *report, size_t bytes)
{
	static const char prefix[] = "suanlu-report-1";
	uint8_t text[sizeof prefix - 1 + CODEC_DATAGRAM_MAX], signature[crypto_sign_BYTES];
	Suanlu__SignedReport outer = SUANLU__SIGNED_REPORT__INIT;

	memcpy(text, prefix, sizeof prefix - 1);
	memcpy(text + sizeof prefix - 1, report, bytes);
	crypto_sign_detached(signature, NULL, text, sizeof prefix - 1 + bytes, site.secret);
	outer.report = (ProtobufCBinaryData){bytes, text + sizeof prefix - 1};
	outer.signature = (ProtobufCBinaryData){sizeof signature, signature};
	return suanlu__signed_report__pack(&outer, datagram + sizeof(struct codec_header));
}

/* Makes right as much as `level` says; returns the datagram's length. */
static size_t make(unsigned level, const uint8_t *data, size_t bytes, uint8_t *datagram)
{
	struct codec_header header = {.magic = "SL", .version = 1};
	uint8_t pair[CODEC_PAIR_BYTES];

	if (level == 0) {
		memcpy(datagram, data, bytes);
		return bytes;
	}
	memcpy(header.key_id, site.public, sizeof header.key_id);
	memcpy(datagram, &header, sizeof header);
	if (level == 2)
		bytes = sign(datagram, data, bytes);
	else
		memcpy(datagram + sizeof header, data, bytes);
	bytes += sizeof header;
	codec_pair(&own, site.public, pair);
	codec_tag(pair, datagram, bytes, datagram + offsetof(struct codec_header, tag));
	return bytes;
}

/* As protobuf-c allocates it itself. */
static void check_unpack(const Suanlu__Report *report, const uint8_t *data, size_t bytes)
{
	Suanlu__Report *plain = suanlu__report__unpack(NULL, bytes, data);
	size_t size = plain ? suanlu__report__get_packed_size(plain) : 0;
	uint8_t *one = malloc(size + 1), *two = malloc(size + 1);

	assert(one && two && !report == !plain);
	if (plain) {
		assert(suanlu__report__get_packed_size(report) == size);
		suanlu__report__pack(plain, one);
		suanlu__report__pack(report, two);
		assert(memcmp(one, two, size) == 0);
		suanlu__report__free_unpacked(plain, NULL);
	}
	free(one);
	free(two);
}

/* As publishers ask, who are told why not. */
static void explain(const uint8_t *data, size_t bytes)
{
	Suanlu__Report *report = unpack_report(data, bytes);
	char why[128] = "";

	check_unpack(report, data, bytes);

	if (report && !plausible(report, why, sizeof why))
		assert(why[0] && memchr(why, 0, sizeof why));
	unpack_release(report);
}

/* Who takes over from a verifier takes nothing twice, and who kept a memory neither. */
static void again(struct verify *verify, const uint8_t *datagram, size_t bytes,
		  enum verify_reason reason)
{
	struct verify *next = NULL;
	Suanlu__Report *report = NULL;
	uint64_t newest_us = 0;
	unsigned sender;
	int64_t ahead_us;

	verify_keep(verify, site.public, &newest_us);
	assert(verify_open(&next, &own) == 0);
	assert(verify_add(next, site.public, 7, verify) == 0);
	verify_keep(next, own.public, &newest_us); /* not known there */
	if (reason == VERIFY_ACCEPTED)
		assert(newest_us != 0 && verify_datagram(next, datagram, bytes, NOW_US, &report,
							 &sender, &ahead_us) == VERIFY_REPLAYED);
	verify_set_back(next, NOW_US);
	if (verify_datagram(next, datagram, bytes, NOW_US, &report, &sender, &ahead_us) ==
	    VERIFY_ACCEPTED) {
		assert(ahead_us >= 0);
		unpack_release(report);
	}
	verify_close(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t datagram[2 * CODEC_DATAGRAM_MAX], *copy;
	struct verify *verify = NULL;
	Suanlu__Report *report = NULL;
	enum verify_reason reason;
	unsigned sender;
	int64_t ahead_us;

	if (!site.public[0])
		make_keys();
	if (bytes < 1 || bytes > CODEC_REPORT_MAX)
		return 0;
	explain(data + 1, bytes - 1);
	bytes = make(data[0] % 3, data + 1, bytes - 1, datagram);
	assert(verify_open(&verify, &own) == 0);
	assert(verify_add(verify, site.public, 7, NULL) == 0);
	copy = fuzz_copy(datagram, bytes);
	assert(verify_add(verify, own.public, 8, NULL) == 0 &&
	       verify_add(verify, own.public, 8, NULL) < 0);
	reason = verify_datagram(verify, copy, bytes, NOW_US, &report, &sender, &ahead_us);
	assert(strcmp(verify_reason_text(reason), "?") != 0);
	if (reason == VERIFY_ACCEPTED) {
		assert(sender == 7 && report && plausible(report, NULL, 0));
		unpack_release(report);
		assert(verify_datagram(verify, copy, bytes, NOW_US, &report, &sender, &ahead_us) ==
		       VERIFY_REPLAYED);
	}
	/* on the bus: no tag, the sender's subject only */
	assert(verify_message(verify, copy, bytes, NOW_US, 8, &report, &ahead_us) !=
	       VERIFY_ACCEPTED);
	if (verify_message(verify, copy, bytes, NOW_US, 7, &report, &ahead_us) == VERIFY_ACCEPTED) {
		assert(reason == VERIFY_TAG);
		unpack_release(report);
	}
	again(verify, copy, bytes, reason);
	free(copy);
	verify_close(verify);
	return 0;
}
