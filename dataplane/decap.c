/* SPDX-License-Identifier: BSD-3-Clause */
#include "decap.h"
#include <errno.h>
#include <string.h>

#define SRH_SEGMENTS_LEFT 3 /* offset in the header, RFC 8754 section 2 */

enum { NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3, DROP = 4 };

/* RFC 6040 section 4.2, figure 4: [inner][outer] */
static const uint8_t ecn_inwards[4][4] = {
	[NOT_ECT] = {[NOT_ECT] = NOT_ECT, [ECT_0] = NOT_ECT, [ECT_1] = NOT_ECT, [CE] = DROP},
	[ECT_0] = {[NOT_ECT] = ECT_0, [ECT_0] = ECT_0, [ECT_1] = ECT_1, [CE] = CE},
	[ECT_1] = {[NOT_ECT] = ECT_1, [ECT_0] = ECT_1, [ECT_1] = ECT_1, [CE] = CE},
	[CE] = {[NOT_ECT] = CE, [ECT_0] = CE, [ECT_1] = CE, [CE] = CE},
};

bool decap_is_local(const struct decap_sids *sids, const uint8_t *address)
{
	for (unsigned i = 0; i < sids->sids; i++) {
		const uint8_t *prefix = sids->prefix[i].s6_addr, *mask = sids->mask[i].s6_addr;
		uint8_t differs = 0;

		for (unsigned byte = 0; byte < 16; byte++)
			differs |= (address[byte] & mask[byte]) ^ prefix[byte];
		if (differs == 0)
			return true;
	}
	return false;
}

static enum sl_verdict carry_ecn_inwards(struct packet *packet, uint8_t outer)
{
	const uint8_t *ip = packet->data;
	uint8_t inner = (ip[0] >> 4 == 4 ? ip[1] : ip[1] >> 4) & 3;
	uint8_t ecn = ecn_inwards[inner][outer];

	if (ecn == DROP)
		return SL_VERDICT_CONGESTED;
	if (ecn != inner) {
		parse_set_ecn(packet->data, ecn);
		packet->traffic_class = (packet->traffic_class & ~3) | ecn;
	}
	return PARSE_OK;
}

/* Padding after the outer packet is cut off with it. */
static enum sl_verdict parse_inner(struct packet *packet, uint8_t family)
{
	uint32_t end = packet->l3 + packet->l3_bytes;
	enum sl_verdict verdict;

	packet->data += packet->l4;
	packet->bytes = end - packet->l4;
	verdict = parse_ip(packet);
	if (verdict != PARSE_OK && verdict != SL_VERDICT_FRAGMENT)
		return verdict;
	return packet->data[0] >> 4 == family ? verdict : SL_VERDICT_BAD_HEADER;
}

enum sl_verdict decap(const struct decap_sids *sids, struct packet *packet)
{
	uint8_t outer_ecn = packet->traffic_class & 3;
	uint8_t protocol = packet->key.protocol;
	enum sl_verdict verdict, ecn;

	if (packet->key.family != 6 || !decap_is_local(sids, packet->key.destination))
		return SL_VERDICT_NOT_LOCAL;
	if (packet->srh != 0 && packet->data[packet->srh + SRH_SEGMENTS_LEFT] != 0)
		return SL_VERDICT_BAD_SEGMENTS;
	if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6)
		return SL_VERDICT_BAD_HEADER;
	verdict = parse_inner(packet, protocol == IPPROTO_IPIP ? 4 : 6);
	if (verdict != PARSE_OK && verdict != SL_VERDICT_FRAGMENT)
		return verdict;
	ecn = carry_ecn_inwards(packet, outer_ecn);
	return ecn == PARSE_OK ? verdict : ecn;
}

int decap_add(struct decap_sids *sids, const struct in6_addr *prefix, uint8_t bits)
{
	struct in6_addr *mask = &sids->mask[sids->sids];

	if (bits > 128)
		return -EINVAL;
	if (sids->sids >= DECAP_SIDS_MAX)
		return -ENOSPC;
	for (unsigned byte = 0; byte < 16; byte++) {
		unsigned left = bits > byte * 8 ? bits - byte * 8 : 0;

		mask->s6_addr[byte] = left >= 8 ? 0xff : (uint8_t)(0xff00 >> left);
		sids->prefix[sids->sids].s6_addr[byte] =
			prefix->s6_addr[byte] & mask->s6_addr[byte];
	}
	sids->sids++;
	return 0;
}
