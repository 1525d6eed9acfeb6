/* SPDX-License-Identifier: BSD-3-Clause */
#include "outer_error.h"
#include "encap.h"
#include "header.h"

#define ICMP_BYTES 8
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8
#define VXLAN_BYTES 8
#define VXLAN_PORT 4789
#define ROUTING_TYPE_SRH 4
#define PORTS_BYTES 4

enum { ICMP4_UNREACHABLE = 3, ICMP4_FRAGMENTATION_NEEDED = 4, ICMP6_TOO_BIG = 2 };

static uint16_t load16(const uint8_t *from)
{
	return from[0] << 8 | from[1];
}

/* What is left of a quote. */
struct quote {
	const uint8_t *at;
	uint32_t bytes;
};

static bool skip(struct quote *quote, uint32_t bytes)
{
	if (bytes > quote->bytes)
		return false;
	quote->at += bytes;
	quote->bytes -= bytes;
	return true;
}

/* The inner packet's flow; a later fragment has no ports, and nothing else is steered. */
static bool read_inner(const struct quote *quote, uint8_t family, struct flow_key *key)
{
	struct header header;

	if (header_read(quote->at, quote->bytes, &header) != PARSE_OK || header.family != family ||
	    header.offset != 0 ||
	    (header.protocol != IPPROTO_TCP && header.protocol != IPPROTO_UDP) ||
	    quote->bytes - header.l4 < PORTS_BYTES)
		return false;
	*key = (struct flow_key){.protocol = header.protocol, .family = family};
	memcpy(key->source, header.source, header.address_bytes);
	memcpy(key->destination, header.destination, header.address_bytes);
	memcpy(&key->source_port, quote->at + header.l4, 2);
	memcpy(&key->destination_port, quote->at + header.l4 + 2, 2);
	return true;
}

/* IPv6, perhaps a segment routing header on its way, and the inner packet (encap.c). */
static bool read_srv6(struct quote quote, struct outer_error *out)
{
	const uint8_t *ip = quote.at;
	uint8_t next;

	if (!skip(&quote, IPV6_BYTES) || ip[0] >> 4 != 6 ||
	    IPV6_BYTES + load16(ip + 4) <= out->mtu_bytes)
		return false;
	next = ip[6];
	if (next == IPPROTO_ROUTING) {
		const uint8_t *srh = quote.at;
		if (quote.bytes < 8 || srh[2] != ROUTING_TYPE_SRH || !skip(&quote, 8 + 8 * srh[1]))
			return false;
		next = srh[0];
	}
	if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
		return false;
	out->label = (uint32_t)(ip[1] & 0xf) << 16 | load16(ip + 2);
	memcpy(&out->source, ip + 8, sizeof(out->source));
	memcpy(&out->destination, ip + 24, sizeof(out->destination));
	return read_inner(&quote, next == IPPROTO_IPIP ? 4 : 6, &out->flow);
}

static struct in6_addr mapped(const uint8_t *ipv4)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	memcpy(&address.s6_addr[12], ipv4, 4);
	return address;
}

/* IPv4 without options, UDP, VXLAN, Ethernet, and the inner packet. */
static bool read_vxlan(struct quote quote, struct outer_error *out)
{
	const uint8_t *ip = quote.at, *udp = ip + IPV4_BYTES;
	uint16_t type;

	if (!skip(&quote, IPV4_BYTES + UDP_BYTES + VXLAN_BYTES + RTE_ETHER_HDR_LEN) ||
	    ip[0] != 0x45 || ip[9] != IPPROTO_UDP || load16(udp + 2) != VXLAN_PORT ||
	    load16(ip + 2) <= out->mtu_bytes)
		return false;
	type = load16(quote.at - 2);
	out->label = load16(udp);
	out->source = mapped(ip + 12);
	out->destination = mapped(ip + 16);
	return read_inner(&quote, type == RTE_ETHER_TYPE_IPV4 ? 4 : 6, &out->flow);
}

bool outer_error_read(uint8_t family, const uint8_t *icmp, uint32_t bytes, struct outer_error *out)
{
	struct quote quote = {icmp, bytes};
	struct outer_error error = {0};
	bool read = false;

	if (!skip(&quote, ICMP_BYTES))
		return false;
	error.mtu_bytes = load16(icmp + 6);
	if (family == 6 && icmp[0] == ICMP6_TOO_BIG && icmp[1] == 0 && load16(icmp + 4) == 0 &&
	    error.mtu_bytes >= OUTER_ERROR_MTU6_MIN)
		read = read_srv6(quote, &error);
	else if (family == 4 && icmp[0] == ICMP4_UNREACHABLE &&
		 icmp[1] == ICMP4_FRAGMENTATION_NEEDED && error.mtu_bytes >= OUTER_ERROR_MTU4_MIN)
		read = read_vxlan(quote, &error);
	if (read)
		*out = error;
	return read;
}

bool outer_error_is_ours(const struct outer_error *error, uint64_t hash)
{
	if (IN6_IS_ADDR_V4MAPPED(&error->source))
		return error->label == encap_vxlan_port(hash);
	return error->label == encap_flow_label(hash);
}
