/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that are not simply forwarded: errors that we send (RFC 792, RFC 4443), ICMP to a service
 * address, IPv4 packets to be fragmented, fragments (worker_fragment.h). One at a time,
 * out of line, past the stages. Inlined into worker.c, whose stages call it.
 *
 * What has a verdict of its own leaves with the burst; what is sent besides (answers, copies,
 * pieces) is sent at once and counted as sent only.
 */
#pragma once

#include "worker_enter.h"
#include "worker_others.h"

#include <rte_ethdev.h>
#include <rte_ip_frag.h>
#include <time.h>

#define COLD __attribute__((noinline, cold))
#define PIECES_MAX 8 /* of a packet: a buffer's 2 KiB over the least MTU that makes sense */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The source of an IP header, as limiters know it. */
static uint64_t source_hash(const struct worker *w, const uint8_t *ip)
{
	struct flow_key key = {.family = ip[0] >> 4};

	memcpy(key.source, ip + (key.family == 4 ? 12 : 8), key.family == 4 ? 4 : 16);
	return pin_hash(&w->secret, &key, SL_AFFINITY_CLIENT, ROUTES_NO_SERVICE);
}

static bool may_send(const struct worker *w, struct icmp_limiter *limiter, const uint8_t *ip)
{
	return icmp_allow(limiter, source_hash(w, ip), now_ns());
}

/* --- out, besides what the stages send --- */

static COLD void flush(struct worker *w, struct burst *b, uint16_t port)
{
	struct leaving *leaving = &b->leaving[port];
	unsigned sent;

	if (leaving->n == 0)
		return;
	sent = rte_eth_tx_burst(port, w->index, leaving->mbuf, leaving->n);
	if (sent < leaving->n)
		drop_unsent(w, b, leaving->mbuf + sent, leaving->n - sent);
	leaving->n = 0;
	b->ports &= ~(1u << port);
}

/* After those that wait for this port. True if all were sent; none is the caller's any more. */
static COLD bool send_now(struct worker *w, struct burst *b, uint16_t port, struct rte_mbuf **mbuf,
			  unsigned n)
{
	uint64_t bytes = 0, unsent_bytes = 0;
	unsigned sent;

	flush(w, b, port);
	for (unsigned i = 0; i < n; i++)
		bytes += mbuf[i]->data_len;
	sent = rte_eth_tx_burst(port, w->index, mbuf, n);
	for (unsigned i = sent; i < n; i++) {
		unsent_bytes += mbuf[i]->data_len;
		rte_pktmbuf_free(mbuf[i]);
	}
	w->counters->tx_packets += sent;
	w->counters->tx_bytes += bytes - unsent_bytes;
	return sent == n;
}

/* Back by the port that the packet came in by, in the packet's own buffer. */
static COLD bool send_back(struct worker *w, struct burst *b, struct rte_mbuf *m,
			   const uint8_t *frame, unsigned bytes)
{
	rte_pktmbuf_reset_headroom(m);
	if (bytes > rte_pktmbuf_tailroom(m) + rte_pktmbuf_data_len(m)) {
		rte_pktmbuf_free(m);
		return false;
	}
	memcpy(rte_pktmbuf_mtod(m, void *), frame, bytes);
	m->data_len = m->pkt_len = bytes;
	return send_now(w, b, b->rx_port, &m, 1);
}

static struct icmp_received received(const struct passing *p)
{
	return (struct icmp_received){
		.frame = rte_pktmbuf_mtod(p->mbuf, const uint8_t *),
		.frame_bytes = rte_pktmbuf_data_len(p->mbuf),
		.ip = p->l3,
		.ip_bytes = p->l3_bytes,
	};
}

/* --- packets that cannot go on --- */

/* In one buffer each, encapsulated; the packet stays the caller's. Returns how many, 0: not. */
static unsigned make_pieces(struct worker *w, const struct passing *p, struct rte_mbuf **piece)
{
	struct rte_mbuf *m = p->mbuf;
	const struct encap *encap = p->encap;
	int n;

	rte_pktmbuf_adj(m, p->l3 - rte_pktmbuf_mtod(m, uint8_t *));
	rte_pktmbuf_trim(m, m->data_len - p->l3_bytes);
	n = rte_ipv4_fragment_copy_nonseg_packet(m, piece, PIECES_MAX, encap->inner_bytes_max,
						 w->ports->mbufs);
	for (int i = 0; i < n; i++) {
		uint8_t *ip = rte_pktmbuf_mtod(piece[i], uint8_t *);
		uint16_t bytes = piece[i]->data_len;
		rte_be16_t checksum = header_checksum(header_sum(0, ip, (ip[0] & 0xf) * 4));

		memcpy(ip + 10, &checksum, sizeof(checksum));
		encap_write(encap, ip, bytes, ip[1], p->hash);
		rte_pktmbuf_prepend(piece[i], encap->header_bytes);
	}
	return n > 0 ? n : 0;
}

/* Its sender allows it (RFC 791), and so it is no error. */
static COLD void fragment(struct worker *w, struct burst *b, const struct passing *p)
{
	struct rte_mbuf *piece[PIECES_MAX];
	enum sl_verdict verdict =
		p->encap->kind == SL_VIA_L2 ? SL_VERDICT_DELIVERED : SL_VERDICT_ENCAPSULATED;
	unsigned n;

	parse_forward_hop_ipv4(p->l3);
	n = make_pieces(w, p, piece);
	if (n == 0)
		verdict = SL_VERDICT_TOO_BIG;
	else if (!send_now(w, b, p->encap->port, piece, n))
		verdict = SL_VERDICT_TX_FULL;
	drop(w, p->mbuf, verdict);
}

/* RFC 1812 section 5.3.1: hops are counted before the size is looked at. */
static enum sl_verdict why_not(const struct passing *p)
{
	if (p->encap->kind == SL_VIA_NONE)
		return SL_VERDICT_NO_NEXT_HOP;
	return p->l3[p->family == SL_INNER_IPV4 ? 8 : 7] <= 1 ? SL_VERDICT_HOP_LIMIT
							      : SL_VERDICT_TOO_BIG;
}

/* The sender is told why, if it may be; the verdict says why in any case. */
static COLD void cannot_go(struct worker *w, const struct passing *p)
{
	struct burst *b = w->rare->burst;
	enum sl_verdict verdict = why_not(p);
	uint8_t out[ICMP_ERROR_FRAME_MAX];
	struct icmp_received about = received(p);
	unsigned bytes = 0;

	if (verdict == SL_VERDICT_TOO_BIG && icmp_may_fragment(p->l3)) {
		fragment(w, b, p);
		return;
	}
	if (verdict != SL_VERDICT_NO_NEXT_HOP && may_send(w, &w->rare->errors, p->l3))
		bytes = icmp_error(
			out, sizeof(out), &about,
			verdict == SL_VERDICT_TOO_BIG ? ICMP_ERROR_TOO_BIG : ICMP_ERROR_HOP_LIMIT,
			icmp_mtu(p->encap->mtu_bytes, p->encap->header_bytes - RTE_ETHER_HDR_LEN));
	if (bytes == 0) {
		drop(w, p->mbuf, verdict);
		return;
	}
	w->counters->verdict[verdict]++;
	send_back(w, b, p->mbuf, out, bytes);
}

/* --- one packet, its member known --- */

static COLD void forward_one(struct worker *w, struct burst *b, const struct passing *p)
{
	const struct encap *encap = p->encap;
	struct sl_member_counters *member = &w->counters->member[p->member];
	uint16_t bytes = encap->header_bytes + p->l3_bytes;
	uint8_t traffic_class;

	member->packets++;
	member->bytes += p->l3_bytes;
	if (!encap_fits(encap, p->l3_bytes) || !forward_hop(p, &traffic_class)) {
		cannot_go(w, p);
		return;
	}
	if (b->leaving[encap->port].n >= WORKER_BURST)
		flush(w, b, encap->port);
	b->tx_packets++;
	b->tx_bytes += bytes;
	b->delivered += encap->kind == SL_VIA_L2;
	leave(b, p->mbuf, encap, p->l3 - encap->header_bytes, bytes);
	encap_write(encap, p->l3, p->l3_bytes, traffic_class, p->hash);
}

/* --- ICMP to a service address --- */

static bool is_icmp(const struct flow_key *key)
{
	return key->protocol == (key->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* An edge that has no pin (ECMP moved the flow): one copy to each site that may have the flow. */
static COLD enum sl_verdict relay(struct worker *w, struct burst *b, struct passing *p)
{
	const struct service *service = p->service;
	enum sl_verdict verdict = SL_VERDICT_NO_CANDIDATE;
	uint32_t at = p->l3 - rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	uint8_t traffic_class;

	if (!may_send(w, &w->rare->relayed, p->l3))
		return SL_VERDICT_RATE_LIMITED;
	if (!forward_hop(p, &traffic_class))
		return SL_VERDICT_HOP_LIMIT;
	for (unsigned i = 0; i < service->choose.candidates; i++) {
		uint16_t slot = service->choose.member[i];
		struct member member = member_of(w, slot);
		const struct encap *encap;
		struct rte_mbuf *copy;

		if (member.service != service->slot) /* drained sites still have flows */
			continue;
		settle(w, p, &member, slot);
		encap = p->encap;
		if (!encap_fits(encap, p->l3_bytes))
			continue;
		copy = rte_pktmbuf_copy(p->mbuf, w->ports->mbufs, at, p->l3_bytes);
		if (!copy)
			break;
		encap_write(encap, rte_pktmbuf_mtod(copy, uint8_t *), p->l3_bytes, traffic_class,
			    p->hash);
		rte_pktmbuf_prepend(copy, encap->header_bytes);
		if (send_now(w, b, encap->port, &copy, 1))
			verdict = SL_VERDICT_ICMP_RELAYED;
		else if (verdict == SL_VERDICT_NO_CANDIDATE)
			verdict = SL_VERDICT_TX_FULL;
	}
	return verdict;
}

/* The error goes to whom the flow goes, whose pin it neither makes nor renews. */
static COLD bool steer_error(struct worker *w, struct burst *b, struct passing *p)
{
	const struct service *service = p->service;
	struct pin_hit hit = {0};
	struct member member;

	if (service->affinity != SL_AFFINITY_NONE)
		hit = pin_lookup(&w->pins, p->hash, b->now_s, service->idle_s);
	if (!hit.entry && w->others && service->affinity != SL_AFFINITY_NONE)
		hit = pin_of_others(w, b, p);
	if (!hit.entry)
		return false;
	member = member_of(w, hit.member);
	if (!pin_holds(&member, service, 0))
		return false;
	if (!may_send(w, &w->rare->pinned, p->l3)) {
		drop(w, p->mbuf, SL_VERDICT_RATE_LIMITED);
		return true;
	}
	settle(w, p, &member, hit.member);
	forward_one(w, b, p);
	return true;
}

static COLD void enter_error(struct worker *w, struct burst *b, struct passing *p,
			     const struct flow_key *flow)
{
	p->service = service_of(w->routes, flow);
	if (!p->service) {
		drop(w, p->mbuf, SL_VERDICT_NO_SERVICE);
		return;
	}
	p->hash = pin_hash(&w->secret, flow, p->service->affinity, p->service->slot);
	if (!steer_error(w, b, p))
		drop(w, p->mbuf, relay(w, b, p));
}

static COLD void enter_echo(struct worker *w, struct burst *b, const struct passing *p)
{
	uint8_t out[RTE_MBUF_DEFAULT_BUF_SIZE];
	struct icmp_received request = received(p);
	unsigned bytes = icmp_echo_reply(out, sizeof(out), &request);
	enum sl_verdict verdict = SL_VERDICT_ICMP_ANSWERED;

	if (bytes == 0)
		verdict = SL_VERDICT_NOT_TRANSPORT;
	else if (!may_send(w, &w->rare->echo, p->l3))
		verdict = SL_VERDICT_RATE_LIMITED;
	if (verdict != SL_VERDICT_ICMP_ANSWERED) {
		drop(w, p->mbuf, verdict);
		return;
	}
	if (!send_back(w, b, p->mbuf, out, bytes))
		verdict = SL_VERDICT_TX_FULL;
	w->counters->verdict[verdict]++;
}

static COLD void enter_icmp(struct worker *w, struct burst *b, struct passing *p)
{
	struct flow_key flow;
	enum sl_verdict verdict = icmp_flow(p->l3, p->l3_bytes, &flow);

	if (verdict == PARSE_OK)
		enter_error(w, b, p, &flow);
	else if (verdict == SL_VERDICT_NOT_TRANSPORT)
		enter_echo(w, b, p);
	else
		drop(w, p->mbuf, verdict);
}

#include "worker_fragment.h"

#include "worker_end.h"

/* --- STAMP probes that came through the overlay --- */

static bool is_probe(const struct worker *w, const struct packet *packet)
{
	const struct reflect_rule *rule = w->rare->reflect;
	const struct flow_key *key = &packet->key;

	return rule->on && key->protocol == IPPROTO_UDP && key->family == 6 &&
	       key->destination_port == rte_cpu_to_be_16(STAMP_PORT) &&
	       (memcmp(key->destination, &rule->address, sizeof(rule->address)) == 0 ||
		decap_is_local(w->routes->sids, key->destination));
}

/* False if it is none that we answer: then it is for no service. */
static COLD bool enter_probe(struct worker *w, struct burst *b, const struct passing *p,
			     const struct packet *packet)
{
	uint8_t out[RTE_MBUF_DEFAULT_BUF_SIZE];
	struct icmp_received probe = received(p);
	enum sl_verdict verdict = SL_VERDICT_PROBE_ANSWERED;
	struct timespec ts;
	unsigned bytes;

	if (!is_probe(w, packet))
		return false;
	clock_gettime(CLOCK_REALTIME, &ts);
	probe.ip = packet->data + packet->l3;
	probe.ip_bytes = packet->l3_bytes;
	if (!may_send(w, &w->rare->probes, probe.ip)) {
		drop(w, p->mbuf, SL_VERDICT_RATE_LIMITED);
		return true;
	}
	bytes = reflect_frame(&w->rare->reflector, w->rare->reflect, out, sizeof(out), &probe,
			      packet->l4 - packet->l3, ts.tv_sec * 1000000000LL + ts.tv_nsec);
	if (bytes == 0)
		return false;
	if (!send_back(w, b, p->mbuf, out, bytes))
		verdict = SL_VERDICT_TX_FULL;
	w->counters->verdict[verdict]++;
	return true;
}

/* --- answers to our own, where no XDP program keeps them --- */

static COLD bool enter_answer(struct worker *w, const struct passing *p,
			      const struct packet *packet)
{
	const struct flow_key *key = &packet->key;

	if (!w->rare->measured || key->protocol != IPPROTO_UDP || key->family != 6 ||
	    key->source_port != rte_cpu_to_be_16(STAMP_PORT) ||
	    !probes_take(w->rare->measured, p->mbuf, packet->data + packet->l3, packet->l3_bytes))
		return false;
	w->counters->verdict[SL_VERDICT_PROBE_TAKEN]++;
	return true;
}

/* --- ports with a tap: what the XDP program would have left to the kernel --- */

/* As xdp/steer.bpf.c, by destination alone. */
static bool is_ours(const struct worker *w, const uint8_t *frame, uint32_t bytes)
{
	uint32_t at = RTE_ETHER_HDR_LEN;
	struct flow_key key = {0};
	uint16_t type;

	for (unsigned tags = 0;; tags++, at += 4) {
		if (bytes < at)
			return false;
		type = frame[at - 2] << 8 | frame[at - 1];
		if (tags == 2 || (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ))
			break;
	}
	if (type == RTE_ETHER_TYPE_IPV4 && bytes >= at + 20) {
		key.family = 4;
		memcpy(key.destination, frame + at + 16, 4);
	} else if (type == RTE_ETHER_TYPE_IPV6 && bytes >= at + 40) {
		key.family = 6;
		memcpy(key.destination, frame + at + 24, 16);
	} else {
		return false;
	}
	return is_service_address(w, &key) ||
	       decap_is_ours(__atomic_load_n(&w->routes->sids, __ATOMIC_ACQUIRE), frame + at,
			     bytes - at);
}

/* False: it is ours. */
static COLD bool leave_to_kernel(struct worker *w, struct burst *b, struct rte_mbuf *m)
{
	enum sl_verdict verdict = SL_VERDICT_TO_KERNEL;

	if (!(w->rare->taps->mask >> b->rx_port & 1) ||
	    is_ours(w, rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_data_len(m)))
		return false;
	m->port = b->rx_port;
	if (!taps_give(w->rare->taps, w->index, m)) {
		verdict = SL_VERDICT_KERNEL_FULL;
		rte_pktmbuf_free(m);
	}
	w->counters->verdict[verdict]++;
	return true;
}

/* Packets of the kernel, out by their cards; returns how many. */
static COLD unsigned send_for_kernel(struct worker *w, struct burst *b)
{
	struct rte_mbuf *mbuf[WORKER_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(w->from_kernel, (void **)mbuf, WORKER_BURST, NULL);

	for (unsigned i = 0; i < n; i++)
		send_now(w, b, mbuf[i]->port, &mbuf[i], 1);
	return n;
}

/* All that enter_any does not let enter. */
static COLD void enter_rare(struct worker *w, struct passing *p, struct packet *packet,
			    enum sl_verdict verdict)
{
	struct burst *b = w->rare->burst;

	if (verdict == SL_VERDICT_NO_SERVICE && enter_answer(w, p, packet))
		return;
	if (w->rare->taps && leave_to_kernel(w, b, p->mbuf))
		return;
	if (verdict == SL_VERDICT_FRAGMENT) {
		enter_fragment(w, b, p, packet);
	} else if (verdict == ENTER_ICMP) {
		p->l3 = packet->data + packet->l3;
		p->l3_bytes = packet->l3_bytes;
		p->family = packet->key.family == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6;
		enter_icmp(w, b, p);
	} else if (verdict == SL_VERDICT_BAD_SEGMENTS) { /* or segments that are left */
		enter_end(w, b, p, packet);
	} else if (verdict != SL_VERDICT_NO_SERVICE || !enter_probe(w, b, p, packet)) {
		drop(w, p->mbuf, verdict);
	}
}
