/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments in the worker: the first is steered by its ports as a whole packet is, the others
 * follow it (fragment.h). One that waits has no verdict until it goes on or is given up;
 * its buffer remembers where its IP header begins. Part of worker_rare.h.
 */
#pragma once

#define FRAGMENT_NAP_MS (FRAGMENT_WAITING_MS)

static uint32_t now_ms(void)
{
	return now_ns() / 1000000;
}

/* Both halves of the identification, the protocol and both addresses: two hashes of pin_hash. */
static uint64_t datagram_hash(const struct worker *w, const struct flow_key *datagram)
{
	struct flow_key other = {.family = datagram->family, .source_port = datagram->protocol};
	uint64_t from =
		pin_hash(&w->secret, datagram, SL_AFFINITY_FLOW, datagram->destination_port);
	uint64_t to;

	memcpy(other.source, datagram->destination, sizeof(other.source));
	to = pin_hash(&w->secret, &other, SL_AFFINITY_FLOW, ROUTES_NO_SERVICE);
	return from ^ (to << 32 | to >> 32);
}

static bool is_service_address(const struct worker *w, const struct flow_key *key)
{
	struct flow_key icmp = {.family = key->family};

	icmp.protocol = key->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	memcpy(icmp.destination, key->destination, sizeof(icmp.destination));
	return service_of(w->routes, &icmp) != NULL;
}

/* The IP header of a frame that parse has read, past its VLAN tags. */
static uint8_t *ip_of(const struct packet *packet)
{
	uint8_t *ip = packet->data + RTE_ETHER_HDR_LEN;

	while (ip[-2] == (RTE_ETHER_TYPE_VLAN >> 8) || ip[-2] == (RTE_ETHER_TYPE_QINQ >> 8))
		ip += 4;
	return ip;
}

/* As the stages would: by its pin, or by a choice that is pinned. False: it was dropped. */
static COLD bool settle_one(struct worker *w, struct burst *b, struct passing *p)
{
	const struct service *service = p->service;
	bool pins = service->affinity != SL_AFFINITY_NONE;
	struct member member;
	int winner;

	if (pins &&
	    settle_pinned(w, b, p, pin_lookup(&w->pins, p->hash, b->now_s, service->idle_s)))
		return true;
	if (pins && w->others && settle_by_others(w, b, p))
		return true;
	winner = choose(weights_now(w, b, service), pins ? p->hash : draw(w));
	if (winner < 0) {
		drop(w, p->mbuf, SL_VERDICT_NO_CANDIDATE);
		return false;
	}
	p->member = service->choose.member[winner];
	member = member_of(w, p->member);
	settle(w, p, &member, p->member);
	if (pins)
		pin_rare(w, b, p);
	else
		w->counters->member[p->member].new_flows++;
	return true;
}

static void follow(struct worker *w, struct burst *b, struct passing *p, struct fragment_way way)
{
	struct member member = member_of(w, way.member);

	if (member.service == ROUTES_NO_SERVICE) {
		drop(w, p->mbuf, SL_VERDICT_FRAGMENT_LATE);
		return;
	}
	p->hash = way.flow_hash;
	settle(w, p, &member, way.member);
	forward_one(w, b, p);
}

static void release(struct worker *w, struct burst *b, uint64_t datagram, struct fragment_way way)
{
	struct rte_mbuf *m;

	while ((m = fragment_release(&w->rare->fragments, datagram))) {
		struct passing p = {.mbuf = m};

		p.l3 = rte_pktmbuf_mtod_offset(m, uint8_t *, m->hash.usr);
		p.l3_bytes =
			p.l3[0] >> 4 == 4 ? p.l3[2] << 8 | p.l3[3] : 40 + (p.l3[4] << 8 | p.l3[5]);
		p.family = p.l3[0] >> 4 == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6;
		follow(w, b, &p, way);
	}
}

static COLD void enter_first(struct worker *w, struct burst *b, struct passing *p,
			     const struct packet *packet, uint64_t datagram)
{
	struct fragment_way way;

	p->service = is_icmp(&packet->key) ? NULL : service_of(w->routes, &packet->key);
	if (!p->service) {
		drop(w, p->mbuf, why_no_service(&packet->key));
		return;
	}
	p->tcp_flags = packet->tcp_flags;
	p->hash = pin_hash(&w->secret, &packet->key, p->service->affinity, p->service->slot);
	p->bucket = pin_bucket(&w->pins, p->hash);
	if (!settle_one(w, b, p))
		return;
	way = (struct fragment_way){p->hash, p->member};
	fragment_first(&w->rare->fragments, datagram, &way, now_ms());
	forward_one(w, b, p);
	release(w, b, datagram, way);
}

static COLD void enter_later(struct worker *w, struct burst *b, struct passing *p,
			     uint64_t datagram)
{
	struct fragment_way way;

	p->mbuf->hash.usr = p->l3 - rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	switch (fragment_later(&w->rare->fragments, datagram, p->mbuf, p->l3_bytes, now_ms(),
			       &way)) {
	case FRAGMENT_KNOWN:
		follow(w, b, p, way);
		break;
	case FRAGMENT_REFUSED:
		drop(w, p->mbuf, SL_VERDICT_FRAGMENT_LATE);
		break;
	case FRAGMENT_WAITS:
		break;
	}
}

static COLD void enter_fragment(struct worker *w, struct burst *b, struct passing *p,
				struct packet *packet)
{
	bool inner = packet->data != rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	uint8_t *ip = inner ? packet->data : ip_of(packet);
	struct fragment fragment;
	enum sl_verdict verdict =
		fragment_read(ip, packet->data + packet->bytes - ip, packet, &fragment);
	uint64_t datagram;

	if (verdict == PARSE_OK && !is_service_address(w, &packet->key))
		verdict = SL_VERDICT_FRAGMENT;
	if (verdict != PARSE_OK) {
		drop(w, p->mbuf, verdict);
		return;
	}
	p->l3 = ip;
	p->l3_bytes = packet->l3_bytes;
	p->family = packet->key.family == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6;
	datagram = datagram_hash(w, &fragment.datagram);
	if (fragment.first)
		enter_first(w, b, p, packet, datagram);
	else
		enter_later(w, b, p, datagram);
}

static COLD void fragments_overdue(struct worker *w)
{
	struct rte_mbuf *m;
	uint32_t ms = now_ms();

	while ((m = fragment_overdue(&w->rare->fragments, ms)))
		drop(w, m, SL_VERDICT_FRAGMENT_LATE);
}

static COLD void fragments_drain(struct worker *w)
{
	struct rte_mbuf *m;

	while ((m = fragment_drain(&w->rare->fragments)))
		drop(w, m, SL_VERDICT_FRAGMENT_LATE);
}
