/* SPDX-License-Identifier: BSD-3-Clause */
#include "parse.h"
#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <stddef.h>
#include <string.h>

#define ETHER_BYTES 14
#define TAG_BYTES 4
#define TAGS_MAX 2
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define EXTENSIONS_MAX 8
#define ROUTING_TYPE_SRH 4 /* RFC 8754 section 2 */

/* Ethernet types as they are compared: in network order, never swapped. */
#define TYPE_IPV4 RTE_BE16(0x0800)
#define TYPE_IPV6 RTE_BE16(0x86dd)
#define TYPE_8021Q RTE_BE16(0x8100)
#define TYPE_8021AD RTE_BE16(0x88a8)

static inline uint16_t load_be16(const uint8_t *from)
{
	rte_be16_t value;

	memcpy(&value, from, sizeof value);
	return value;
}

static inline uint16_t load16(const uint8_t *from)
{
	return rte_be_to_cpu_16(load_be16(from));
}

static inline uint32_t load_raw32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof value);
	return value;
}

static inline void set_ports(struct flow_key *key, const uint8_t *l4)
{
	memcpy((uint8_t *)key + offsetof(struct flow_key, source_port), l4, 4);
}

static inline enum sl_verdict parse_tcp(struct packet *packet, const uint8_t *tcp, uint32_t bytes)
{
	uint32_t header_bytes;

	if (unlikely(bytes < TCP_BYTES))
		return SL_VERDICT_TRUNCATED;
	header_bytes = (tcp[12] >> 4) * 4;
	if (unlikely(header_bytes < TCP_BYTES))
		return SL_VERDICT_BAD_HEADER;
	if (unlikely(header_bytes > bytes))
		return SL_VERDICT_TRUNCATED;
	packet->tcp_flags = tcp[13];
	set_ports(&packet->key, tcp);
	return PARSE_OK;
}

/* A length below the payload's is valid: what follows it is for UDP options (RFC 9868). */
static inline enum sl_verdict parse_udp(struct packet *packet, const uint8_t *udp, uint32_t bytes)
{
	uint32_t udp_bytes;

	if (unlikely(bytes < UDP_BYTES))
		return SL_VERDICT_TRUNCATED;
	udp_bytes = load16(udp + 4);
	if (unlikely(udp_bytes < UDP_BYTES))
		return SL_VERDICT_BAD_HEADER;
	if (unlikely(udp_bytes > bytes))
		return SL_VERDICT_TRUNCATED;
	set_ports(&packet->key, udp);
	return PARSE_OK;
}

static inline enum sl_verdict parse_upper(struct packet *packet, uint8_t protocol, uint8_t family)
{
	const uint8_t *l4 = packet->data + packet->l4;
	uint32_t bytes = packet->l3 + packet->l3_bytes - packet->l4;

	packet->tcp_flags = 0;
	packet->key.protocol = protocol;
	packet->key.family = family;
	if (likely(protocol == IPPROTO_TCP))
		return parse_tcp(packet, l4, bytes);
	if (protocol == IPPROTO_UDP)
		return parse_udp(packet, l4, bytes);
	return PARSE_OK;
}

/*
 * The one's complement sum of a header with its checksum is 0 modulo 65535, and so is any sum
 * of wider words, since 2^16 = 1 there. A header is never all zero, so 0 cannot arise by itself.
 */
static inline bool checksum_holds(const uint8_t *ip, unsigned words)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < words; i++)
		sum += load_raw32(ip + 4 * i);
	return sum % 0xffff == 0;
}

static __attribute__((noinline, cold)) bool checksum_with_options_holds(const uint8_t *ip,
									unsigned words)
{
	return checksum_holds(ip, words);
}

static inline enum sl_verdict check_ipv4_header(const uint8_t *ip, uint32_t present)
{
	uint32_t words = ip[0] & 0xf;

	if (likely(ip[0] == 0x45))
		return checksum_holds(ip, 5) ? PARSE_OK : SL_VERDICT_BAD_CHECKSUM;
	if (ip[0] >> 4 != 4 || words < 5)
		return SL_VERDICT_BAD_HEADER;
	if (words * 4 > present)
		return SL_VERDICT_TRUNCATED;
	return checksum_with_options_holds(ip, words) ? PARSE_OK : SL_VERDICT_BAD_CHECKSUM;
}

/* In the order of RFC 1812 section 5.2.2: a damaged length is a wrong checksum first. */
static inline enum sl_verdict parse_ipv4(struct packet *packet, uint32_t l3)
{
	const uint8_t *ip = packet->data + l3;
	uint32_t present = packet->bytes - l3;
	uint32_t header_bytes, total_bytes;
	enum sl_verdict verdict;

	if (unlikely(present < IPV4_BYTES))
		return SL_VERDICT_TRUNCATED;
	verdict = check_ipv4_header(ip, present);
	if (unlikely(verdict != PARSE_OK))
		return verdict;
	header_bytes = (ip[0] & 0xf) * 4;
	total_bytes = load16(ip + 2);
	if (unlikely(total_bytes < header_bytes))
		return SL_VERDICT_BAD_HEADER;
	if (unlikely(total_bytes > present))
		return SL_VERDICT_TRUNCATED;
	if (unlikely(load_be16(ip + 6) & RTE_BE16(0x3fff))) /* more fragments, or an offset */
		return SL_VERDICT_FRAGMENT;

	packet->l3 = l3;
	packet->l4 = l3 + header_bytes;
	packet->l3_bytes = total_bytes;
	packet->srh = 0;
	packet->traffic_class = ip[1];
	memset(&packet->key, 0, sizeof packet->key);
	memcpy(packet->key.source, ip + 12, 4);
	memcpy(packet->key.destination, ip + 16, 4);
	return parse_upper(packet, ip[9], 4);
}

static inline bool is_extension(uint8_t protocol)
{
	const uint64_t walked = 1ull << IPPROTO_HOPOPTS | 1ull << IPPROTO_ROUTING |
				1ull << IPPROTO_FRAGMENT | 1ull << IPPROTO_DSTOPTS;

	return protocol < 64 && (walked >> protocol & 1);
}

/*
 * Of routing headers only the segment routing header may have segments left here: type 0 is
 * deprecated (RFC 5095), no other type is for a service or a SID (RFC 8200 section 4.4). A second
 * segment routing header is refused, since decap would see only one of them.
 */
static enum sl_verdict note_routing(struct packet *packet, uint32_t at)
{
	const uint8_t *routing = packet->data + at;

	if (routing[2] != ROUTING_TYPE_SRH)
		return routing[3] == 0 ? PARSE_OK : SL_VERDICT_BAD_HEADER;
	if (packet->srh != 0)
		return SL_VERDICT_BAD_HEADER;
	packet->srh = at;
	return PARSE_OK;
}

static enum sl_verdict check_extension(struct packet *packet, uint8_t protocol, uint32_t at)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS: /* only directly after the IPv6 header, RFC 8200 section 4.1 */
		return at == packet->l3 + (uint32_t)IPV6_BYTES ? PARSE_OK : SL_VERDICT_BAD_HEADER;
	case IPPROTO_ROUTING:
		return note_routing(packet, at);
	case IPPROTO_FRAGMENT: /* offset 13, reserved 2, more 1 */
		return load16(packet->data + at + 2) & 0xfff9 ? SL_VERDICT_FRAGMENT : PARSE_OK;
	default:
		return PARSE_OK;
	}
}

/* From `protocol` at packet->l4 on, past all extension headers. */
static __attribute__((noinline, cold)) enum sl_verdict parse_extended(struct packet *packet,
								      uint8_t protocol)
{
	uint32_t end = packet->l3 + packet->l3_bytes, at = packet->l4;

	for (unsigned n = 0; is_extension(protocol); n++) {
		enum sl_verdict verdict;
		uint32_t bytes;

		if (n == EXTENSIONS_MAX)
			return SL_VERDICT_BAD_HEADER;
		if (end - at < 8)
			return SL_VERDICT_TRUNCATED;
		/* RFC 8200 section 4.5: the length byte of a fragment header is reserved. */
		bytes = protocol == IPPROTO_FRAGMENT ? 8 : 8 + 8 * packet->data[at + 1];
		if (bytes > end - at)
			return SL_VERDICT_TRUNCATED;
		verdict = check_extension(packet, protocol, at);
		if (verdict != PARSE_OK)
			return verdict;
		protocol = packet->data[at];
		at += bytes;
	}
	packet->l4 = at;
	return parse_upper(packet, protocol, 6);
}

static inline enum sl_verdict parse_ipv6(struct packet *packet, uint32_t l3)
{
	const uint8_t *ip = packet->data + l3;
	uint32_t present = packet->bytes - l3;
	uint32_t total_bytes;

	if (unlikely(present < IPV6_BYTES))
		return SL_VERDICT_TRUNCATED;
	if (unlikely(ip[0] >> 4 != 6))
		return SL_VERDICT_BAD_HEADER;
	total_bytes = IPV6_BYTES + load16(ip + 4);
	if (unlikely(total_bytes > present))
		return SL_VERDICT_TRUNCATED;
	if (unlikely(total_bytes > UINT16_MAX))
		return SL_VERDICT_TOO_BIG;

	packet->l3 = l3;
	packet->l4 = l3 + IPV6_BYTES;
	packet->l3_bytes = total_bytes;
	packet->srh = 0;
	packet->traffic_class = ip[0] << 4 | ip[1] >> 4;
	memcpy(packet->key.source, ip + 8, 16);
	memcpy(packet->key.destination, ip + 24, 16);
	memset((uint8_t *)&packet->key + 32, 0, 16);
	if (unlikely(is_extension(ip[6])))
		return parse_extended(packet, ip[6]);
	return parse_upper(packet, ip[6], 6);
}

enum sl_verdict parse(struct packet *packet)
{
	const uint8_t *data = packet->data;
	uint32_t l3 = ETHER_BYTES;
	rte_be16_t type;

	if (unlikely(packet->bytes < ETHER_BYTES))
		return SL_VERDICT_TRUNCATED;
	type = load_be16(data + 12);
	for (unsigned n = 0; n < TAGS_MAX && unlikely(type == TYPE_8021Q || type == TYPE_8021AD);
	     n++) {
		if (packet->bytes < l3 + TAG_BYTES)
			return SL_VERDICT_TRUNCATED;
		type = load_be16(data + l3 + 2);
		l3 += TAG_BYTES;
	}
	if (likely(type == TYPE_IPV4))
		return parse_ipv4(packet, l3);
	if (likely(type == TYPE_IPV6))
		return parse_ipv6(packet, l3);
	return SL_VERDICT_NOT_IP;
}

enum sl_verdict parse_ip(struct packet *packet)
{
	if (packet->bytes == 0)
		return SL_VERDICT_TRUNCATED;
	switch (packet->data[0] >> 4) {
	case 4:
		return parse_ipv4(packet, 0);
	case 6:
		return parse_ipv6(packet, 0);
	default:
		return SL_VERDICT_NOT_IP;
	}
}

/* RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). It never writes 0xffff where 0 is due. */
static void repair_checksum(uint8_t *ip, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint16_t)~load16(ip + 10);
	rte_be16_t checksum;

	sum += (uint16_t)~from + to;
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	checksum = rte_cpu_to_be_16((uint16_t)~sum);
	memcpy(ip + 10, &checksum, sizeof checksum);
}

void parse_set_ecn(uint8_t *l3, uint8_t ecn)
{
	uint16_t from = load16(l3);

	if (l3[0] >> 4 == 4) {
		l3[1] = (l3[1] & ~3) | ecn;
		repair_checksum(l3, from, load16(l3));
	} else {
		l3[1] = (l3[1] & ~0x30) | ecn << 4;
	}
}
