/* SPDX-License-Identifier: BSD-3-Clause */
#include "reflect_frame.h"
#include "header.h"
#include <string.h>

#define IPV6_BYTES 40
#define UDP_BYTES 8
#define HOP_LIMIT 255 /* RFC 8762 section 4.3: so that the other end sees how far it is */

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

/* RFC 8200 section 8.1 */
static rte_be16_t udp_checksum(const uint8_t *ip, const uint8_t *udp, uint16_t bytes)
{
	const uint8_t pseudo[] = {bytes >> 8, bytes & 0xff, 0, IPPROTO_UDP};

	return header_checksum(header_sum(
		header_sum(header_sum(0, ip + 8, 32), pseudo, sizeof(pseudo)), udp, bytes));
}

static void put_ipv6(uint8_t *out, const uint8_t *probe, uint16_t payload_bytes)
{
	memset(out, 0, IPV6_BYTES);
	out[0] = probe[0];
	out[1] = probe[1] & 0xf0; /* the traffic class comes back, the flow label does not */
	put16(out + 4, payload_bytes);
	out[6] = IPPROTO_UDP;
	out[7] = HOP_LIMIT;
	memcpy(out + 8, probe + 24, 16);
	memcpy(out + 24, probe + 8, 16);
}

unsigned reflect_frame(struct reflector *reflector, const struct reflect_rule *rule, uint8_t *out,
		       unsigned room, const struct icmp_received *probe, unsigned l4,
		       int64_t received_ns)
{
	const uint8_t *ip = probe->ip, *udp = ip + l4;
	struct reflect_from from = {.ttl = ip[7], .received_ns = received_ns};
	unsigned udp_bytes = probe->ip_bytes - l4, ether = icmp_put_ethernet(out, room, probe, 6);
	uint8_t *answer = out + ether + IPV6_BYTES;
	size_t bytes;
	rte_be16_t checksum;

	if (ether == 0 || get16(udp + 4) < UDP_BYTES || get16(udp + 4) > udp_bytes)
		return 0;
	udp_bytes = get16(udp + 4);
	if (ether + IPV6_BYTES + udp_bytes > room || get16(udp + 6) == 0 ||
	    udp_checksum(ip, udp, udp_bytes) != 0)
		return 0;
	memcpy(&from.address, ip + 8, sizeof(from.address));
	memcpy(&from.port, udp, sizeof(from.port));
	memcpy(answer, udp, udp_bytes);
	bytes = reflector_answer(reflector, rule, answer + UDP_BYTES, udp_bytes - UDP_BYTES,
				 room - ether - IPV6_BYTES - UDP_BYTES, &from, received_ns);
	if (bytes == 0)
		return 0;
	put_ipv6(out + ether, ip, UDP_BYTES + bytes);
	memcpy(answer, udp + 2, 2);
	memcpy(answer + 2, udp, 2);
	put16(answer + 4, UDP_BYTES + bytes);
	put16(answer + 6, 0);
	checksum = udp_checksum(out + ether, answer, UDP_BYTES + bytes);
	checksum = checksum ? checksum : 0xffff;
	memcpy(answer + 6, &checksum, sizeof(checksum));
	return ether + IPV6_BYTES + UDP_BYTES + bytes;
}
