/* SPDX-License-Identifier: BSD-3-Clause */
#include "encap.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define IPV6_BYTES 40
#define SRH_BYTES 8
#define SEGMENT_BYTES 16
#define HOP_LIMIT 64
#define ROUTING_TYPE_SRH 4

/* Where the varying fields are, from the start of the Ethernet header. */
#define AT_IPV6 RTE_ETHER_HDR_LEN
#define AT_PAYLOAD_BYTES (AT_IPV6 + 4)

/* The only lengths there are: L2, then one, two and three segments. */
#define BYTES_L2 RTE_ETHER_HDR_LEN
#define BYTES_1 (AT_IPV6 + IPV6_BYTES)
#define BYTES_2 (BYTES_1 + SRH_BYTES + SEGMENT_BYTES)
#define BYTES_3 (BYTES_2 + SEGMENT_BYTES)
_Static_assert(SL_SEGMENTS_MAX == 3 && BYTES_3 <= ENCAP_HEADER_MAX, "header lengths");

static void put_ethernet(uint8_t *at, const struct rte_ether_addr *from,
			 const struct rte_ether_addr *to, uint16_t type)
{
	memcpy(at, to, RTE_ETHER_ADDR_LEN);
	memcpy(at + 6, from, RTE_ETHER_ADDR_LEN);
	at[12] = type >> 8;
	at[13] = type & 0xff;
}

/* Traffic class, flow label and payload length stay 0: encap_write sets them. */
static void put_ipv6(uint8_t *at, uint8_t next, const struct in6_addr *from,
		     const struct in6_addr *to)
{
	memset(at, 0, IPV6_BYTES);
	at[0] = 0x60;
	at[6] = next;
	at[7] = HOP_LIMIT;
	memcpy(at + 8, from, sizeof *from);
	memcpy(at + 24, to, sizeof *to);
}

/*
 * A reduced SRH (RFC 8754 section 4.1.1): n segments, of which the first is only in the
 * destination address, in reverse order of travel; segments left n-1, last entry n-2.
 */
static void put_srh(uint8_t *at, uint8_t next, const struct sl_via *via)
{
	unsigned listed = via->segments - 1;

	memset(at, 0, SRH_BYTES);
	at[0] = next;
	at[1] = listed * SEGMENT_BYTES / 8;
	at[2] = ROUTING_TYPE_SRH;
	at[3] = listed;
	at[4] = listed - 1;
	for (unsigned i = 0; i < listed; i++)
		memcpy(at + SRH_BYTES + i * SEGMENT_BYTES, &via->segment[via->segments - 1 - i],
		       SEGMENT_BYTES);
}

static uint16_t put_srv6(uint8_t *header, const struct sl_via *via, uint8_t family,
			 const struct in6_addr *source)
{
	uint8_t inner = family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	if (via->segments == 1) {
		put_ipv6(header + AT_IPV6, inner, source, &via->segment[0]);
		return BYTES_1;
	}
	put_ipv6(header + AT_IPV6, IPPROTO_ROUTING, source, &via->segment[0]);
	put_srh(header + BYTES_1, inner, via);
	return via->segments == 2 ? BYTES_2 : BYTES_3;
}

int encap_build(struct encap *out, const struct sl_via *via, uint8_t family,
		const struct in6_addr *source, const struct rte_ether_addr *from,
		const struct rte_ether_addr *to, uint16_t mtu_bytes)
{
	bool ipv4_frame = via->kind == SL_VIA_L2 && family == 4;

	if (family != 4 && family != 6)
		return -EINVAL;
	if (via->kind != SL_VIA_SRV6 && via->kind != SL_VIA_L2)
		return -EINVAL;
	if (via->kind == SL_VIA_SRV6 && (via->segments < 1 || via->segments > SL_SEGMENTS_MAX))
		return -EINVAL;

	memset(out->header, 0, sizeof out->header);
	put_ethernet(out->header, from, to, ipv4_frame ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	out->header_bytes =
		via->kind == SL_VIA_L2 ? BYTES_L2 : put_srv6(out->header, via, family, source);
	out->mtu_bytes = mtu_bytes;
	out->kind = via->kind;
	out->family = family;
	return 0;
}

/* Never 0, which would mean unlabelled and leave ECMP without entropy (RFC 6437 section 3). */
static inline uint32_t flow_label(uint64_t hash)
{
	uint32_t label = hash >> 44;

	return label + (label == 0);
}

void encap_write(const struct encap *encap, uint8_t *inner, uint16_t inner_bytes,
		 uint8_t traffic_class, uint64_t hash)
{
	uint8_t *header = inner - encap->header_bytes;
	rte_be32_t first;
	rte_be16_t payload_bytes;

	/* Constant lengths, so that each is a few wide moves and never touches `inner`. */
	switch (encap->header_bytes) {
	case BYTES_L2:
		memcpy(header, encap->header, BYTES_L2);
		return;
	case BYTES_1:
		memcpy(header, encap->header, BYTES_1);
		break;
	case BYTES_2:
		memcpy(header, encap->header, BYTES_2);
		break;
	default:
		memcpy(header, encap->header, BYTES_3);
		break;
	}
	first = rte_cpu_to_be_32(6u << 28 | (uint32_t)traffic_class << 20 | flow_label(hash));
	payload_bytes = rte_cpu_to_be_16(encap->header_bytes - BYTES_1 + inner_bytes);
	memcpy(header + AT_IPV6, &first, sizeof first);
	memcpy(header + AT_PAYLOAD_BYTES, &payload_bytes, sizeof payload_bytes);
}
