/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The headers that bring a packet to a site, ready built: a packet costs one copy and the
 * fields that vary. Pure.
 *
 * SRv6 H.Encaps.Red (RFC 8986 section 5.2, RFC 8754): the first segment is the outer destination
 * and is not repeated in the SRH; one segment alone has no SRH. VXLAN (RFC 7348) over IPv4. L2: a
 * new Ethernet header.
 */
#pragma once

#include <arpa/inet.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <suanlu/route.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ENCAP_BYTES 128
#define ENCAP_FIELDS_BYTES 16
#define ENCAP_HEADER_MAX (ENCAP_BYTES - ENCAP_FIELDS_BYTES)
#define ENCAP_LINE 64

/*
 * Two cache lines. The headers, from Ethernet on, end where the second line ends, so that a copy of
 * whole lines to before the inner packet brings them to their place: one line if they fit.
 */
struct encap {
	_Alignas(ENCAP_LINE) uint16_t header_bytes; /* of which 14 are Ethernet */
	uint16_t mtu_bytes;	  /* of the outgoing interface: outer IP packet at most */
	uint16_t inner_bytes_max; /* 0: no next hop */
	uint16_t port;		  /* DPDK port; owner: routes.c */
	uint8_t kind;		  /* enum sl_via_kind; SL_VIA_NONE: no next hop */
	uint8_t family;		  /* 4 or 6, of the inner packet */
	uint16_t sum;		  /* VXLAN: of the outer IPv4 header, length and checksum being 0 */
	uint8_t zero[4];
	uint8_t header[ENCAP_HEADER_MAX]; /* the last header_bytes of it */
};
_Static_assert(sizeof(struct encap) == ENCAP_BYTES, "encap");

/* The first byte of the headers. */
static inline const uint8_t *encap_header(const struct encap *encap)
{
	return encap->header + ENCAP_HEADER_MAX - encap->header_bytes;
}

/*
 * Builds `out` (all of it but port). `source` is the outer source address: IPv6 for SRv6, an
 * IPv4-mapped one for VXLAN. Returns 0, or -EINVAL for a via that cannot be built.
 */
int encap_build(struct encap *out, const struct sl_via *via, uint8_t family,
		const struct in6_addr *source, const struct rte_ether_addr *from,
		const struct rte_ether_addr *to, uint16_t mtu_bytes);

/* Does an inner IP packet of so many bytes fit? Nothing does where there is no next hop. */
static inline bool encap_fits(const struct encap *encap, uint32_t inner_bytes)
{
	return inner_bytes <= encap->inner_bytes_max;
}

static inline void encap_copy_line(uint8_t *to, const uint8_t *line)
{
#if defined(__AVX512F__)
	_mm512_storeu_si512(to, _mm512_load_si512(line));
#elif defined(__AVX__)
	__m256i low = _mm256_load_si256((const __m256i *)line);
	__m256i high = _mm256_load_si256((const __m256i *)(line + 32));

	_mm256_storeu_si256((__m256i *)to, low);
	_mm256_storeu_si256((__m256i *)(to + 32), high);
#else
	memcpy(to, line, ENCAP_LINE);
#endif
}

/* Ethernet and IPv6: what an IPv6 payload length does not count. */
#define ENCAP_SRV6_FIXED_BYTES (RTE_ETHER_HDR_LEN + 40)

/* Never 0, which would mean unlabelled and leave ECMP without entropy (RFC 6437 section 3). */
static inline uint32_t encap_flow_label(uint64_t hash)
{
	uint32_t label = hash >> 44;

	return label + (label == 0);
}

static inline void encap_write_srv6(uint8_t *header, uint16_t payload_bytes, uint8_t traffic_class,
				    uint64_t hash)
{
	uint32_t first = 6u << 28 | (uint32_t)traffic_class << 20 | encap_flow_label(hash);
	rte_be16_t length = htons(payload_bytes);

	first = htonl(first);

	memcpy(header + RTE_ETHER_HDR_LEN, &first, sizeof(first));
	memcpy(header + RTE_ETHER_HDR_LEN + 4, &length, sizeof(length));
}

/* RFC 7348 section 5: a UDP source port for entropy, of the dynamic range. */
static inline uint16_t encap_vxlan_port(uint64_t hash)
{
	return 49152 + (hash >> 50);
}

/* No UDP checksum. */
static inline void encap_write_vxlan(uint8_t *header, uint16_t sum_of_rest, uint16_t ip_bytes,
				     uint8_t traffic_class, uint64_t hash)
{
	uint8_t *ip = header + RTE_ETHER_HDR_LEN;
	uint32_t sum = (uint32_t)sum_of_rest + traffic_class + ip_bytes;
	uint16_t field[] = {htons(ip_bytes), 0, htons(encap_vxlan_port(hash)),
			    htons(ip_bytes - 20)};

	sum = (sum & 0xffff) + (sum >> 16);
	field[1] = htons(~(sum + (sum >> 16)));
	ip[1] = traffic_class;
	memcpy(ip + 2, &field[0], 2);
	memcpy(ip + 10, &field[1], 2);
	memcpy(ip + 20, &field[2], 2);
	memcpy(ip + 24, &field[3], 2);
}

/*
 * Writes the header so that it ends where the inner IP packet begins. ENCAP_BYTES must be writable
 * before `inner`; what lies before the header is overwritten too. Flow label (RFC 6438) and UDP
 * source port come from `hash`; the traffic class is the inner packet's (DSCP uniform
 * model; ECN by RFC 6040 section 4.1).
 */
static inline void encap_write(const struct encap *encap, uint8_t *inner, uint16_t inner_bytes,
			       uint8_t traffic_class, uint64_t hash)
{
	const uint8_t *line = (const uint8_t *)encap;
	uint8_t *header = inner - encap->header_bytes;

	encap_copy_line(inner - ENCAP_LINE, line + ENCAP_LINE);
	if (unlikely(encap->header_bytes > ENCAP_LINE))
		encap_copy_line(inner - 2 * ENCAP_LINE, line);
	if (likely(encap->kind == SL_VIA_SRV6))
		encap_write_srv6(header, encap->header_bytes - ENCAP_SRV6_FIXED_BYTES + inner_bytes,
				 traffic_class, hash);
	else if (encap->kind == SL_VIA_VXLAN)
		encap_write_vxlan(header, encap->sum,
				  encap->header_bytes - RTE_ETHER_HDR_LEN + inner_bytes,
				  traffic_class, hash);
}
