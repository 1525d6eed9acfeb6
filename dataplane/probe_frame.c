/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe_frame.h"
#include "header.h"
#include <string.h>

#define IPV6_BYTES 40
#define UDP_BYTES 8
#define HOP_LIMIT 255 /* RFC 8762 section 4.2 */

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
static uint64_t pseudo_sum(const uint8_t *ip, uint16_t udp_bytes)
{
	const uint8_t rest[] = {udp_bytes >> 8, udp_bytes & 0xff, 0, IPPROTO_UDP};

	return header_sum(header_sum(0, ip + 8, 32), rest, sizeof(rest));
}

unsigned probe_packet_write(uint8_t ip[PROBE_PACKET_BYTES], const struct probe_packet *packet)
{
	uint16_t udp_bytes = UDP_BYTES + stamp_bytes(packet->key);
	uint8_t *udp = ip + IPV6_BYTES;
	rte_be16_t checksum;

	memset(ip, 0, IPV6_BYTES + UDP_BYTES);
	ip[0] = 0x60;
	put16(ip + 4, udp_bytes);
	ip[6] = IPPROTO_UDP;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, &packet->source, 16);
	memcpy(ip + 24, &packet->reflector, 16);
	memcpy(udp, &packet->source_port, 2);
	put16(udp + 2, STAMP_PORT);
	put16(udp + 4, udp_bytes);
	stamp_write(udp + UDP_BYTES, packet->key, &packet->probe);
	checksum = header_checksum(header_sum(pseudo_sum(ip, udp_bytes), udp, udp_bytes));
	checksum = checksum ? checksum : 0xffff;
	memcpy(udp + 6, &checksum, sizeof(checksum));
	return IPV6_BYTES + udp_bytes;
}

static bool is_whole(const uint8_t *ip, const uint8_t *udp, uint16_t bytes)
{
	uint64_t pseudo = pseudo_sum(ip, bytes);
	rte_be16_t unfinished = ~header_checksum(pseudo);

	return header_checksum(header_sum(pseudo, udp, bytes)) == 0 ||
	       memcmp(udp + 6, &unfinished, sizeof(unfinished)) == 0;
}

bool probe_answer_read(const uint8_t *ip, size_t bytes, struct probe_answer *answer)
{
	const uint8_t *udp = ip + IPV6_BYTES;
	uint16_t udp_bytes;

	if (bytes < IPV6_BYTES + UDP_BYTES || ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP ||
	    get16(udp) != STAMP_PORT)
		return false;
	udp_bytes = get16(udp + 4);
	if (udp_bytes < UDP_BYTES || udp_bytes > bytes - IPV6_BYTES || get16(udp + 6) == 0 ||
	    !is_whole(ip, udp, udp_bytes))
		return false;
	memcpy(&answer->from, ip + 8, sizeof(answer->from));
	memcpy(&answer->port, udp + 2, sizeof(answer->port));
	answer->data = udp + UDP_BYTES;
	answer->bytes = udp_bytes - UDP_BYTES;
	return true;
}
