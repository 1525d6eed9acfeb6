/* SPDX-License-Identifier: BSD-3-Clause */
#include "encap.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define IPV6_BYTES 40
#define SRH_BYTES 8
#define SEGMENT_BYTES 16
#define HOP_LIMIT 64
#define IPV4_BYTES 20
#define UDP_BYTES 8
#define VXLAN_BYTES 8
#define VXLAN_PORT 4789
#define ROUTING_TYPE_SRH 4

#define AT_IPV6 RTE_ETHER_HDR_LEN

/* The only lengths there are: L2, then one, two and three segments, VXLAN. */
#define BYTES_L2 RTE_ETHER_HDR_LEN
#define BYTES_1 (AT_IPV6 + IPV6_BYTES)
#define BYTES_2 (BYTES_1 + SRH_BYTES + SEGMENT_BYTES)
#define BYTES_3 (BYTES_2 + SEGMENT_BYTES)
#define BYTES_VXLAN (2 * RTE_ETHER_HDR_LEN + IPV4_BYTES + UDP_BYTES + VXLAN_BYTES)
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

/*
 * Outer IPv4, UDP, VXLAN, inner Ethernet; 0 stay what encap_write_vxlan sets. Not to be fragmented
 * (RFC 7348 section 4.3), so an identification of 0 is right (RFC 6864).
 */
static uint16_t put_vxlan(uint8_t *header, const struct sl_via *via, uint8_t family,
			  const struct in6_addr *source)
{
	static const uint8_t ipv4[] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, HOP_LIMIT, IPPROTO_UDP};
	static const uint8_t prefix[] = SL_VXLAN_MAC;
	const uint8_t *from = source->s6_addr + 12, *to = via->segment[0].s6_addr + 12;
	uint8_t *ip = header + RTE_ETHER_HDR_LEN, *udp = ip + IPV4_BYTES;
	uint8_t *vxlan = udp + UDP_BYTES, *inner = vxlan + VXLAN_BYTES;
	uint16_t type = family == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
	struct rte_ether_addr mac_from, mac_to;

	memcpy(ip, ipv4, sizeof ipv4);
	memcpy(ip + 12, from, 4);
	memcpy(ip + 16, to, 4);
	udp[2] = VXLAN_PORT >> 8;
	udp[3] = VXLAN_PORT & 0xff;
	vxlan[0] = 0x08; /* the VNI is valid */
	memcpy(vxlan + 4, via->vni, sizeof via->vni);
	memcpy(mac_from.addr_bytes, prefix, sizeof prefix);
	memcpy(mac_from.addr_bytes + sizeof prefix, from, 4);
	memcpy(mac_to.addr_bytes, prefix, sizeof prefix);
	memcpy(mac_to.addr_bytes + sizeof prefix, to, 4);
	put_ethernet(inner, &mac_from, &mac_to, type);
	return BYTES_VXLAN;
}

static uint16_t ipv4_sum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < IPV4_BYTES; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static bool can_build(const struct sl_via *via, uint8_t family, const struct in6_addr *source)
{
	if (family != 4 && family != 6)
		return false;
	switch (via->kind) {
	case SL_VIA_SRV6:
		return via->segments >= 1 && via->segments <= SL_SEGMENTS_MAX;
	case SL_VIA_L2:
		return true;
	case SL_VIA_VXLAN:
		return IN6_IS_ADDR_V4MAPPED(source) && IN6_IS_ADDR_V4MAPPED(&via->segment[0]);
	default:
		return false;
	}
}

static uint16_t put_outer(uint8_t *header, const struct sl_via *via, uint8_t family,
			  const struct in6_addr *source)
{
	switch (via->kind) {
	case SL_VIA_SRV6:
		return put_srv6(header, via, family, source);
	case SL_VIA_VXLAN:
		return put_vxlan(header, via, family, source);
	default:
		return BYTES_L2;
	}
}

int encap_build(struct encap *out, const struct sl_via *via, uint8_t family,
		const struct in6_addr *source, const struct rte_ether_addr *from,
		const struct rte_ether_addr *to, uint16_t mtu_bytes)
{
	bool ipv4_frame = via->kind == SL_VIA_VXLAN || (via->kind == SL_VIA_L2 && family == 4);
	uint8_t header[ENCAP_HEADER_MAX] = {0};
	uint16_t outer_bytes;

	if (!can_build(via, family, source))
		return -EINVAL;
	put_ethernet(header, from, to, ipv4_frame ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	*out = (struct encap){
		.header_bytes = put_outer(header, via, family, source),
		.mtu_bytes = mtu_bytes,
		.port = out->port,
		.kind = via->kind,
		.family = family,
		.sum = via->kind == SL_VIA_VXLAN ? ipv4_sum(header + RTE_ETHER_HDR_LEN) : 0,
	};
	outer_bytes = out->header_bytes - RTE_ETHER_HDR_LEN;
	out->inner_bytes_max = mtu_bytes > outer_bytes ? mtu_bytes - outer_bytes : 0;
	memcpy(out->header + ENCAP_HEADER_MAX - out->header_bytes, header, out->header_bytes);
	return 0;
}
