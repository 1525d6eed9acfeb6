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
#define RATE_US 1000 /* one datagram of a sender each, in the mean */
#define BURST_US (256 * RATE_US)

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
	uint64_t due_us; /* when all datagrams so far would have come, one each RATE_US */
	struct window window;
};

struct verify {
	struct key own;
	struct verify_peer *peer;
	unsigned peers;
	unsigned *slot; /* hash by id, open addressing: index of a peer + 1; 0: free */
	unsigned slots; /* a power of two, at least twice the peers; 0: none yet */
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
	free(verify->slot);
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

/* Keys are uniform, and who may choose them is configured: an id is its own hash. */
static unsigned *slot_of(const struct verify *verify, uint64_t id)
{
	unsigned i = (unsigned)id & (verify->slots - 1);

	while (verify->slot[i] && verify->peer[verify->slot[i] - 1].id != id)
		i = (i + 1) & (verify->slots - 1);
	return &verify->slot[i];
}

static struct verify_peer *find_peer(const struct verify *verify, uint64_t id)
{
	unsigned found = verify->slots ? *slot_of(verify, id) : 0;

	return found ? &verify->peer[found - 1] : NULL;
}

/* For one peer more. */
static int grow_slots(struct verify *verify)
{
	unsigned slots = verify->slots ? 2 * verify->slots : 16;
	unsigned *grown;

	if (2 * (verify->peers + 1) <= verify->slots)
		return 0;
	grown = calloc(slots, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	free(verify->slot);
	verify->slot = grown;
	verify->slots = slots;
	for (unsigned i = 0; i < verify->peers; i++)
		*slot_of(verify, verify->peer[i].id) = i + 1;
	return 0;
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
	if (!err)
		err = grow_slots(verify);
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
	*slot_of(verify, peer.id) = verify->peers;
	sodium_memzero(&peer, sizeof(peer));
	return 0;
}

void verify_carry(struct verify *to, const struct verify *from)
{
	for (unsigned i = 0; i < from->peers; i++) {
		struct verify_peer *peer = find_peer(to, from->peer[i].id);

		if (!peer || memcmp(peer->key, from->peer[i].key, sizeof(peer->key)) != 0)
			continue;
		peer->window = from->peer[i].window;
		peer->due_us = from->peer[i].due_us;
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

/* Generic cell rate algorithm (ITU-T I.371): no counter that must be refilled. */
static bool too_many(struct verify_peer *peer, uint64_t now_us)
{
	/* Farther ahead than any burst: the clock was set back. */
	if (peer->due_us < now_us || peer->due_us > now_us + BURST_US + RATE_US)
		peer->due_us = now_us;
	if (peer->due_us > now_us + BURST_US - RATE_US)
		return true;
	peer->due_us += RATE_US;
	return false;
}

/* From whom it says it is; NULL and the reason. */
static struct verify_peer *read_header(const struct verify *verify, const uint8_t *data,
				       size_t bytes, struct codec_header *header,
				       enum verify_reason *reason)
{
	*reason = VERIFY_SIZE;
	if (bytes < sizeof(*header) || bytes > CODEC_DATAGRAM_MAX)
		return NULL;
	memcpy(header, data, sizeof(*header));
	*reason = VERIFY_FORMAT;
	if (!is_format(header))
		return NULL;
	*reason = VERIFY_UNKNOWN_KEY;
	return find_peer(verify, key_id(header->key_id));
}

/* What both ways have in common, after the sender is known. */
static enum verify_reason open_peer(struct verify_peer *peer, const uint8_t *data, size_t bytes,
				    uint64_t now_us, Suanlu__Report **report)
{
	const size_t header = sizeof(struct codec_header);
	enum verify_reason reason;
	Suanlu__Report *opened;

	if (too_many(peer, now_us))
		return VERIFY_FLOOD;
	reason = open_report(peer, data + header, bytes - header, &opened);
	if (reason != VERIFY_ACCEPTED)
		return reason;
	reason = judge(&peer->window, opened, now_us);
	if (reason != VERIFY_ACCEPTED) {
		suanlu__report__free_unpacked(opened, NULL);
		return reason;
	}
	window_take(&peer->window, opened->sequence);
	*report = opened;
	return VERIFY_ACCEPTED;
}

enum verify_reason verify_datagram(struct verify *verify, const uint8_t *data, size_t bytes,
				   uint64_t now_us, Suanlu__Report **report, unsigned *sender)
{
	struct codec_header header;
	uint8_t tag[CODEC_TAG_BYTES];
	enum verify_reason reason;
	struct verify_peer *peer = read_header(verify, data, bytes, &header, &reason);

	if (!peer)
		return reason;
	codec_tag(peer->pair, data, bytes, tag);
	if (sodium_memcmp(tag, header.tag, sizeof(tag)) != 0)
		return VERIFY_TAG;
	reason = open_peer(peer, data, bytes, now_us, report);
	if (reason == VERIFY_ACCEPTED)
		*sender = peer->sender;
	return reason;
}

enum verify_reason verify_message(struct verify *verify, const uint8_t *data, size_t bytes,
				  uint64_t now_us, unsigned sender, Suanlu__Report **report)
{
	struct codec_header header;
	enum verify_reason reason;
	struct verify_peer *peer = read_header(verify, data, bytes, &header, &reason);

	if (!peer)
		return reason;
	if (peer->sender != sender)
		return VERIFY_SUBJECT;
	return open_peer(peer, data, bytes, now_us, report);
}
