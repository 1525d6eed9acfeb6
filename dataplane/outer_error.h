/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a router of the underlay says about a packet that we encapsulated: that it is too big for
 * its next link (ICMPv6 Packet Too Big, RFC 4443 section 3.2; ICMP Fragmentation Needed, RFC 1191).
 * Pure: bytes in, struct out. Main thread only.
 *
 * Such a message comes from anywhere and makes packets smaller, or unfit, for whoever believes it
 * (RFC 8201 section 6). So it is taken only if the quote reaches the inner packet's ports: the
 * caller computes that flow's keyed hash, and what encap_write drew from it must be in the
 * outer header: 20 bits of flow label, or 14 of the UDP source port, that only who saw
 * the packet knows.
 */
#pragma once

#include "parse.h"
#include <netinet/in.h>

struct outer_error {
	struct in6_addr source, destination; /* of the outer header as quoted; IPv4 mapped */
	uint16_t mtu_bytes;		     /* of the next link, the whole outer packet */
	uint32_t label;			     /* flow label, or UDP source port of VXLAN */
	struct flow_key flow;		     /* of the inner packet */
};

#define OUTER_ERROR_MTU6_MIN 1280 /* RFC 8201 section 4: less is not to be believed */
#define OUTER_ERROR_MTU4_MIN 576  /* RFC 1191 section 3 allows 68, where nothing would fit */

/*
 * icmp: the ICMP message, `bytes` of it, without the IP header that it came in; family: 4 or 6, of
 * that header. True if it is a "too big" about a packet of ours by its form, and says
 * something possible: the MTU is not below the least and not above what the quoted packet had. The
 * message's checksum is the caller's. `out` is written only then.
 */
bool outer_error_read(uint8_t family, const uint8_t *icmp, uint32_t bytes, struct outer_error *out);

/* Does the outer header bear what a flow with this hash gives it? */
bool outer_error_is_ours(const struct outer_error *error, uint64_t hash);
