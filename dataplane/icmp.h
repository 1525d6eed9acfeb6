/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP (RFC 792, 1191, 1812) and ICMPv6 (RFC 4443) in the name of a service address: errors
 * about packets that cannot go on, answers to echo requests; and for errors that arrive
 * for a service address, which flow they are about. Pure: bytes in, bytes out, time passed in.
 * Called by workers, off the fast path.
 *
 * Invariant: nothing is ever said about an ICMP error, a later fragment, or a packet from or
 * to a group or unspecified address, be it of IP or of the link (RFC 1122 section 3.2.2, RFC
 * 4443 section 2.4), and an error is never longer than 576 (IPv4) or 1280 bytes (IPv6).
 *
 * The answer goes back to the neighbour that sent the frame, over the same VLAN: a router, which
 * knows the way to its source. An IPv4 packet without DF gets no "fragmentation needed": its
 * sender asked to have it fragmented (RFC 791, RFC 1812 section 5.3.6), often because it cannot
 * adapt (UDP without path MTU discovery) and so would never get through. The caller fragments it
 * (icmp_may_fragment) before it is encapsulated, and the site's hosts reassemble it.
 */
#pragma once

#include "parse.h"

#define ICMP_IPV4_ERROR_MAX 576	 /* RFC 1812 section 4.3.2.3 */
#define ICMP_IPV6_ERROR_MAX 1280 /* RFC 4443 section 3 */
/* Room that suffices for any error: two VLAN tags and an IPv6 packet. */
#define ICMP_ERROR_FRAME_MAX (22 + ICMP_IPV6_ERROR_MAX)

struct icmp_received {
	const uint8_t *frame; /* as it came, for the way back */
	uint32_t frame_bytes;
	const uint8_t *ip; /* the packet for the service: inside an outer one if decapsulated */
	uint32_t ip_bytes;
};

enum icmp_error {
	ICMP_ERROR_TOO_BIG,   /* Fragmentation Needed, Packet Too Big */
	ICMP_ERROR_HOP_LIMIT, /* Time Exceeded in transit */
};

/*
 * Writes a whole frame to `out` and returns its length; 0: nothing may be said about this packet,
 * or there is no room. mtu_bytes: the largest packet for the service that would have fitted, that
 * is, the outgoing MTU less the outer headers (icmp_mtu); TOO_BIG only. Less than 1280 is not
 * told to IPv6 senders, who could do nothing about it (RFC 8200 section 5, RFC 8021).
 */
unsigned icmp_error(uint8_t *out, unsigned room, const struct icmp_received *about,
		    enum icmp_error error, uint16_t mtu_bytes);

static inline uint16_t icmp_mtu(uint16_t outgoing_mtu_bytes, uint16_t outer_bytes)
{
	return outgoing_mtu_bytes > outer_bytes ? outgoing_mtu_bytes - outer_bytes : 0;
}

/* Too big, and IPv4 without DF: to be fragmented rather than answered. */
bool icmp_may_fragment(const uint8_t *ip);

/*
 * The whole frame that answers an echo request; 0: it is none, its checksum is wrong, or
 * there is no room. Identifier, sequence and data are returned (RFC 792, RFC 4443 section 4.2).
 */
unsigned icmp_echo_reply(uint8_t *out, unsigned room, const struct icmp_received *request);

/*
 * The Ethernet header back to where the frame came from, with its VLAN tags. Returns its length; 0
 * for a frame to a group of hosts, which may not be answered, or from one, which cannot be.
 */
unsigned icmp_put_ethernet(uint8_t *out, unsigned room, const struct icmp_received *received,
			   uint8_t family);

/*
 * An ICMP error about a packet *from* a service address (so its destination is that address):
 * `key` becomes the flow that the quoted packet answered, client -> service, as parse would have
 * read it, to find that flow's pin. Eight quoted bytes of TCP or UDP are enough; quoted
 * extension headers are walked. PARSE_OK, or why it concerns no flow:
 *
 *	TRUNCATED	the message, or the quote up to the ports, is not all there
 *	BAD_HEADER	not possible: also a quoted source which is not the destination (RFC 5927)
 *	BAD_CHECKSUM	of ICMP
 *	FRAGMENT	quotes a later fragment, which has no ports; or is one itself
 *	NOT_TRANSPORT	no error (RFC 6633: source quench counts as none; redirects neither), or
 *			about neither TCP nor UDP
 */
enum sl_verdict icmp_flow(const uint8_t *ip, uint32_t bytes, struct flow_key *key);

/*
 * Token buckets: one over all, and one for each group of sources, so that one source
 * cannot use up what others need. One limiter per worker and purpose; one writer.
 *
 *	messages in t seconds <= per_s x t + burst, over all and in each group
 */
#define ICMP_GROUPS 256

struct icmp_limit {
	uint64_t every_ns; /* 1 / rate */
	uint64_t depth_ns; /* burst / rate */
};

struct icmp_limiter {
	struct icmp_limit all, each;
	uint64_t empty_until_ns; /* when the bucket will be full again */
	uint64_t group_until_ns[ICMP_GROUPS];
};

/* All at least 1. */
void icmp_limiter_init(struct icmp_limiter *limiter, uint32_t per_s, uint32_t burst,
		       uint32_t group_per_s, uint32_t group_burst);

/*
 * May one more message be sent? hash: keyed, of the one who causes it (pin_hash with
 * SL_AFFINITY_CLIENT). now_ns: any clock that does not run backwards. A refused one costs nothing.
 */
bool icmp_allow(struct icmp_limiter *limiter, uint64_t hash, uint64_t now_ns);
