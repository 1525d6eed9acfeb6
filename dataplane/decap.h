/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's end of the overlay: End.DT46 (RFC 8986 section 4.8), VXLAN (RFC 7348). Pure.
 */
#pragma once

#include "parse.h"
#include <suanlu/route.h>

#define DECAP_SIDS_MAX SL_SIDS_MAX
#define DECAP_VXLAN_PORT 4789

/* This node's SIDs and VNIs; never changed, only replaced whole. */
struct decap_sids {
	unsigned sids;
	struct in6_addr prefix[DECAP_SIDS_MAX]; /* bits past the mask are zero */
	struct in6_addr mask[DECAP_SIDS_MAX];
	unsigned vnis;
	uint8_t address4[4]; /* where they end */
	uint8_t mac[6];	     /* and whose frames are ours: SL_VXLAN_MAC and that address */
	uint32_t vni[SL_VNIS_MAX];
};

/* Is it VXLAN that ends here, so that decap is to be asked? A service may have the same port. */
static inline bool decap_is_vxlan(const struct decap_sids *sids, const struct packet *packet)
{
	return packet->key.protocol == IPPROTO_UDP && packet->key.family == 4 && sids->vnis > 0 &&
	       packet->key.destination_port == RTE_BE16(DECAP_VXLAN_PORT) &&
	       memcmp(packet->key.destination, sids->address4, sizeof(sids->address4)) == 0;
}

/*
 * For a parsed packet whose upper-layer protocol is IPv4 (4) or IPv6 (41): checks that the
 * outer destination is one of `sids` (else NOT_LOCAL), passes further segments that are ours too (a
 * hop each, else HOP_LIMIT), and that then no segments are left (else BAD_SEGMENTS). For one that
 * decap_is_vxlan: that its VNI is valid (else BAD_HEADER) and ours, and that the inner frame is for
 * our MAC (else NOT_LOCAL) and IP without a tag (else NOT_IP; RFC 7348 section 6.1). A UDP checksum
 * is not verified (section 5 leaves it open). Then carries congestion experienced inwards (RFC 6040
 * section 4.2: not-ECT inside and CE outside drops with CONGESTED), moves data and bytes to the
 * inner packet and parses that (parse_ip). On FRAGMENT all of that is done too, if the inner packet
 * is the fragment. On any other verdict but PARSE_OK the packet is not to be forwarded.
 */
enum sl_verdict decap(const struct decap_sids *sids, struct packet *packet);

/*
 * The transit node's part, End (RFC 8986 section 4.1), for a packet whose decap was BAD_SEGMENTS:
 * one segment further, in the headers and in packet->key.destination. PARSE_OK, or why it is not to
 * be sent on, and nothing changed: NOT_LOCAL, BAD_SEGMENTS (none is left, or the SRH contradicts
 * itself), HOP_LIMIT.
 */
enum sl_verdict decap_advance(const struct decap_sids *sids, struct packet *packet);

/* Is this IPv6 address one of `sids`? */
bool decap_is_local(const struct decap_sids *sids, const uint8_t *address);

/*
 * Does this IP packet end here, by its destination alone? What xdp/steer.bpf.c takes of the
 * overlay; the rest is the kernel's, other VNIs at our address among it.
 */
bool decap_is_ours(const struct decap_sids *sids, const uint8_t *ip, uint32_t bytes);

/* Adds prefix/bits. -ENOSPC, -EINVAL (bits > 128). */
int decap_add(struct decap_sids *sids, const struct in6_addr *prefix, uint8_t bits);

/* Adds a VNI; all of them end at one address. -ENOSPC, -EINVAL (more than 24 bits). */
int decap_add_vni(struct decap_sids *sids, const struct in_addr *address4, uint32_t vni);
