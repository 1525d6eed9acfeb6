/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's burst, and its first stage: parse, take off the overlay's headers if they end here,
 * find the service, hash the flow, ask for the pin's cache line. Inlined into worker.c.
 */
#pragma once

#include "parse_fast.h"
#include "worker.h"

#include <netinet/in.h>

/* A packet that is under way. */
struct passing {
	_Alignas(64) struct rte_mbuf *mbuf;
	uint8_t *l3;
	uint64_t hash;
	struct pin_bucket *bucket;
	const struct service *service;
	const struct encap *encap; /* NULL: it was dropped */
	uint16_t l3_bytes;
	uint16_t member;
	uint8_t tcp_flags;
	uint8_t family; /* SL_INNER_IPV4, SL_INNER_IPV6 */
};

/* The last service that a packet of this family was for: most are for the same. */
struct recent {
	uint64_t address[2]; /* IPv4 has its address in `what` */
	uint64_t what;	     /* 0: nothing yet */
	const struct service *service;
	struct pin_mask mask;
	bool pins;
};

/* What waits to leave by a port: at most a burst left over and a burst added. */
struct leaving {
	_Alignas(2048) struct rte_mbuf *mbuf[2 * WORKER_BURST]; /* place by shift, not product */
	unsigned n;
};

struct burst {
	unsigned n, missed;
	uint16_t rx_port;
	uint32_t now_s;
	uint64_t tx_packets, tx_bytes, delivered, advanced; /* on their way, not yet counted */
	uint64_t inserted;
	struct recent recent[SL_INNER_FAMILIES];
	uint64_t sid[2]; /* the last one that a packet was for; none is 0 */
	struct rte_mbuf *mbuf[WORKER_BURST];
	_Alignas(64) struct passing packet[WORKER_BURST];
	struct passing *miss[WORKER_BURST];
	struct passing *late[WORKER_BURST];
	uint64_t prefer_cycles;	     /* PREFER_US */
	uint64_t draw[WORKER_BURST]; /* of each miss, as `set` and `winner` */
	const struct choose_set *set[WORKER_BURST];
	int winner[WORKER_BURST]; /* only where there is more than a group */
	uint32_t ports;		  /* bit p: leaving[p] is not empty */
	struct leaving leaving[WORKER_PORTS_MAX];
};

static __attribute__((noinline, cold)) void drop(struct worker *w, struct rte_mbuf *mbuf,
						 enum sl_verdict verdict)
{
	w->counters->verdict[verdict]++;
	rte_pktmbuf_free(mbuf);
}

static inline const struct service *service_of(const struct routes *routes,
					       const struct flow_key *key)
{
	const struct classify *table = __atomic_load_n(&routes->classify, __ATOMIC_ACQUIRE);
	uint16_t slot = classify_lookup(table, key);

	if (slot == CLASSIFY_NONE)
		return NULL;
	return __atomic_load_n(&routes->service[slot], __ATOMIC_ACQUIRE);
}

static inline enum sl_verdict why_no_service(const struct flow_key *key)
{
	return key->protocol == IPPROTO_TCP || key->protocol == IPPROTO_UDP
		       ? SL_VERDICT_NO_SERVICE
		       : SL_VERDICT_NOT_TRANSPORT;
}

static inline bool is_tunnel(const struct packet *packet)
{
	return packet->key.protocol == IPPROTO_IPIP || packet->key.protocol == IPPROTO_IPV6;
}

/* worker_rare.h */
static void enter_rare(struct worker *w, struct passing *p, struct packet *packet,
		       enum sl_verdict verdict);

#define LEAVING_ADVANCED 0xff /* in hash.usr, where other packets have their sl_via_kind */
#define ENTER_ICMP ((enum sl_verdict)0xfe) /* no verdict: ICMP to a service address */

/* Any packet, step by step; PARSE_OK or why not. */
static inline enum sl_verdict enter_any(struct worker *w, struct passing *p, struct packet *packet)
{
	enum sl_verdict verdict = parse(packet);

	if (verdict == PARSE_OK) {
		const struct decap_sids *sids = __atomic_load_n(&w->routes->sids, __ATOMIC_ACQUIRE);
		if (is_tunnel(packet) || decap_is_vxlan(sids, packet))
			verdict = decap(sids, packet);
	}
	if (verdict != PARSE_OK)
		return verdict;
	p->service = service_of(w->routes, &packet->key);
	if (!p->service)
		return why_no_service(&packet->key);
	if (p->service->protocol != packet->key.protocol)
		return ENTER_ICMP;
	p->l3 = packet->data + packet->l3;
	p->l3_bytes = packet->l3_bytes;
	p->tcp_flags = packet->tcp_flags;
	p->family = packet->key.family == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6;
	p->hash = pin_hash(&w->secret, &packet->key, p->service->affinity, p->service->slot);
	p->bucket = pin_bucket(&w->pins, p->hash);
	if (p->service->affinity != SL_AFFINITY_NONE)
		__builtin_prefetch(p->bucket, 1, 3);
	return PARSE_OK;
}

static __attribute__((noinline)) bool enter_or_drop(struct worker *w, struct passing *p)
{
	struct packet packet = {.data = rte_pktmbuf_mtod(p->mbuf, uint8_t *),
				.bytes = rte_pktmbuf_data_len(p->mbuf)};
	enum sl_verdict verdict = enter_any(w, p, &packet);

	if (likely(verdict == PARSE_OK))
		return true;
	enter_rare(w, p, &packet, verdict);
	return false;
}

/* Finds the service of a packet that is not for the last one; false: there is none. */
static __attribute__((noinline)) bool remember(struct worker *w, struct recent *recent,
					       const struct parse_fast *fast, uint8_t family)
{
	struct flow_key key = {.protocol = fast->protocol, .family = family};
	const uint8_t *destination = fast->l3 + (family == 4 ? 16 : 24);
	const uint8_t *port = fast->l3 + (family == 4 ? 22 : 42);

	memcpy(key.destination, destination, family == 4 ? 4 : 16);
	memcpy(&key.destination_port, port, sizeof(key.destination_port));
	recent->what = 0;
	recent->service = service_of(w->routes, &key);
	if (!recent->service)
		return false;
	recent->pins = recent->service->affinity != SL_AFFINITY_NONE;
	recent->mask = pin_mask(family, recent->service->affinity, recent->service->slot);
	return true;
}

static inline void enter(const struct worker *w, struct passing *p, const struct recent *recent,
			 const struct parse_fast *fast, uint64_t hash, uint8_t family)
{
	struct pin_bucket *bucket = pin_bucket(&w->pins, hash);

	if (likely(recent->pins))
		__builtin_prefetch(bucket, 1, 3);
	p->hash = hash;
	p->bucket = bucket;
	p->service = recent->service;
	p->l3 = fast->l3;
	p->l3_bytes = fast->l3_bytes;
	p->tcp_flags = fast->tcp_flags;
	p->family = family;
}

static inline bool enter_ipv4(struct worker *w, struct recent *recent, struct passing *p,
			      uint8_t *data, uint32_t bytes, uint8_t protocol)
{
	/* destination and its port: the source port between them makes room for the protocol */
	const uint64_t counts = rte_cpu_to_be_64(0xffffffff0000ffff);
	struct parse_fast fast;
	uint64_t what;

	if (unlikely(!parse_fast_ipv4(&fast, data, bytes, protocol)))
		return false;
	what = (parse_load64(fast.l3 + 16) & counts) | rte_cpu_to_be_64((uint64_t)protocol << 16);
	if (unlikely(what != recent->what)) {
		if (!remember(w, recent, &fast, 4))
			return false;
		recent->what = what;
	}
	enter(w, p, recent, &fast, pin_hash_ipv4(&w->secret, &recent->mask, fast.l3),
	      SL_INNER_IPV4);
	return true;
}

static inline bool enter_ipv6(struct worker *w, struct recent *recent, struct passing *p,
			      uint8_t *data, uint32_t bytes, uint8_t protocol)
{
	struct parse_fast fast;
	uint64_t a, b, what;

	if (unlikely(!parse_fast_ipv6(&fast, data, bytes, protocol)))
		return false;
	a = parse_load64(fast.l3 + 24);
	b = parse_load64(fast.l3 + 32);
	what = parse_load16(fast.l3 + 42) | (uint32_t)protocol << 16;
	if (unlikely((a ^ recent->address[0]) | (b ^ recent->address[1]) | (what ^ recent->what))) {
		if (!remember(w, recent, &fast, 6))
			return false;
		recent->address[0] = a;
		recent->address[1] = b;
		recent->what = what;
	}
	enter(w, p, recent, &fast, pin_hash_ipv6(&w->secret, &recent->mask, fast.l3),
	      SL_INNER_IPV6);
	return true;
}

/* To one of our SIDs; most are to the same. */
static inline bool ends_here(struct worker *w, struct burst *b, const uint8_t *address)
{
	uint64_t high = parse_load64(address), low = parse_load64(address + 8);

	if (likely(((high ^ b->sid[0]) | (low ^ b->sid[1])) == 0))
		return true;
	if (!decap_is_local(__atomic_load_n(&w->routes->sids, __ATOMIC_ACQUIRE), address))
		return false;
	b->sid[0] = high;
	b->sid[1] = low;
	return true;
}

/* UDP apart, so that in each the protocol is a constant. */
static inline bool enter_fast(struct worker *w, struct burst *b, struct passing *p, uint8_t *data,
			      uint32_t bytes)
{
	struct recent *ipv4 = &b->recent[SL_INNER_IPV4], *ipv6 = &b->recent[SL_INNER_IPV6];
	unsigned version = parse_fast_version(data, bytes);

	if (version == 6 && parse_fast_is_tunnel(data)) {
		if (!ends_here(w, b, parse_fast_tunnel_end(data)))
			return false;
		version = parse_fast_tunnel(&data, &bytes);
	}
	if (likely(version == 4)) {
		if (likely(data[PARSE_FAST_ETHER + 9] == IPPROTO_TCP))
			return enter_ipv4(w, ipv4, p, data, bytes, IPPROTO_TCP);
		return enter_ipv4(w, ipv4, p, data, bytes, IPPROTO_UDP);
	}
	if (likely(version == 6)) {
		if (likely(data[PARSE_FAST_ETHER + 6] == IPPROTO_TCP))
			return enter_ipv6(w, ipv6, p, data, bytes, IPPROTO_TCP);
		return enter_ipv6(w, ipv6, p, data, bytes, IPPROTO_UDP);
	}
	return false;
}

static inline void stage_enter(struct worker *w, struct burst *b, unsigned received)
{
	struct passing *p = b->packet;
	uint64_t rx_bytes = 0;

	b->recent[SL_INNER_IPV4].what = b->recent[SL_INNER_IPV6].what = 0;
	b->sid[0] = b->sid[1] = 0;
#pragma GCC unroll 4
	for (unsigned i = 0; i < received; i++)
		rte_prefetch0(rte_pktmbuf_mtod(b->mbuf[i], void *));
	for (unsigned i = 0; i < received; i++) {
		struct rte_mbuf *m = b->mbuf[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
		uint32_t bytes = rte_pktmbuf_data_len(m);

		p->mbuf = m;
		rx_bytes += bytes;
		if (likely(enter_fast(w, b, p, data, bytes)) || enter_or_drop(w, p))
			p++;
	}
	b->n = p - b->packet;
	w->counters->rx_packets += received;
	w->counters->rx_bytes += rx_bytes;
}
