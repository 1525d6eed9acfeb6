/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STAMP test packets (RFC 8762), which TWAMP Light (RFC 5357 appendix I) understands too: UDP
 * payloads to and from port 862. Pure: bytes in, bytes out, time passed in. Used by the dataplane
 * (prober.c, reflect.c) and by `suanlu reflect`.
 *
 * Unauthenticated, 44 bytes (figures 2 and 4; the session's id is RFC 8972, figure 1):
 *
 *	Session-Sender				Session-Reflector
 *	 0 sequence number			 0 sequence number
 *	 4 timestamp, 8 bytes			 4 timestamp, 8 bytes
 *	12 error estimate | session id		12 error estimate | session id
 *	16 zero, 28 bytes			16 receive timestamp, 8 bytes
 *						24 sender's sequence number
 *						28 sender's timestamp, 8 bytes
 *						36 sender's error estimate | zero
 *						40 sender's TTL | zero, 3 bytes
 *
 * Authenticated, 112 bytes (figures 3 and 5): fields begin at multiples of 16, and the last 16
 * bytes are HMAC-SHA-256 over the 96 before them, cut to 128 bits (section 4.4).
 *
 *	 0 sequence number | zero, 12		 0 sequence number | zero, 12
 *	16 timestamp				16 timestamp
 *	24 error estimate | id | zero, 68	24 error estimate | id | zero, 4
 *						32 receive timestamp | zero, 8
 *						48 sender's sequence number | zero, 12
 *						64 sender's timestamp
 *						72 sender's error estimate | zero, 6
 *						80 sender's TTL | zero, 15
 *	96 HMAC, 16 bytes			96 HMAC, 16 bytes
 *
 *	error estimate	|S|Z| scale, 6 | multiplier, 8 |	S: the clock is synchronised to UTC
 *			Z: timestamps are PTP's (seconds, nanoseconds) and not NTP's
 *			the error is multiplier * 2^(scale - 32) s (RFC 4656 section 4.1.2)
 */
#pragma once

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_PORT 862
#define STAMP_BYTES 44
#define STAMP_AUTHENTICATED_BYTES 112
#define STAMP_HMAC_BYTES 16
#define STAMP_LEAST_BYTES 14 /* a TWAMP Light sender's without padding */
#define STAMP_SYNCHRONISED 0x8000
#define STAMP_PTP 0x4000

/* All fields in network order. */
struct stamp_sent {
	uint32_t sequence;
	uint64_t time;
	uint16_t error, session;
	uint8_t zero[28];
} __attribute__((packed));
_Static_assert(sizeof(struct stamp_sent) == STAMP_BYTES, "RFC 8762 figure 2");

struct stamp_reflected {
	uint32_t sequence;
	uint64_t time;
	uint16_t error, session;
	uint64_t received;
	uint32_t sender_sequence;
	uint64_t sender_time;
	uint16_t sender_error, zero;
	uint8_t sender_ttl, zero2[3];
} __attribute__((packed));
_Static_assert(sizeof(struct stamp_reflected) == STAMP_BYTES, "RFC 8762 figure 4");

struct stamp_sent_authenticated {
	uint32_t sequence;
	uint8_t zero[12];
	uint64_t time;
	uint16_t error, session;
	uint8_t zero2[68];
	uint8_t hmac[STAMP_HMAC_BYTES];
} __attribute__((packed));
_Static_assert(sizeof(struct stamp_sent_authenticated) == STAMP_AUTHENTICATED_BYTES,
	       "RFC 8762 figure 3");

struct stamp_reflected_authenticated {
	uint32_t sequence;
	uint8_t zero[12];
	uint64_t time;
	uint16_t error, session;
	uint8_t zero2[4];
	uint64_t received;
	uint8_t zero3[8];
	uint32_t sender_sequence;
	uint8_t zero4[12];
	uint64_t sender_time;
	uint16_t sender_error;
	uint8_t zero5[6];
	uint8_t sender_ttl, zero6[15];
	uint8_t hmac[STAMP_HMAC_BYTES];
} __attribute__((packed));
_Static_assert(sizeof(struct stamp_reflected_authenticated) == STAMP_AUTHENTICATED_BYTES,
	       "RFC 8762 figure 5");

/* Of the authenticated mode; zero bytes are the unauthenticated one. */
struct stamp_key {
	bool on;
	crypto_auth_hmacsha256_state begun; /* the secret is mixed in */
};

void stamp_key_set(struct stamp_key *key, const uint8_t *secret, size_t bytes);

static inline unsigned stamp_bytes(const struct stamp_key *key)
{
	return key->on ? STAMP_AUTHENTICATED_BYTES : STAMP_BYTES;
}

/* NTP timestamps (RFC 5905 section 6) of Unix time; until 2036 there is one era to choose from. */
uint64_t stamp_ntp(int64_t unix_ns);
/* Of either kind of timestamp, as the error estimate beside it says. */
int64_t stamp_unix_ns(uint64_t time, uint16_t error);
uint16_t stamp_error(bool synchronised, uint32_t error_ns);

struct stamp_probe {
	uint32_t sequence;
	int64_t sent_ns; /* Unix time */
	uint16_t error;
	uint16_t session; /* RFC 8972; 0: none */
};

/* Writes a Session-Sender's packet, stamp_bytes(key) long, which is returned. */
unsigned stamp_write(uint8_t out[STAMP_AUTHENTICATED_BYTES], const struct stamp_key *key,
		     const struct stamp_probe *probe);

/*
 * Is this a Session-Sender's packet that a reflector with this key answers? Unauthenticated ones
 * may be as short as TWAMP Light's, and longer than STAMP's (padding, TLVs of RFC 8972); `probe`
 * is set if so.
 */
bool stamp_read(const uint8_t *data, size_t bytes, const struct stamp_key *key,
		struct stamp_probe *probe);

/* What a reflector adds. */
struct stamp_reflection {
	uint32_t sequence; /* its own (stateful, section 4.2), or the sender's */
	int64_t received_ns, sent_ns;
	uint16_t error;
	uint8_t ttl; /* of the sender's packet as it came in */
};

/* The length of the answer to a packet of so many bytes: the same, but at least a whole STAMP
 * packet (section 4.6). */
size_t stamp_reflected_bytes(size_t bytes, const struct stamp_key *key);

/*
 * Turns a packet that stamp_read took into its answer, in place; data has room for
 * stamp_reflected_bytes. What lies beyond STAMP's own packet stays as it is: padding comes back,
 * and so do TLVs, as not understood.
 */
void stamp_reflect(uint8_t *data, size_t bytes, const struct stamp_key *key,
		   const struct stamp_reflection *reflection);

struct stamp_reply {
	uint32_t sequence;   /* of the probe */
	uint32_t reflected;  /* the reflector's own */
	int64_t received_ns; /* there, by its clock */
	int64_t sent_ns;     /* from there */
	uint16_t session;    /* 0 from those that do not know it */
	bool synchronised;   /* its clock, as it says */
};

/* A Session-Reflector's packet; false, and nothing written, if it is none or its HMAC is wrong. A
 * TWAMP Light reflector may leave out STAMP's last three zero bytes. */
bool stamp_reply_read(const uint8_t *data, size_t bytes, const struct stamp_key *key,
		      struct stamp_reply *reply);
