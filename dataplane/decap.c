/* SPDX-License-Identifier: BSD-3-Clause */
#include "decap.h"
#include <errno.h>
#include <string.h>

#define IPV6_DESTINATION 24
#define SRH_BYTES 8
#define SEGMENT_BYTES 16
#define SRH_LENGTH 1
#define SRH_LAST_ENTRY 4
#define SRH_SEGMENTS_LEFT 3 /* offset in the header, RFC 8754 section 2 */
#define UDP_BYTES 8
#define VXLAN_BYTES 8
#define ETHER_BYTES 14
#define VXLAN_VALID 0x08 /* the I flag, RFC 7348 section 5 */

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

/* The inner packet is from `at` to `end`: padding after the outer one is cut off with it. */
static enum sl_verdict parse_inner(struct packet *packet, uint32_t at, uint32_t end, uint8_t family)
{
	enum sl_verdict verdict;

	packet->data += at;
	packet->bytes = end - at;
	verdict = parse_ip(packet);
	if (verdict != PARSE_OK && verdict != SL_VERDICT_FRAGMENT)
		return verdict;
	return packet->data[0] >> 4 == family ? verdict : SL_VERDICT_BAD_HEADER;
}

static uint16_t load16(const uint8_t *from)
{
	return from[0] << 8 | from[1];
}

static bool is_vni(const struct decap_sids *sids, const uint8_t *field)
{
	uint32_t vni = (uint32_t)field[0] << 16 | field[1] << 8 | field[2];

	for (unsigned i = 0; i < sids->vnis; i++)
		if (sids->vni[i] == vni)
			return true;
	return false;
}

bool decap_is_ours(const struct decap_sids *sids, const uint8_t *ip, uint32_t bytes)
{
	const uint8_t *udp;

	if (bytes >= 40 && ip[0] >> 4 == 6)
		return decap_is_local(sids, ip + 24);
	if (bytes < 20 || ip[0] >> 4 != 4 || ip[9] != IPPROTO_UDP || load16(ip + 6) & 0x3fff ||
	    sids->vnis == 0 || memcmp(ip + 16, sids->address4, sizeof(sids->address4)) != 0)
		return false;
	udp = ip + (ip[0] & 0xf) * 4;
	return (uint32_t)(ip[0] & 0xf) * 4 + UDP_BYTES + VXLAN_BYTES <= bytes &&
	       load16(udp + 2) == DECAP_VXLAN_PORT && is_vni(sids, udp + UDP_BYTES + 4);
}

static enum sl_verdict open_vxlan(const struct decap_sids *sids, struct packet *packet)
{
	uint32_t at = packet->l4 + UDP_BYTES + VXLAN_BYTES + ETHER_BYTES;
	uint32_t end = packet->l4 + load16(packet->data + packet->l4 + 4);
	const uint8_t *vxlan = packet->data + packet->l4 + UDP_BYTES, *frame = vxlan + VXLAN_BYTES;

	if (at > end)
		return SL_VERDICT_TRUNCATED;
	if (!(vxlan[0] & VXLAN_VALID))
		return SL_VERDICT_BAD_HEADER;
	if (!is_vni(sids, vxlan + 4) || memcmp(frame, sids->mac, sizeof(sids->mac)) != 0)
		return SL_VERDICT_NOT_LOCAL;
	switch (load16(frame + 12)) {
	case 0x0800:
		return parse_inner(packet, at, end, 4);
	case 0x86dd:
		return parse_inner(packet, at, end, 6);
	default:
		return SL_VERDICT_NOT_IP;
	}
}

/* The next segment, NULL if there is none or the SRH contradicts itself. */
static const uint8_t *next_segment(const struct packet *packet)
{
	const uint8_t *srh = packet->data + packet->srh;
	unsigned entries = srh[SRH_LAST_ENTRY] + 1u, left = srh[SRH_SEGMENTS_LEFT];

	/* Reduced (RFC 8754 section 4.1.1): one more may be left than are listed. */
	if (packet->srh == 0 || left == 0 || left > entries ||
	    entries * SEGMENT_BYTES > srh[SRH_LENGTH] * 8u)
		return NULL;
	return srh + SRH_BYTES + (left - 1) * SEGMENT_BYTES;
}

/* RFC 8986 section 4.1 */
static enum sl_verdict advance(struct packet *packet)
{
	uint8_t *ip = packet->data + packet->l3;
	const uint8_t *segment = next_segment(packet);

	if (!segment)
		return SL_VERDICT_BAD_SEGMENTS;
	if (!parse_forward_hop_ipv6(ip))
		return SL_VERDICT_HOP_LIMIT;
	packet->data[packet->srh + SRH_SEGMENTS_LEFT]--;
	memcpy(ip + IPV6_DESTINATION, segment, SEGMENT_BYTES);
	memcpy(packet->key.destination, segment, SEGMENT_BYTES);
	return PARSE_OK;
}

static bool segments_left(const struct packet *packet)
{
	return packet->srh != 0 && packet->data[packet->srh + SRH_SEGMENTS_LEFT] != 0;
}

/* Segments of ours that follow each other are passed at once: no link leads from us to us. */
static enum sl_verdict pass_own(const struct decap_sids *sids, struct packet *packet)
{
	while (segments_left(packet)) {
		const uint8_t *segment = next_segment(packet);
		enum sl_verdict verdict;

		if (!segment || !decap_is_local(sids, segment))
			return SL_VERDICT_BAD_SEGMENTS;
		verdict = advance(packet);
		if (verdict != PARSE_OK)
			return verdict;
	}
	return PARSE_OK;
}

static enum sl_verdict open_srv6(const struct decap_sids *sids, struct packet *packet)
{
	uint8_t protocol = packet->key.protocol;
	enum sl_verdict verdict;

	if (packet->key.family != 6 || !decap_is_local(sids, packet->key.destination))
		return SL_VERDICT_NOT_LOCAL;
	verdict = pass_own(sids, packet);
	if (verdict != PARSE_OK)
		return verdict;
	if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6)
		return SL_VERDICT_BAD_HEADER;
	return parse_inner(packet, packet->l4, packet->l3 + packet->l3_bytes,
			   protocol == IPPROTO_IPIP ? 4 : 6);
}

enum sl_verdict decap(const struct decap_sids *sids, struct packet *packet)
{
	uint8_t outer_ecn = packet->traffic_class & 3;
	enum sl_verdict verdict, ecn;

	verdict = decap_is_vxlan(sids, packet) ? open_vxlan(sids, packet) : open_srv6(sids, packet);
	if (verdict != PARSE_OK && verdict != SL_VERDICT_FRAGMENT)
		return verdict;
	ecn = carry_ecn_inwards(packet, outer_ecn);
	return ecn == PARSE_OK ? verdict : ecn;
}

enum sl_verdict decap_advance(const struct decap_sids *sids, struct packet *packet)
{
	if (packet->key.family != 6 || !decap_is_local(sids, packet->key.destination))
		return SL_VERDICT_NOT_LOCAL;
	return advance(packet);
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

int decap_add_vni(struct decap_sids *sids, const struct in_addr *address4, uint32_t vni)
{
	static const uint8_t prefix[] = SL_VXLAN_MAC;

	if (vni > 0xffffff)
		return -EINVAL;
	if (sids->vnis >= SL_VNIS_MAX)
		return -ENOSPC;
	memcpy(sids->address4, address4, sizeof(sids->address4));
	memcpy(sids->mac, prefix, sizeof(prefix));
	memcpy(sids->mac + sizeof(prefix), address4, sizeof(*address4));
	sids->vni[sids->vnis++] = vni;
	return 0;
}
