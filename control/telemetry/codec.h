/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The datagram of telemetry.proto, which has the diagram. Pure: bytes and keys in, bytes out.
 *
 * The tag binds sender, receiver and every other byte of the datagram under a key that only
 * those two can compute, so that garbage is refused for the price of a hash. The signature
 * inside is the same for every receiver. Used by publish.c and verify.c.
 */
#pragma once

#include "key.h"
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <suanlu/telemetry.pb-c.h>

#define CODEC_DATAGRAM_MAX 1400
#define CODEC_ID_BYTES 8
#define CODEC_TAG_BYTES 16
#define CODEC_PAIR_BYTES 32
/* A SignedReport's own bytes: two protobuf tags and lengths, and the signature. */
#define CODEC_SIGNED_OVERHEAD (3 + 2 + crypto_sign_BYTES)
#define CODEC_REPORT_MAX (CODEC_DATAGRAM_MAX - sizeof(struct codec_header) - CODEC_SIGNED_OVERHEAD)

struct codec_header {
	uint8_t magic[2]; /* "SL" */
	uint8_t version;  /* 1 */
	uint8_t zero;
	uint8_t key_id[CODEC_ID_BYTES];
	uint8_t tag[CODEC_TAG_BYTES];
};
_Static_assert(sizeof(struct codec_header) == 28, "datagram header");
_Static_assert(offsetof(struct codec_header, tag) == 12, "the tag covers bytes 0..11");

/* The key of the tag, the same from both ends. -EINVAL: not a point that can be used. */
int codec_pair(const struct key *own, const uint8_t peer[KEY_PUBLIC_BYTES],
	       uint8_t pair[CODEC_PAIR_BYTES]);

/* The tag that a datagram (header and what follows it) must carry. */
void codec_tag(const uint8_t pair[CODEC_PAIR_BYTES], const uint8_t *datagram, size_t bytes,
	       uint8_t tag[CODEC_TAG_BYTES]);

/*
 * Packs and signs: all of a datagram but its tag, which is left zero. Returns its length, or
 * -EMSGSIZE if the report is longer than CODEC_REPORT_MAX.
 */
int codec_sign(const struct key *own, const Suanlu__Report *report,
	       uint8_t datagram[CODEC_DATAGRAM_MAX]);

/* What says whether a report is worth decoding. */
struct codec_peek {
	uint64_t sequence, measured_us;
	uint32_t valid_for_ms; /* 0: not said */
};

/*
 * Looks into a SignedReport without decoding it: a fiftieth of the price. False if the fields are
 * not where every encoder puts them (in order); then nobody knows yet.
 */
bool codec_peek(const uint8_t *signed_report, size_t bytes, struct codec_peek *peek);

bool codec_signature_valid(const uint8_t key[KEY_PUBLIC_BYTES], const uint8_t *report, size_t bytes,
			   const uint8_t signature[crypto_sign_BYTES]);
