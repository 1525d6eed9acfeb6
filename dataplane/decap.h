/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's end of the overlay: End.DT46 (RFC 8986 section 4.8). Pure.
 */
#pragma once

#include "parse.h"
#include <suanlu/route.h>

#define DECAP_SIDS_MAX SL_SIDS_MAX

/* This node's SIDs; never changed, only replaced whole. */
struct decap_sids {
	unsigned sids;
	struct in6_addr prefix[DECAP_SIDS_MAX]; /* bits past the mask are zero */
	struct in6_addr mask[DECAP_SIDS_MAX];
};

/*
 * For a parsed packet whose upper-layer protocol is IPv4 (4) or IPv6 (41): checks that the
 * outer destination is one of `sids` (else NOT_LOCAL) and that no segments are left
 * (else BAD_SEGMENTS), carries congestion experienced inwards (RFC 6040 section 4.2: not-ECT inside
 * and CE outside drops with CONGESTED), moves data and bytes to the inner packet and
 * parses that (parse_ip). On FRAGMENT all of that is done too, if the inner packet is the fragment.
 * On any other verdict but PARSE_OK the packet is not to be forwarded.
 */
enum sl_verdict decap(const struct decap_sids *sids, struct packet *packet);

/* Is this IPv6 address one of `sids`? */
bool decap_is_local(const struct decap_sids *sids, const uint8_t *address);

/* Adds prefix/bits. -ENOSPC, -EINVAL (bits > 128). */
int decap_add(struct decap_sids *sids, const struct in6_addr *prefix, uint8_t bits);
