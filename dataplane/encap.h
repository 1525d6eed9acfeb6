/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The headers that bring a packet to a site, ready built: a packet costs one copy and the
 * fields that vary. Pure.
 *
 * SRv6 H.Encaps.Red (RFC 8986 section 5.2, RFC 8754): the first segment is the outer destination
 * and is not repeated in the SRH; one segment alone has no SRH. L2: a new Ethernet header.
 */
#pragma once

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <stdbool.h>
#include <stdint.h>
#include <suanlu/route.h>

#define ENCAP_HEADER_MAX 128

struct encap {
	_Alignas(64) uint8_t header[ENCAP_HEADER_MAX]; /* from the Ethernet header on */
	uint16_t header_bytes;			       /* of which 14 are Ethernet */
	uint16_t mtu_bytes; /* of the outgoing interface: outer IP packet at most */
	uint16_t port;	    /* DPDK port; owner: routes.c */
	uint8_t kind;	    /* enum sl_via_kind; SL_VIA_NONE: no next hop */
	uint8_t family;	    /* 4 or 6, of the inner packet */
};

/*
 * Builds `out` (all of it but port). `source` is the outer source address, used by SRv6 only.
 * Returns 0, or -EINVAL for a via that cannot be built (kind, segment count).
 */
int encap_build(struct encap *out, const struct sl_via *via, uint8_t family,
		const struct in6_addr *source, const struct rte_ether_addr *from,
		const struct rte_ether_addr *to, uint16_t mtu_bytes);

/* Does an inner IP packet of so many bytes fit? */
static inline bool encap_fits(const struct encap *encap, uint32_t inner_bytes)
{
	return inner_bytes + encap->header_bytes - RTE_ETHER_HDR_LEN <= encap->mtu_bytes;
}

/*
 * Writes the header so that it ends where the inner IP packet begins; header_bytes must be
 * writable before `inner`. The flow label (RFC 6438) comes from `hash`, the traffic class
 * is the inner packet's (DSCP uniform model; ECN by RFC 6040 section 4.1).
 */
void encap_write(const struct encap *encap, uint8_t *inner, uint16_t inner_bytes,
		 uint8_t traffic_class, uint64_t hash);
