/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify.h"
#include "codec.h"
#include "plausible.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 64
#define VALID_FOR_MS_DEFAULT 500
#define FUTURE_MAX_US 1000000

/*
 * The highest sequences taken so far, rising. Whatever is not among them and lies above
 * the lowest was never taken: exact, however far apart a publisher's sequences are.
 */
struct window {
	unsigned taken;
	uint64_t sequence[WINDOW];
};

struct verify_peer {
	uint64_t id; /* first bytes of the key, as they are in memory */
	unsigned sender;
	uint8_t key[SL_KEY_BYTES];
	uint8_t pair[CODEC_PAIR_BYTES];
	struct window window;
};

struct verify {
	struct key own;
	struct verify_peer *peer;
	unsigned peers;
};

const char *verify_reason_text(enum verify_reason reason)
{
	static const char *const text[VERIFY_REASON_COUNT] = {
#define X(name, text) [VERIFY_##name] = text,
		VERIFY_REASONS(X)
#undef X
	};

	return reason < VERIFY_REASON_COUNT ? text[reason] : "?";
}

int verify_open(struct verify **out, const struct key *own)
{
	struct verify *verify = calloc(1, sizeof(*verify));

	if (!verify)
		return -ENOMEM;
	verify->own = *own;
	*out = verify;
	return 0;
}

void verify_close(struct verify *verify)
{
	if (!verify)
		return;
	if (verify->peer)
		sodium_memzero(verify->peer, verify->peers * sizeof(*verify->peer));
	free(verify->peer);
	sodium_memzero(verify, sizeof(*verify));
	free(verify);
}

static uint64_t key_id(const uint8_t *id)
{
	uint64_t value;

	_Static_assert(sizeof(value) == CODEC_ID_BYTES, "one load compares an id");
	memcpy(&value, id, sizeof(value));
	return value;
}

static struct verify_peer *find_peer(const struct verify *verify, uint64_t id)
{
	for (unsigned i = 0; i < verify->peers; i++)
		if (verify->peer[i].id == id)
			return &verify->peer[i];
	return NULL;
}

int verify_add(struct verify *verify, const uint8_t key[SL_KEY_BYTES], unsigned sender)
{
	struct verify_peer peer = {.id = key_id(key), .sender = sender};
	struct verify_peer *grown;
	int err;

	if (find_peer(verify, peer.id))
		return -EEXIST;
	memcpy(peer.key, key, sizeof(peer.key));
	err = codec_pair(&verify->own, key, peer.pair);
	if (err < 0)
		return err;
	/* not realloc: it could leave a copy of the pair keys behind */
	grown = calloc(verify->peers + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (verify->peers > 0) {
		memcpy(grown, verify->peer, verify->peers * sizeof(*grown));
		sodium_memzero(verify->peer, verify->peers * sizeof(*grown));
	}
	free(verify->peer);
	grown[verify->peers++] = peer;
	verify->peer = grown;
	sodium_memzero(&peer, sizeof(peer));
	return 0;
}

void verify_carry(struct verify *to, const struct verify *from)
{
	for (unsigned i = 0; i < from->peers; i++) {
		struct verify_peer *peer = find_peer(to, from->peer[i].id);

		if (peer && memcmp(peer->key, from->peer[i].key, sizeof(peer->key)) == 0)
			peer->window = from->peer[i].window;
	}
}

/* Where `sequence` belongs in the window: how many taken sequences are below it. */
static unsigned window_place(const struct window *window, uint64_t sequence)
{
	unsigned place = window->taken;

	while (place > 0 && window->sequence[place - 1] >= sequence)
		place--;
	return place;
}

static bool window_is_new(const struct window *window, uint64_t sequence)
{
	unsigned place = window_place(window, sequence);

	if (place < window->taken && window->sequence[place] == sequence)
		return false;
	return place > 0 || window->taken < WINDOW;
}

/* For a new sequence. A full window forgets its lowest. */
static void window_take(struct window *window, uint64_t sequence)
{
	unsigned place = window_place(window, sequence);
	uint64_t *at = window->sequence;

	if (window->taken < WINDOW) {
		memmove(at + place + 1, at + place, (window->taken - place) * sizeof(*at));
		window->taken++;
	} else {
		place--;
		memmove(at, at + 1, place * sizeof(*at));
	}
	at[place] = sequence;
}

static bool is_format(const struct codec_header *header)
{
	return header->magic[0] == 'S' && header->magic[1] == 'L' && header->version == 1 &&
	       header->zero == 0;
}

/* Syntax first, all of it, then the signature. */
static enum verify_reason open_report(const struct verify_peer *peer, const uint8_t *data,
				      size_t bytes, Suanlu__Report **out)
{
	Suanlu__SignedReport *outer = suanlu__signed_report__unpack(NULL, bytes, data);
	enum verify_reason reason = VERIFY_DECODE;
	Suanlu__Report *report;

	if (!outer)
		return VERIFY_DECODE;
	report = suanlu__report__unpack(NULL, outer->report.len, outer->report.data);
	if (!report)
		goto out;
	reason = VERIFY_SIGNATURE;
	if (outer->signature.len == crypto_sign_BYTES &&
	    codec_signature_valid(peer->key, outer->report.data, outer->report.len,
				  outer->signature.data)) {
		reason = VERIFY_ACCEPTED;
		*out = report;
	} else {
		suanlu__report__free_unpacked(report, NULL);
	}
out:
	suanlu__signed_report__free_unpacked(outer, NULL);
	return reason;
}

static enum verify_reason judge(const struct window *window, const Suanlu__Report *report,
				uint64_t now_us)
{
	uint64_t measured_us = report->measured_at_us;
	uint64_t valid_ms = report->valid_for_ms ? report->valid_for_ms : VALID_FOR_MS_DEFAULT;

	if (!window_is_new(window, report->sequence))
		return VERIFY_REPLAYED;
	if (measured_us < now_us && now_us - measured_us > valid_ms * 1000)
		return VERIFY_STALE;
	if (measured_us > now_us && measured_us - now_us > FUTURE_MAX_US)
		return VERIFY_FUTURE;
	return plausible(report, NULL, 0) ? VERIFY_ACCEPTED : VERIFY_IMPLAUSIBLE;
}

enum verify_reason verify_datagram(struct verify *verify, const uint8_t *data, size_t bytes,
				   uint64_t now_us, Suanlu__Report **report, unsigned *sender)
{
	struct codec_header header;
	uint8_t tag[CODEC_TAG_BYTES];
	struct verify_peer *peer;
	enum verify_reason reason;
	Suanlu__Report *opened;

	if (bytes < sizeof(header) || bytes > CODEC_DATAGRAM_MAX)
		return VERIFY_SIZE;
	memcpy(&header, data, sizeof(header));
	if (!is_format(&header))
		return VERIFY_FORMAT;
	peer = find_peer(verify, key_id(header.key_id));
	if (!peer)
		return VERIFY_UNKNOWN_KEY;
	codec_tag(peer->pair, data, bytes, tag);
	if (sodium_memcmp(tag, header.tag, sizeof(tag)) != 0)
		return VERIFY_TAG;
	reason = open_report(peer, data + sizeof(header), bytes - sizeof(header), &opened);
	if (reason != VERIFY_ACCEPTED)
		return reason;
	reason = judge(&peer->window, opened, now_us);
	if (reason != VERIFY_ACCEPTED) {
		suanlu__report__free_unpacked(opened, NULL);
		return reason;
	}
	window_take(&peer->window, opened->sequence);
	*report = opened;
	*sender = peer->sender;
	return VERIFY_ACCEPTED;
}
