/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet headers in, offsets and flow key out. Pure: bytes in malloc'd memory will do.
 *
 * Invariant: on PARSE_OK every offset and length in struct packet lies inside the
 * `bytes` that are present, whatever the headers claim; on any other return the packet
 * must not be forwarded. Called by workers, on bursts.
 */
#pragma once

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <suanlu/counters.h>

/* The identity of a flow, hashed as three 16-byte blocks. IPv4 addresses fill the
 * first four bytes; everything not used is zero. */
struct flow_key {
	uint8_t source[16];
	uint8_t destination[16];
	rte_be16_t source_port;
	rte_be16_t destination_port;
	uint8_t protocol;
	uint8_t family; /* 4 or 6 */
	uint8_t zero[10];
};
_Static_assert(sizeof(struct flow_key) == 48, "three AES blocks");

#define PARSE_OK ((enum sl_verdict)0xff) /* no verdict yet */

struct packet {
	uint8_t *data;	   /* in: first byte of the frame, or of the IP header for parse_ip */
	uint32_t bytes;	   /* in: present from data on */
	uint16_t l3;	   /* offset of the IP header */
	uint16_t l4;	   /* offset of the upper-layer header, past all extension headers */
	uint16_t l3_bytes; /* IP packet length by its header: less than present if padded */
	uint16_t srh;	   /* offset of an IPv6 segment routing header, 0: none */
	uint8_t tcp_flags; /* 0 unless TCP */
	uint8_t traffic_class;
	struct flow_key key; /* ports 0 unless TCP or UDP */
};

/*
 * parse: an Ethernet frame. parse_ip: the IP packet at data (l3 becomes 0).
 * Returns PARSE_OK, or the verdict: NOT_IP, TRUNCATED, BAD_HEADER, BAD_CHECKSUM (IPv4
 * header checksum, RFC 1812 section 5.2.2), FRAGMENT (any packet that is part of a larger
 * one; an IPv6 atomic fragment, RFC 6946, is whole). The real IHL is used; IPv6 hop-by-hop,
 * routing and destination options headers are walked (at most 8 of them, RFC 8200). The
 * upper-layer protocol is reported, not judged; the headers of TCP and UDP are present in
 * full. TOO_BIG: an IPv6 packet over 65535 bytes. parse skips up to two VLAN tags.
 */
enum sl_verdict parse(struct packet *packet);
enum sl_verdict parse_ip(struct packet *packet);

/*
 * One hop further (RFC 1812 section 5.3.1, RFC 8200 section 3): decrements TTL or hop limit of the
 * IP header at `l3` and repairs the IPv4 checksum (RFC 1624). false, and nothing changed, if it may
 * not be forwarded any more.
 */
static inline bool parse_forward_hop_ipv4(uint8_t *l3)
{
	uint32_t word, checksum; /* TTL, protocol, checksum */

	if (unlikely(l3[8] <= 1))
		return false;
	memcpy(&word, l3 + 8, sizeof(word));
	word = rte_be_to_cpu_32(word);
	/* Equation 3 for a difference of 0x0100; as the kernel does, it never writes 0xffff. */
	checksum = (word & 0xffff) + 0x0100;
	checksum = (checksum + (checksum >= 0xffff)) & 0xffff;
	word = rte_cpu_to_be_32(((word & 0xffff0000) - 0x01000000) | checksum);
	memcpy(l3 + 8, &word, sizeof(word));
	return true;
}

static inline bool parse_forward_hop_ipv6(uint8_t *l3)
{
	if (unlikely(l3[7] <= 1))
		return false;
	l3[7]--;
	return true;
}

static inline bool parse_forward_hop(uint8_t *l3)
{
	return l3[0] >> 4 == 4 ? parse_forward_hop_ipv4(l3) : parse_forward_hop_ipv6(l3);
}

/* Sets the ECN field (0..3, RFC 3168) of the IP header at `l3`, repairing the IPv4 checksum. */
void parse_set_ecn(uint8_t *l3, uint8_t ecn);
