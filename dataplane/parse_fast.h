/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets that nearly all packets are: Ethernet without a tag, IPv4 without options or IPv6
 * without extension headers, whole, TCP or UDP, all lengths and the checksum right.
 *
 * Invariant: a packet that is taken here parse() takes too, with the same result; what is
 * refused here may still be good, parse() says. Inlined into the worker's loop. The same for such a
 * packet right behind an IPv6 header (SRv6 with one segment), which decap() would take off.
 */
#pragma once

#include "parse.h"
#include <netinet/in.h>

/* What the next stages need of any packet. */
struct parse_fast {
	uint8_t *l3;
	uint16_t l3_bytes;
	uint8_t tcp_flags; /* 0 unless TCP */
	uint8_t protocol;
};

#define PARSE_FAST_ETHER 14
#define PARSE_FAST_IPV4 20
#define PARSE_FAST_IPV6 40

static inline uint64_t parse_load64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline uint32_t parse_load32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static inline uint16_t parse_load16(const uint8_t *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

/*
 * One's complement sum over 20 bytes: 0xffff, as a number of any width is, folded or not, a
 * multiple of 65535. Adding a number to itself rotated by half folds it into its upper half.
 */
static inline bool parse_fast_checksum(const uint8_t *ip)
{
	unsigned long long sum = parse_load64(ip), carry;
	uint32_t folded;

	carry = __builtin_uaddll_overflow(sum, parse_load64(ip + 8), &sum);
	carry = __builtin_uaddll_overflow(sum, parse_load32(ip + 16) + carry, &sum);
	sum += carry; /* no carry out: an overflow left a small number */
	sum += sum >> 32 | sum << 32;
	folded = sum >> 32;
	folded += folded >> 16 | folded << 16;
	return folded >= 0xffff0000;
}

/* `l4_bytes`: what the IP header leaves; `present` bytes of the frame are there from `l4` on. */
static inline bool parse_fast_upper(struct parse_fast *out, const uint8_t *l4, uint32_t l4_bytes,
				    uint32_t present)
{
	uint32_t bytes;

	if (unlikely(l4_bytes > present))
		return false;
	if (likely(out->protocol == IPPROTO_TCP)) {
		if (unlikely(l4_bytes < 20))
			return false;
		bytes = (l4[12] >> 4) * 4;
		out->tcp_flags = l4[13];
		return likely(bytes >= 20) && likely(bytes <= l4_bytes);
	}
	bytes = ntohs(parse_load16(l4 + 4));
	out->tcp_flags = 0;
	return likely(bytes >= 8) && likely(bytes <= l4_bytes);
}

/* Is it IPv4 by its type, 20 bytes of header? `bytes` from `data` on are present. */
static inline bool parse_fast_is_ipv4(const uint8_t *data, uint32_t bytes)
{
	return likely(bytes >= PARSE_FAST_ETHER + PARSE_FAST_IPV4 + 8) &&
	       (parse_load32(data + 12) & rte_cpu_to_be_32(0xffffff00)) ==
		       rte_cpu_to_be_32(0x08004500);
}

static inline bool parse_fast_is_ipv6(const uint8_t *data, uint32_t bytes)
{
	return likely(bytes >= PARSE_FAST_ETHER + PARSE_FAST_IPV6 + 8) &&
	       (parse_load32(data + 12) & rte_cpu_to_be_32(0xfffff000)) ==
		       rte_cpu_to_be_32(0x86dd6000);
}

/* 4, 6, or 0. */
static inline unsigned parse_fast_version(const uint8_t *data, uint32_t bytes)
{
	if (likely(parse_fast_is_ipv4(data, bytes)))
		return 4;
	return likely(parse_fast_is_ipv6(data, bytes)) ? 6 : 0;
}

/* After parse_fast_version of 6: is it IP in IP? */
static inline bool parse_fast_is_tunnel(const uint8_t *data)
{
	uint8_t protocol = data[PARSE_FAST_ETHER + 6];

	return unlikely(protocol == IPPROTO_IPIP) || unlikely(protocol == IPPROTO_IPV6);
}

static inline const uint8_t *parse_fast_tunnel_end(const uint8_t *data)
{
	return data + PARSE_FAST_ETHER + 24;
}

/*
 * After parse_fast_is_tunnel: moves `data` and `bytes` to what would be a frame with the inner
 * packet, were it not for its type. Returns the inner version, 0: not taken. Marks of congestion
 * are then the same inside and outside, so that none needs to be carried inwards (RFC 6040).
 */
static inline unsigned parse_fast_tunnel(uint8_t **data, uint32_t *bytes)
{
	const uint8_t *outer = *data + PARSE_FAST_ETHER, *inner = outer + PARSE_FAST_IPV6;
	uint32_t inner_bytes = ntohs(parse_load16(outer + 4));
	uint8_t ecn = outer[1] >> 4 & 3;

	if (unlikely(inner_bytes > *bytes - PARSE_FAST_ETHER - PARSE_FAST_IPV6))
		return 0;
	*data += PARSE_FAST_IPV6;
	*bytes = PARSE_FAST_ETHER + inner_bytes;
	if (outer[6] == IPPROTO_IPIP)
		return inner_bytes >= PARSE_FAST_IPV4 + 8 && inner[0] == 0x45 &&
				       (inner[1] & 3) == ecn
			       ? 4
			       : 0;
	return inner_bytes >= PARSE_FAST_IPV6 + 8 && inner[0] >> 4 == 6 &&
			       (inner[1] >> 4 & 3) == ecn
		       ? 6
		       : 0;
}

/* Whole, and of this protocol? One comparison: fragment bits and offset, protocol. */
static inline bool parse_fast_ipv4_carries(const uint8_t *ip, uint8_t protocol)
{
	return (parse_load32(ip + 6) & rte_cpu_to_be_32(0x3fff00ff)) ==
	       rte_cpu_to_be_32((uint32_t)protocol);
}

/* After parse_fast_version of 4. With a constant `protocol` it costs no more than that one needs.
 */
static inline bool parse_fast_ipv4(struct parse_fast *out, uint8_t *data, uint32_t bytes,
				   uint8_t protocol)
{
	uint8_t *ip = data + PARSE_FAST_ETHER;

	out->l3 = ip;
	out->l3_bytes = ntohs(parse_load16(ip + 2));
	out->protocol = protocol;
	return likely(parse_fast_ipv4_carries(ip, protocol)) &&
	       likely(out->l3_bytes >= PARSE_FAST_IPV4) && likely(parse_fast_checksum(ip)) &&
	       parse_fast_upper(out, ip + PARSE_FAST_IPV4, out->l3_bytes - PARSE_FAST_IPV4,
				bytes - PARSE_FAST_ETHER - PARSE_FAST_IPV4);
}

/* After parse_fast_version of 6. */
static inline bool parse_fast_ipv6(struct parse_fast *out, uint8_t *data, uint32_t bytes,
				   uint8_t protocol)
{
	uint8_t *ip = data + PARSE_FAST_ETHER;
	uint32_t l4_bytes = ntohs(parse_load16(ip + 4));

	out->l3 = ip;
	out->l3_bytes = PARSE_FAST_IPV6 + l4_bytes;
	out->protocol = protocol;
	return likely(ip[6] == protocol) && likely(l4_bytes <= UINT16_MAX - PARSE_FAST_IPV6) &&
	       parse_fast_upper(out, ip + PARSE_FAST_IPV6, l4_bytes,
				bytes - PARSE_FAST_ETHER - PARSE_FAST_IPV6);
}
