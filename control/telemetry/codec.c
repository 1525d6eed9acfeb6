/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec.h"
#include <errno.h>
#include <string.h>

#define SIGN_PREFIX "suanlu-report-1"
#define SIGN_PREFIX_BYTES (sizeof(SIGN_PREFIX) - 1)
#define TAG_PREFIX "suanlu-tag-1"
#define TAG_PREFIX_BYTES (sizeof(TAG_PREFIX) - 1)

int codec_pair(const struct key *own, const uint8_t peer[KEY_PUBLIC_BYTES],
	       uint8_t pair[CODEC_PAIR_BYTES])
{
	uint8_t mine[crypto_scalarmult_SCALARBYTES], theirs[crypto_scalarmult_BYTES];
	uint8_t shared[TAG_PREFIX_BYTES + crypto_scalarmult_BYTES] = TAG_PREFIX;
	int err = -EINVAL;

	if (crypto_sign_ed25519_pk_to_curve25519(theirs, peer) != 0 ||
	    crypto_sign_ed25519_sk_to_curve25519(mine, own->secret) != 0)
		goto out;
	/* fails for points of small order, RFC 7748 section 6.1 */
	if (crypto_scalarmult(shared + TAG_PREFIX_BYTES, mine, theirs) != 0)
		goto out;
	crypto_generichash(pair, CODEC_PAIR_BYTES, shared, sizeof(shared), NULL, 0);
	err = 0;
out:
	sodium_memzero(mine, sizeof(mine));
	sodium_memzero(shared, sizeof(shared));
	return err;
}

void codec_tag(const uint8_t pair[CODEC_PAIR_BYTES], const uint8_t *datagram, size_t bytes,
	       uint8_t tag[CODEC_TAG_BYTES])
{
	const size_t header = sizeof(struct codec_header);
	crypto_generichash_state state;

	crypto_generichash_init(&state, pair, CODEC_PAIR_BYTES, CODEC_TAG_BYTES);
	crypto_generichash_update(&state, datagram, offsetof(struct codec_header, tag));
	crypto_generichash_update(&state, datagram + header, bytes - header);
	crypto_generichash_final(&state, tag, CODEC_TAG_BYTES);
}

int codec_sign(const struct key *own, const Suanlu__Report *report,
	       uint8_t datagram[CODEC_DATAGRAM_MAX])
{
	struct codec_header header = {.magic = "SL", .version = 1};
	uint8_t text[SIGN_PREFIX_BYTES + CODEC_REPORT_MAX] = SIGN_PREFIX;
	uint8_t signature[crypto_sign_BYTES];
	Suanlu__SignedReport signed_report = SUANLU__SIGNED_REPORT__INIT;
	size_t bytes = suanlu__report__get_packed_size(report);

	if (bytes > CODEC_REPORT_MAX)
		return -EMSGSIZE;
	suanlu__report__pack(report, text + SIGN_PREFIX_BYTES);
	crypto_sign_detached(signature, NULL, text, SIGN_PREFIX_BYTES + bytes, own->secret);
	signed_report.report = (ProtobufCBinaryData){bytes, text + SIGN_PREFIX_BYTES};
	signed_report.signature = (ProtobufCBinaryData){sizeof(signature), signature};
	memcpy(header.key_id, own->public, sizeof(header.key_id));
	memcpy(datagram, &header, sizeof(header));
	return (int)(sizeof(header) +
		     suanlu__signed_report__pack(&signed_report, datagram + sizeof(header)));
}

/* A varint after the one byte that says which field it is. */
static bool take_varint(const uint8_t **at, const uint8_t *end, uint8_t field, uint64_t *out)
{
	const uint8_t *next = *at;
	uint64_t value = 0;

	if (next == end || *next++ != field)
		return false;
	for (unsigned shift = 0; next < end && shift < 64; shift += 7) {
		value |= (uint64_t)(*next & 0x7f) << shift;
		if (*next++ < 0x80) {
			*at = next;
			*out = value;
			return true;
		}
	}
	return false;
}

bool codec_peek(const uint8_t *signed_report, size_t bytes, struct codec_peek *peek)
{
	/* field << 3 | wire type: 2 is length-delimited, 0 a varint */
	enum {
		REPORT = 1 << 3 | 2,
		SEQUENCE = 1 << 3,
		MEASURED_AT_US = 2 << 3,
		VALID_FOR_MS = 3 << 3
	};
	const uint8_t *at = signed_report, *end = at + bytes;
	uint64_t length, valid_for_ms;

	if (!take_varint(&at, end, REPORT, &length) || length > (size_t)(end - at))
		return false;
	end = at + length;
	if (!take_varint(&at, end, SEQUENCE, &peek->sequence) ||
	    !take_varint(&at, end, MEASURED_AT_US, &peek->measured_us))
		return false;
	peek->valid_for_ms =
		take_varint(&at, end, VALID_FOR_MS, &valid_for_ms) ? (uint32_t)valid_for_ms : 0;
	return true;
}

bool codec_signature_valid(const uint8_t key[KEY_PUBLIC_BYTES], const uint8_t *report, size_t bytes,
			   const uint8_t signature[crypto_sign_BYTES])
{
	uint8_t text[SIGN_PREFIX_BYTES + CODEC_DATAGRAM_MAX] = SIGN_PREFIX;

	if (bytes > CODEC_DATAGRAM_MAX)
		return false;
	if (bytes > 0) /* an empty report may be a null pointer */
		memcpy(text + SIGN_PREFIX_BYTES, report, bytes);
	return crypto_sign_verify_detached(signature, text, SIGN_PREFIX_BYTES + bytes, key) == 0;
}
