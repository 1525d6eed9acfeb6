/* SPDX-License-Identifier: BSD-3-Clause */
#include "stamp.h"
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#define NTP_EPOCH_S 2208988800u /* from 1900 to 1970 */
#define SECOND_NS 1000000000
#define REPLY_LEAST_BYTES 41 /* RFC 5357 section 4.2.1 */

void stamp_key_set(struct stamp_key *key, const uint8_t *secret, size_t bytes)
{
	crypto_auth_hmacsha256_init(&key->begun, secret, bytes);
	key->on = true;
}

static void hmac(const struct stamp_key *key, const uint8_t *data, uint8_t out[STAMP_HMAC_BYTES])
{
	crypto_auth_hmacsha256_state state = key->begun;
	uint8_t whole[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_update(&state, data, STAMP_AUTHENTICATED_BYTES - STAMP_HMAC_BYTES);
	crypto_auth_hmacsha256_final(&state, whole);
	memcpy(out, whole, STAMP_HMAC_BYTES);
}

static bool hmac_right(const struct stamp_key *key, const uint8_t *data, size_t bytes)
{
	uint8_t right[STAMP_HMAC_BYTES];

	if (bytes < STAMP_AUTHENTICATED_BYTES)
		return false;
	hmac(key, data, right);
	return sodium_memcmp(right, data + STAMP_AUTHENTICATED_BYTES - STAMP_HMAC_BYTES,
			     sizeof(right)) == 0;
}

/* Rounded up, so that the way back, rounded down, gives the same nanosecond. */
uint64_t stamp_ntp(int64_t unix_ns)
{
	uint64_t s = (uint64_t)unix_ns / SECOND_NS, ns = (uint64_t)unix_ns % SECOND_NS;

	return (s + NTP_EPOCH_S) << 32 | ((ns << 32) + SECOND_NS - 1) / SECOND_NS;
}

int64_t stamp_unix_ns(uint64_t time, uint16_t error)
{
	uint32_t s = time >> 32, rest = (uint32_t)time;

	if (error & STAMP_PTP)
		return (int64_t)s * SECOND_NS + rest;
	return (int64_t)(uint32_t)(s - NTP_EPOCH_S) * SECOND_NS +
	       (int64_t)((uint64_t)rest * SECOND_NS >> 32);
}

/* The multiplier must not be 0, or the packet is to be thrown away (RFC 4656 section 4.1.2). */
uint16_t stamp_error(bool synchronised, uint32_t error_ns)
{
	uint64_t units = ((uint64_t)error_ns << 32) / SECOND_NS + 1;
	unsigned scale = 0;

	while (units > 0xff) {
		units = (units + 1) / 2;
		scale++;
	}
	return (synchronised ? STAMP_SYNCHRONISED : 0) | scale << 8 | units;
}

unsigned stamp_write(uint8_t out[STAMP_AUTHENTICATED_BYTES], const struct stamp_key *key,
		     const struct stamp_probe *probe)
{
	struct stamp_sent plain = {
		.sequence = htonl(probe->sequence),
		.time = htobe64(stamp_ntp(probe->sent_ns)),
		.error = htons(probe->error),
		.session = htons(probe->session),
	};
	struct stamp_sent_authenticated whole = {
		.sequence = plain.sequence,
		.time = plain.time,
		.error = plain.error,
		.session = plain.session,
	};

	if (!key->on) {
		memcpy(out, &plain, sizeof(plain));
		return sizeof(plain);
	}
	hmac(key, (const uint8_t *)&whole, whole.hmac);
	memcpy(out, &whole, sizeof(whole));
	return sizeof(whole);
}

/* The fields of a sender's packet of either mode; what a short one lacks is zero. */
static struct stamp_sent sent_fields(const uint8_t *data, size_t bytes, const struct stamp_key *key)
{
	struct stamp_sent sent = {0};
	struct stamp_sent_authenticated whole;

	if (!key->on) {
		memcpy(&sent, data, bytes < sizeof(sent) ? bytes : sizeof(sent));
		return sent;
	}
	memcpy(&whole, data, sizeof(whole));
	sent.sequence = whole.sequence;
	sent.time = whole.time;
	sent.error = whole.error;
	sent.session = whole.session;
	return sent;
}

bool stamp_read(const uint8_t *data, size_t bytes, const struct stamp_key *key,
		struct stamp_probe *probe)
{
	struct stamp_sent sent;

	if (bytes < STAMP_LEAST_BYTES || (key->on && !hmac_right(key, data, bytes)))
		return false;
	sent = sent_fields(data, bytes, key);
	*probe = (struct stamp_probe){
		.sequence = ntohl(sent.sequence),
		.sent_ns = stamp_unix_ns(be64toh(sent.time), ntohs(sent.error)),
		.error = ntohs(sent.error),
		.session = ntohs(sent.session),
	};
	return true;
}

size_t stamp_reflected_bytes(size_t bytes, const struct stamp_key *key)
{
	return bytes > stamp_bytes(key) ? bytes : stamp_bytes(key);
}

void stamp_reflect(uint8_t *data, size_t bytes, const struct stamp_key *key,
		   const struct stamp_reflection *reflection)
{
	struct stamp_sent sent = sent_fields(data, bytes, key);
	struct stamp_reflected plain = {
		.sequence = htonl(reflection->sequence),
		.time = htobe64(stamp_ntp(reflection->sent_ns)),
		.error = htons(reflection->error),
		.session = sent.session,
		.received = htobe64(stamp_ntp(reflection->received_ns)),
		.sender_sequence = sent.sequence,
		.sender_time = sent.time,
		.sender_error = sent.error,
		.sender_ttl = reflection->ttl,
	};
	struct stamp_reflected_authenticated whole = {
		.sequence = plain.sequence,
		.time = plain.time,
		.error = plain.error,
		.session = plain.session,
		.received = plain.received,
		.sender_sequence = plain.sender_sequence,
		.sender_time = plain.sender_time,
		.sender_error = plain.sender_error,
		.sender_ttl = plain.sender_ttl,
	};

	if (!key->on) {
		memcpy(data, &plain, sizeof(plain));
		return;
	}
	hmac(key, (const uint8_t *)&whole, whole.hmac);
	memcpy(data, &whole, sizeof(whole));
}

static struct stamp_reflected reflected_fields(const uint8_t *data, size_t bytes,
					       const struct stamp_key *key)
{
	struct stamp_reflected plain = {0};
	struct stamp_reflected_authenticated whole;

	if (!key->on) {
		memcpy(&plain, data, bytes < sizeof(plain) ? bytes : sizeof(plain));
		return plain;
	}
	memcpy(&whole, data, sizeof(whole));
	plain.sequence = whole.sequence;
	plain.time = whole.time;
	plain.error = whole.error;
	plain.session = whole.session;
	plain.received = whole.received;
	plain.sender_sequence = whole.sender_sequence;
	return plain;
}

bool stamp_reply_read(const uint8_t *data, size_t bytes, const struct stamp_key *key,
		      struct stamp_reply *reply)
{
	struct stamp_reflected from;
	uint16_t error;

	if (bytes < REPLY_LEAST_BYTES || (key->on && !hmac_right(key, data, bytes)))
		return false;
	from = reflected_fields(data, bytes, key);
	error = ntohs(from.error);
	*reply = (struct stamp_reply){
		.sequence = ntohl(from.sender_sequence),
		.reflected = ntohl(from.sequence),
		.received_ns = stamp_unix_ns(be64toh(from.received), error),
		.sent_ns = stamp_unix_ns(be64toh(from.time), error),
		.session = ntohs(from.session),
		.synchronised = error & STAMP_SYNCHRONISED,
	};
	return true;
}
