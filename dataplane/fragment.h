/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments follow their first fragment, the only one with ports. Tracked, not reassembled: they
 * go on as they came (also overlapping ones, which are the site's hosts' to judge), nothing
 * is rebuilt and no chain of buffers held per datagram, so memory and time are bounded:
 *
 *	known:	 keyed hash of a datagram -> way, 16,384 of them, 2 s each, sets of 4;
 *		 a full set gives up its oldest
 *	waiting: at most 256 later fragments that came before their first, 512 KiB, 500 ms, in order
 *		 of arrival; more displace the oldest, so a flood shortens the time that is waited
 *		 (to N / rate) but nobody can fill it up for others
 *
 * It stores no keys: a datagram is known by a 64-bit keyed hash. Packets are opaque and stay the
 * caller's; each that was let wait is given back exactly once. Pure: time is passed in.
 * One per worker, one writer; zero bytes are an empty one.
 *
 *	first:	steer it as any packet, then fragment_first, and send what fragment_release
 *		gives the same way
 *	later:	fragment_later: the way, or it waits, or (only if the caller does not empty
 *		fragment_overdue) it is refused
 *	each burst in which fragments came, and once in a while: fragment_overdue until NULL
 */
#pragma once

#include "parse.h"

#define FRAGMENT_SETS 4096
#define FRAGMENT_WAYS 4
#define FRAGMENT_KNOWN_MS 2000
#define FRAGMENT_WAITING_MAX 256
#define FRAGMENT_WAITING_SLACK 64 /* above the bound, until fragment_overdue is called */
#define FRAGMENT_WAITING_BYTES (512 * 1024)
#define FRAGMENT_WAITING_MS 500

/* A fragment as fragment_read sees it. */
struct fragment {
	struct flow_key datagram; /* what its fragments have in common: addresses, protocol
				     (IPv4 only), identification in the place of the ports */
	bool first;		  /* packet->key is its flow, and l4 the upper-layer header */
};

/*
 * For a packet that parse or parse_ip called FRAGMENT: `ip` is its IP header, `bytes` from there
 * on are present. Fills all of `packet` as parse_ip would have (data = ip, l3 = 0); of a
 * later fragment the key has no ports and l4 is its data. PARSE_OK, or TRUNCATED, BAD_HEADER,
 * BAD_CHECKSUM as parse. A first fragment must hold the whole header of TCP or UDP (RFC 7112, and
 * against tiny fragments RFC 1858); a fragment that is not the last has a length
 * divisible by 8 (RFC 8200 section 4.5), and none ends past 65,535 bytes: else BAD_HEADER.
 */
enum sl_verdict fragment_read(uint8_t *ip, uint32_t bytes, struct packet *packet,
			      struct fragment *fragment);

/* Where the first fragment went. */
struct fragment_way {
	uint64_t flow_hash; /* of the flow: the others take the same path */
	uint16_t member;
};

struct fragment_known {
	uint64_t datagram; /* keyed hash, 0: none */
	uint64_t flow_hash;
	uint32_t since_ms;
	uint16_t member;
};

struct fragment_waiting {
	void *packet; /* NULL: gone already */
	uint32_t bytes, since_ms;
};

struct fragments {
	uint32_t head, waiting; /* of the ring: oldest, and how many places from there on */
	uint32_t waiting_bytes;
	uint32_t packets; /* that wait: places less those that are gone */
	uint64_t datagram[FRAGMENT_WAITING_MAX + FRAGMENT_WAITING_SLACK]; /* apart, to scan */
	struct fragment_waiting ring[FRAGMENT_WAITING_MAX + FRAGMENT_WAITING_SLACK];
	struct fragment_known known[FRAGMENT_SETS][FRAGMENT_WAYS];
};

enum fragment_fate {
	FRAGMENT_KNOWN,	  /* *way is set: send it there */
	FRAGMENT_WAITS,	  /* the packet is kept */
	FRAGMENT_REFUSED, /* no place: the packet is the caller's again */
};

/* datagram: keyed hash of fragment->datagram (pin_hash with SL_AFFINITY_FLOW). now_ms may wrap. */
void fragment_first(struct fragments *fragments, uint64_t datagram, const struct fragment_way *way,
		    uint32_t now_ms);
enum fragment_fate fragment_later(struct fragments *fragments, uint64_t datagram, void *packet,
				  uint32_t bytes, uint32_t now_ms, struct fragment_way *way);

/* The next packet that waits for this datagram, in the order that they came; NULL: no more. */
void *fragment_release(struct fragments *fragments, uint64_t datagram);

/* The oldest packet, if it waited in vain or there are too many; NULL: none. Count and free it. */
void *fragment_overdue(struct fragments *fragments, uint32_t now_ms);

/* Any packet that still waits, for the end; NULL: none. */
void *fragment_drain(struct fragments *fragments);
