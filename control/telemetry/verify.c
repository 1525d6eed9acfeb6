/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify.h"
#include "codec.h"
#include "plausible.h"
#include "replay_window.h"
#include "unpack.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALID_FOR_MS_DEFAULT 500
#define FUTURE_MAX_US 1000000
#define RATE_US 1000 /* one datagram of a sender each, in the mean */
#define BURST_US (256 * RATE_US)
#define CAPACITY_LEAST 16

struct verify_peer {
	unsigned sender;
	uint64_t id; /* first bytes of the key, as they are in memory */
	uint8_t key[SL_KEY_BYTES];
	uint8_t pair[CODEC_PAIR_BYTES];
	uint64_t *kept_us; /* verify_keep; NULL: none */
	uint64_t due_us;   /* when all datagrams so far would have come, one each RATE_US */
	struct replay_window window;
};

struct verify {
	struct key own;
	struct verify_peer *peer;
	unsigned peers, capacity;
	unsigned *slot; /* hash by id, open addressing, 2 * capacity: a peer + 1; 0: free */
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

static void free_peers(struct verify *verify)
{
	if (verify->peer)
		sodium_memzero(verify->peer, verify->peers * sizeof(*verify->peer));
	free(verify->peer);
	free(verify->slot);
}

void verify_close(struct verify *verify)
{
	if (!verify)
		return;
	free_peers(verify);
	sodium_memzero(verify, sizeof(*verify));
	free(verify);
}

/* --- who may report ------------------------------------------------------------------------- */

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
	unsigned mask = 2 * verify->capacity - 1, i = (unsigned)id & mask;

	while (verify->slot[i] && verify->peer[verify->slot[i] - 1].id != id)
		i = (i + 1) & mask;
	return &verify->slot[i];
}

static struct verify_peer *find_peer(const struct verify *verify, uint64_t id)
{
	unsigned found = verify->capacity ? *slot_of(verify, id) : 0;

	return found ? &verify->peer[found - 1] : NULL;
}

static struct verify_peer *find_key(const struct verify *verify, const uint8_t key[SL_KEY_BYTES])
{
	struct verify_peer *peer = find_peer(verify, key_id(key));

	return peer && memcmp(peer->key, key, sizeof(peer->key)) == 0 ? peer : NULL;
}

static void insert(struct verify *verify, const struct verify_peer *peer)
{
	verify->peer[verify->peers++] = *peer;
	*slot_of(verify, peer->id) = verify->peers;
}

/* For one peer more. Not realloc: it could leave a copy of the pair keys behind. */
static int make_room(struct verify *verify)
{
	struct verify grown = {.own = verify->own,
			       .capacity =
				       verify->capacity ? 2 * verify->capacity : CAPACITY_LEAST};

	if (verify->peers < verify->capacity)
		return 0;
	grown.peer = calloc(grown.capacity, sizeof(*grown.peer));
	grown.slot = calloc(2 * grown.capacity, sizeof(*grown.slot));
	if (!grown.peer || !grown.slot) {
		free(grown.peer);
		free(grown.slot);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < verify->peers; i++)
		insert(&grown, &verify->peer[i]);
	free_peers(verify);
	*verify = grown;
	sodium_memzero(&grown, sizeof(grown));
	return 0;
}

int verify_add(struct verify *verify, const uint8_t key[SL_KEY_BYTES], unsigned sender,
	       const struct verify *before)
{
	const struct verify_peer *known = before ? find_key(before, key) : NULL;
	struct verify_peer peer = {};
	int err = 0;

	if (find_peer(verify, key_id(key)))
		return -EEXIST;
	if (known)
		peer = *known;
	peer.id = key_id(key);
	peer.kept_us = NULL;
	peer.sender = sender;
	memcpy(peer.key, key, sizeof(peer.key));
	/* three multiplications on the curve, 0.1 ms */
	if (!known || memcmp(&before->own, &verify->own, sizeof(verify->own)) != 0)
		err = codec_pair(&verify->own, key, peer.pair);
	if (!err)
		err = make_room(verify);
	if (!err)
		insert(verify, &peer);
	sodium_memzero(&peer, sizeof(peer));
	return err;
}

void verify_keep(struct verify *verify, const uint8_t key[SL_KEY_BYTES], uint64_t *newest_us)
{
	struct verify_peer *peer = find_key(verify, key);

	if (!peer)
		return;
	if (*newest_us > peer->window.newest_us)
		replay_window_restart(&peer->window, *newest_us - 1);
	else
		*newest_us = peer->window.newest_us;
	peer->kept_us = newest_us;
}

static void remember(struct verify_peer *peer)
{
	if (peer->kept_us) /* whole, for whoever reads it after we were killed */
		__atomic_store_n(peer->kept_us, peer->window.newest_us, __ATOMIC_RELAXED);
}

void verify_set_back(struct verify *verify, uint64_t now_us)
{
	for (unsigned i = 0; i < verify->peers; i++) {
		replay_window_restart(&verify->peer[i].window, now_us);
		remember(&verify->peer[i]);
	}
}

/* --- a datagram ----------------------------------------------------------------------------- */

static bool is_format(const struct codec_header *header)
{
	return header->magic[0] == 'S' && header->magic[1] == 'L' && header->version == 1 &&
	       header->zero == 0;
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

static enum verify_reason judge_time(uint64_t measured_us, uint32_t valid_for_ms, uint64_t now_us)
{
	uint64_t valid_us = (valid_for_ms ?: VALID_FOR_MS_DEFAULT) * UINT64_C(1000);

	if (measured_us < now_us && now_us - measured_us > valid_us)
		return VERIFY_STALE;
	if (measured_us > now_us && measured_us - now_us > FUTURE_MAX_US)
		return VERIFY_FUTURE;
	return VERIFY_ACCEPTED;
}

/* What is cheap first. */
static enum verify_reason judge(const struct verify_peer *peer, const Suanlu__SignedReport *outer,
				const Suanlu__Report *report, uint64_t now_us)
{
	enum verify_reason reason;

	if (!replay_window_is_new(&peer->window, report->sequence, report->measured_at_us))
		return VERIFY_REPLAYED;
	reason = judge_time(report->measured_at_us, report->valid_for_ms, now_us);
	if (reason != VERIFY_ACCEPTED)
		return reason;
	if (outer->signature.len != crypto_sign_BYTES ||
	    !codec_signature_valid(peer->key, outer->report.data, outer->report.len,
				   outer->signature.data))
		return VERIFY_SIGNATURE;
	return plausible(report, NULL, 0) ? VERIFY_ACCEPTED : VERIFY_IMPLAUSIBLE;
}

/*
 * Recorded datagrams have right tags: they must not cost a decoding each. Nor must what waited too
 * long where more comes than one core can verify: time goes to what is still worth it.
 */
static enum verify_reason judge_unopened(const struct verify_peer *peer, const uint8_t *data,
					 size_t bytes, uint64_t now_us, int64_t *ahead_us)
{
	enum verify_reason reason;
	struct codec_peek peek;

	if (!codec_peek(data, bytes, &peek))
		return VERIFY_ACCEPTED;
	if (!replay_window_is_new(&peer->window, peek.sequence, peek.measured_us))
		return VERIFY_REPLAYED;
	reason = judge_time(peek.measured_us, peek.valid_for_ms, now_us);
	if (reason != VERIFY_ACCEPTED)
		*ahead_us = (int64_t)(peek.measured_us - now_us);
	return reason;
}

/* Syntax first, all of it. */
static enum verify_reason open_report(const struct verify_peer *peer, const uint8_t *data,
				      size_t bytes, uint64_t now_us, Suanlu__Report **out,
				      int64_t *ahead_us)
{
	struct unpack_scratch scratch;
	Suanlu__SignedReport *outer = unpack_signed(&scratch, data, bytes);
	Suanlu__Report *report =
		outer ? unpack_report(outer->report.data, outer->report.len) : NULL;
	enum verify_reason reason = report ? judge(peer, outer, report, now_us) : VERIFY_DECODE;

	if (reason == VERIFY_ACCEPTED || reason == VERIFY_STALE || reason == VERIFY_FUTURE)
		*ahead_us = (int64_t)(report->measured_at_us - now_us);
	if (reason == VERIFY_ACCEPTED)
		*out = report;
	else
		unpack_release(report);
	unpack_clear(&scratch);
	return reason;
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

int verify_claimed(const struct verify *verify, const uint8_t *data, size_t bytes)
{
	struct codec_header header;
	enum verify_reason reason;
	const struct verify_peer *peer = read_header(verify, data, bytes, &header, &reason);

	return peer ? (int)peer->sender : -1;
}

/* What both ways have in common, after the sender is known. */
static enum verify_reason open_peer(struct verify_peer *peer, const uint8_t *data, size_t bytes,
				    uint64_t now_us, Suanlu__Report **report, int64_t *ahead_us)
{
	const size_t header = sizeof(struct codec_header);
	enum verify_reason reason =
		judge_unopened(peer, data + header, bytes - header, now_us, ahead_us);

	if (reason != VERIFY_ACCEPTED)
		return reason;
	if (too_many(peer, now_us))
		return VERIFY_FLOOD;
	reason = open_report(peer, data + header, bytes - header, now_us, report, ahead_us);
	if (reason == VERIFY_ACCEPTED) {
		replay_window_take(&peer->window, (*report)->sequence, (*report)->measured_at_us);
		remember(peer);
	}
	return reason;
}

enum verify_reason verify_datagram(struct verify *verify, const uint8_t *data, size_t bytes,
				   uint64_t now_us, Suanlu__Report **report, unsigned *sender,
				   int64_t *ahead_us)
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
	reason = open_peer(peer, data, bytes, now_us, report, ahead_us);
	if (reason == VERIFY_ACCEPTED || reason == VERIFY_STALE || reason == VERIFY_FUTURE)
		*sender = peer->sender;
	return reason;
}

enum verify_reason verify_message(struct verify *verify, const uint8_t *data, size_t bytes,
				  uint64_t now_us, unsigned sender, Suanlu__Report **report,
				  int64_t *ahead_us)
{
	struct codec_header header;
	enum verify_reason reason;
	struct verify_peer *peer = read_header(verify, data, bytes, &header, &reason);

	if (!peer)
		return reason;
	if (peer->sender != sender)
		return VERIFY_SUBJECT;
	return open_peer(peer, data, bytes, now_us, report, ahead_us);
}
