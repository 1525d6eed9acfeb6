/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that pass this node on their way to a further segment: End (RFC 8986 section 4.1). One at
 * a time, but they leave with the burst. What cannot go on is answered, as by any router: the
 * edge learns from that how narrow its path is (path_mtu.h). Part of worker_rare.h.
 */
#pragma once

#include "worker_enter.h"

#include <sys/eventfd.h>

/* Main looks for the way; until it is there packets have no next hop. One question at a time. */
static __attribute__((noinline, cold)) void ask_main(struct worker *w, const uint8_t *segment)
{
	struct rare *rare = w->rare;

	if (__atomic_load_n(&rare->wants, __ATOMIC_ACQUIRE))
		return;
	memcpy(&rare->wanted, segment, sizeof(rare->wanted));
	__atomic_store_n(&rare->wants, true, __ATOMIC_RELEASE);
	eventfd_write(rare->wants_fd, 1);
}

#define END_HOP_LIMIT 7 /* offsets in the IPv6 header and in the SRH */
#define END_DESTINATION 24
#define END_SEGMENTS_LEFT 3

/* As it came, to be quoted. */
static void retreat(struct packet *packet, const uint8_t *segment)
{
	uint8_t *ip = packet->data + packet->l3;

	ip[END_HOP_LIMIT]++;
	packet->data[packet->srh + END_SEGMENTS_LEFT]++;
	memcpy(ip + END_DESTINATION, segment, 16);
}

/* Returns PARSE_OK once it is on its way; mtu_bytes is set on TOO_BIG. */
static enum sl_verdict advance(struct worker *w, struct burst *b, struct passing *p,
			       struct packet *packet, uint16_t *mtu_bytes)
{
	const struct decap_sids *sids = __atomic_load_n(&w->routes->sids, __ATOMIC_ACQUIRE);
	const struct adjacency *table = __atomic_load_n(&w->routes->adjacency, __ATOMIC_ACQUIRE);
	uint8_t *l3 = packet->data + packet->l3, segment[16];
	enum sl_verdict verdict;
	const struct encap *encap;
	uint16_t target, bytes;

	memcpy(segment, packet->key.destination, sizeof(segment));
	verdict = decap_advance(sids, packet);
	if (verdict != PARSE_OK)
		return verdict;
	target = adjacency_find(table, packet->key.destination);
	if (unlikely(!target)) {
		ask_main(w, packet->key.destination);
		return SL_VERDICT_NO_NEXT_HOP;
	}
	encap = __atomic_load_n(&w->routes->encap[target], __ATOMIC_ACQUIRE);
	if (encap->kind == SL_VIA_NONE)
		return SL_VERDICT_NO_NEXT_HOP;
	if (!encap_fits(encap, packet->l3_bytes)) {
		retreat(packet, segment);
		*mtu_bytes = encap->mtu_bytes;
		return SL_VERDICT_TOO_BIG;
	}
	if (b->leaving[encap->port].n >= WORKER_BURST)
		flush(w, b, encap->port);
	bytes = encap->header_bytes + packet->l3_bytes;
	b->tx_packets++;
	b->tx_bytes += bytes;
	b->advanced++;
	leave(b, p->mbuf, encap, l3 - encap->header_bytes, bytes);
	p->mbuf->hash.usr = LEAVING_ADVANCED;
	encap_write(encap, l3, packet->l3_bytes, 0, 0);
	return PARSE_OK;
}

static COLD void cannot_advance(struct worker *w, struct burst *b, struct passing *p,
				const struct packet *packet, enum sl_verdict verdict,
				uint16_t mtu_bytes)
{
	uint8_t out[ICMP_ERROR_FRAME_MAX];
	struct icmp_received about = received(p);
	unsigned bytes = 0;

	about.ip = packet->data + packet->l3;
	about.ip_bytes = packet->l3_bytes;
	if (may_send(w, &w->rare->errors, about.ip))
		bytes = icmp_error(out, sizeof(out), &about,
				   verdict == SL_VERDICT_TOO_BIG ? ICMP_ERROR_TOO_BIG
								 : ICMP_ERROR_HOP_LIMIT,
				   mtu_bytes);
	if (bytes == 0) {
		drop(w, p->mbuf, verdict);
		return;
	}
	w->counters->verdict[verdict]++;
	send_back(w, b, p->mbuf, out, bytes);
}

static __attribute__((noinline)) void enter_end(struct worker *w, struct burst *b,
						struct passing *p, struct packet *packet)
{
	uint16_t mtu_bytes = 0;
	enum sl_verdict verdict = advance(w, b, p, packet, &mtu_bytes);

	if (verdict == SL_VERDICT_TOO_BIG || verdict == SL_VERDICT_HOP_LIMIT)
		cannot_advance(w, b, p, packet, verdict, mtu_bytes);
	else if (verdict != PARSE_OK)
		drop(w, p->mbuf, verdict);
}
