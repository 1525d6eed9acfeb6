/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IP header that parse.c does not take: of a fragment, of a packet that ICMP quotes in part.
 * Pure, off the fast path.
 *
 * Invariant: on PARSE_OK l4 <= present, and l4 <= total_bytes; total_bytes may be
 * more than is present, which is the caller's to judge.
 */
#pragma once

#include "parse.h"

#define HEADER_EXTENSIONS_MAX 8 /* as parse.h */
#define HEADER_ADDRESS_MAX 16

struct header {
	const uint8_t *source, *destination; /* into the packet, address_bytes each */
	uint32_t total_bytes;		     /* of the IP packet, by its header */
	uint32_t l4;	   /* offset of the upper-layer header, or of a later fragment's data */
	uint32_t id;	   /* identification, opaque; of fragments, and of all IPv4 packets */
	uint16_t offset;   /* of this fragment, in bytes */
	uint8_t family;	   /* 4 or 6 */
	uint8_t protocol;  /* of what is at l4 */
	uint8_t fragments; /* is part of a larger packet */
	uint8_t more;	   /* and not its end */
	uint8_t address_bytes;
	uint8_t traffic_class;
};

/*
 * Reads the header at `ip`, of which `present` bytes may be read. Checks the version, that
 * lengths are possible, and that the header with its options or extension headers is present (IPv6:
 * those of RFC 8200 section 4, at most 8). A first fragment must hold all of them (RFC
 * 7112). Returns PARSE_OK, NOT_IP, TRUNCATED or BAD_HEADER; `out` is written on PARSE_OK only.
 * The IPv4 checksum is not looked at: a quoted header need not have kept it.
 */
enum sl_verdict header_read(const uint8_t *ip, uint32_t present, struct header *out);

/* One's complement sum over bytes (RFC 1071), on top of `sum`; not folded. */
uint64_t header_sum(uint64_t sum, const uint8_t *from, uint32_t bytes);

/* The checksum field for a sum, in network order. */
rte_be16_t header_checksum(uint64_t sum);
