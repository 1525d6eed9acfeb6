/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An Ethernet frame, parsed and, if it is for a SID or VNI of ours, decapsulated and forwarded, or
 * advanced by a segment.
 */
#include "dataplane/decap.h"
#include "fuzz.h"

static void check(const struct packet *packet, const uint8_t *frame, size_t bytes)
{
	assert(packet->data >= frame && packet->data + packet->bytes <= frame + bytes);
	assert(packet->l3 + packet->l3_bytes <= (int)packet->bytes);
	assert(packet->l4 <= packet->l3 + packet->l3_bytes);
	assert(packet->srh < packet->l4);
}

/* As worker_end.h does with what decap calls BAD_SEGMENTS. */
static void advance(const struct decap_sids *sids, struct packet *packet, const uint8_t *frame,
		    size_t bytes)
{
	struct packet again = *packet;

	if (packet->data != frame || decap_advance(sids, packet) != PARSE_OK)
		return;
	check(packet, frame, bytes);
	assert(parse(&again) == PARSE_OK);
	assert(memcmp(again.key.destination, packet->key.destination, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct decap_sids sids;
	uint8_t *frame = fuzz_copy(data, bytes);
	struct packet packet = {.data = frame, .bytes = bytes};
	enum sl_verdict verdict;

	if (!sids.sids) {
		decap_add(&sids, &(struct in6_addr){.s6_addr = {0xfc, 0, 0, 0xc}}, 48);
		decap_add_vni(&sids, &(struct in_addr){RTE_BE32(0x0a020302)}, 7);
	}
	(void)decap_is_ours(&sids, frame, bytes);
	if (parse(&packet) == PARSE_OK) {
		(void)decap_is_ours(&sids, packet.data + packet.l3, packet.l3_bytes);
		check(&packet, frame, bytes);
		verdict = decap(&sids, &packet);
		if (verdict == PARSE_OK)
			check(&packet, frame, bytes);
		else if (verdict == SL_VERDICT_BAD_SEGMENTS)
			advance(&sids, &packet, frame, bytes);
		if (verdict != PARSE_OK)
			packet.data = frame; /* not moved, or not to be forwarded */
		if (packet.data != frame) {
			parse_set_ecn(packet.data + packet.l3, bytes & 3);
			parse_forward_hop(packet.data + packet.l3);
			assert(parse_ip(&packet) == PARSE_OK);
		}
	}
	free(frame);
	return 0;
}
