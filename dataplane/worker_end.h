/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that pass this node on their way to a further segment: End (RFC 8986 section 4.1). One at
 * a time, but they leave with the burst. Inlined into worker.c.
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

/* Returns PARSE_OK once it is on its way. */
static enum sl_verdict advance(struct worker *w, struct burst *b, struct passing *p,
			       struct packet *packet)
{
	const struct decap_sids *sids = __atomic_load_n(&w->routes->sids, __ATOMIC_ACQUIRE);
	const struct adjacency *table = __atomic_load_n(&w->routes->adjacency, __ATOMIC_ACQUIRE);
	enum sl_verdict verdict = decap_advance(sids, packet);
	uint8_t *l3 = packet->data + packet->l3;
	const struct encap *encap;
	uint16_t target, bytes;

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
	if (!encap_fits(encap, packet->l3_bytes))
		return SL_VERDICT_TOO_BIG;
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

static __attribute__((noinline)) void enter_end(struct worker *w, struct burst *b,
						struct passing *p, struct packet *packet)
{
	enum sl_verdict verdict = advance(w, b, p, packet);

	if (verdict != PARSE_OK)
		drop(w, p->mbuf, verdict);
}
