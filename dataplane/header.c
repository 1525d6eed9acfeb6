/* SPDX-License-Identifier: BSD-3-Clause */
#include "header.h"
#include <netinet/in.h>
#include <rte_common.h>
#include <string.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define FRAGMENT_BYTES 8
#define ROUTING_TYPE_SRH 4

static uint16_t load16(const uint8_t *from)
{
	return from[0] << 8 | from[1];
}

uint64_t header_sum(uint64_t sum, const uint8_t *from, uint32_t bytes)
{
	for (; bytes > 1; from += 2, bytes -= 2)
		sum += load16(from);
	return bytes ? sum + (from[0] << 8) : sum;
}

rte_be16_t header_checksum(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return rte_cpu_to_be_16((uint16_t)~sum);
}

static enum sl_verdict read_ipv4(const uint8_t *ip, uint32_t present, struct header *header)
{
	uint16_t fragment;

	if (present < IPV4_BYTES)
		return SL_VERDICT_TRUNCATED;
	header->l4 = (ip[0] & 0xf) * 4;
	header->total_bytes = load16(ip + 2);
	if (header->l4 < IPV4_BYTES || header->total_bytes < header->l4)
		return SL_VERDICT_BAD_HEADER;
	if (header->l4 > present)
		return SL_VERDICT_TRUNCATED;
	fragment = load16(ip + 6);
	header->offset = (fragment & 0x1fff) * 8;
	header->more = fragment >> 13 & 1;
	header->fragments = header->more || header->offset;
	header->id = (uint32_t)ip[4] << 8 | ip[5];
	header->protocol = ip[9];
	header->traffic_class = ip[1];
	header->source = ip + 12;
	header->destination = ip + 16;
	header->address_bytes = 4;
	return PARSE_OK;
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS;
}

/* At most one fragment header can be meant; an atomic one (RFC 6946) is no fragment. */
static enum sl_verdict read_fragment(const uint8_t *at, struct header *header)
{
	uint16_t field = load16(at + 2);

	if (header->fragments)
		return SL_VERDICT_BAD_HEADER;
	header->offset = field & 0xfff8;
	header->more = field & 1;
	header->fragments = header->more || header->offset;
	memcpy(&header->id, at + 4, sizeof header->id);
	return PARSE_OK;
}

/*
 * RFC 8200 section 4.1: hop-by-hop only first; RFC 5095: no way of its own that is not done, but
 * by segment routing (RFC 8754).
 */
static enum sl_verdict check_extension(const uint8_t *ip, uint32_t at, struct header *header)
{
	switch (header->protocol) {
	case IPPROTO_HOPOPTS:
		return at == IPV6_BYTES ? PARSE_OK : SL_VERDICT_BAD_HEADER;
	case IPPROTO_ROUTING:
		return ip[at + 2] == ROUTING_TYPE_SRH || ip[at + 3] == 0 ? PARSE_OK
									 : SL_VERDICT_BAD_HEADER;
	case IPPROTO_FRAGMENT:
		return read_fragment(ip + at, header);
	default:
		return PARSE_OK;
	}
}

static enum sl_verdict walk(const uint8_t *ip, uint32_t end, struct header *header)
{
	for (unsigned n = 0; is_extension(header->protocol) && !header->offset; n++) {
		uint32_t at = header->l4, bytes = FRAGMENT_BYTES;
		enum sl_verdict verdict;

		if (n == HEADER_EXTENSIONS_MAX)
			return SL_VERDICT_BAD_HEADER;
		if (end - at < 8)
			return SL_VERDICT_TRUNCATED;
		if (header->protocol != IPPROTO_FRAGMENT)
			bytes = 8 + 8 * ip[at + 1];
		if (bytes > end - at)
			return SL_VERDICT_TRUNCATED;
		verdict = check_extension(ip, at, header);
		if (verdict != PARSE_OK)
			return verdict;
		header->protocol = ip[at];
		header->l4 = at + bytes;
	}
	return PARSE_OK;
}

static enum sl_verdict read_ipv6(const uint8_t *ip, uint32_t present, struct header *header)
{
	if (present < IPV6_BYTES)
		return SL_VERDICT_TRUNCATED;
	header->total_bytes = IPV6_BYTES + load16(ip + 4);
	header->traffic_class = ip[0] << 4 | ip[1] >> 4;
	header->protocol = ip[6];
	header->source = ip + 8;
	header->destination = ip + 24;
	header->address_bytes = 16;
	header->l4 = IPV6_BYTES;
	return walk(ip, RTE_MIN(present, header->total_bytes), header);
}

enum sl_verdict header_read(const uint8_t *ip, uint32_t present, struct header *out)
{
	struct header header = {0};
	enum sl_verdict verdict;

	if (present == 0)
		return SL_VERDICT_TRUNCATED;
	header.family = ip[0] >> 4;
	if (header.family == 4)
		verdict = read_ipv4(ip, present, &header);
	else if (header.family == 6)
		verdict = read_ipv6(ip, present, &header);
	else
		verdict = SL_VERDICT_NOT_IP;
	if (verdict == PARSE_OK)
		*out = header;
	return verdict;
}
