/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <netinet/in.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_random.h>
#include <sys/epoll.h>

/* Waking up costs about 30 us, so a gap shorter than this is waited out awake. */
#define SPIN_US 40
#define SLEEP_MS 1000
#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct burst {
	unsigned n;
	uint16_t rx_port;
	struct rte_mbuf *mbuf[WORKER_BURST];
	struct packet packet[WORKER_BURST];
	uint8_t verdict[WORKER_BURST]; /* enum sl_verdict, PARSE_OK while under way */
	const struct service *service[WORKER_BURST];
	uint64_t hash[WORKER_BURST];
	uint16_t member[WORKER_BURST];
	const struct encap *encap[WORKER_BURST];
};

static inline bool under_way(const struct burst *b, unsigned i)
{
	return b->verdict[i] == (uint8_t)PARSE_OK;
}

static inline void count(struct worker *w, enum sl_verdict verdict)
{
	w->counters->verdict[verdict]++;
}

/* --- 1. parse, and take off the overlay's headers if they end here --- */

static inline bool is_tunnel(const struct packet *packet)
{
	return packet->key.protocol == IPPROTO_IPIP || packet->key.protocol == IPPROTO_IPV6;
}

static void stage_parse(struct worker *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(b->mbuf[i], void *));
	for (unsigned i = 0; i < b->n; i++) {
		struct packet *packet = &b->packet[i];
		packet->data = rte_pktmbuf_mtod(b->mbuf[i], uint8_t *);
		packet->bytes = rte_pktmbuf_data_len(b->mbuf[i]);
		w->counters->rx_bytes += packet->bytes;
		b->verdict[i] = parse(packet);
		if (under_way(b, i) && is_tunnel(packet))
			b->verdict[i] = decap(w->sids, packet);
	}
	w->counters->rx_packets += b->n;
}

/* --- 2. classify, hash, and ask for the pin's cache line --- */

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

static void stage_classify(struct worker *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct flow_key *key = &b->packet[i].key;
		if (!under_way(b, i))
			continue;
		b->service[i] = service_of(w->routes, key);
		if (!b->service[i]) {
			b->verdict[i] = why_no_service(key);
			continue;
		}
		b->hash[i] =
			pin_hash(&w->secret, key, b->service[i]->affinity, b->service[i]->slot);
		if (b->service[i]->affinity != SL_AFFINITY_NONE)
			pin_prefetch(&w->pins, b->hash[i]);
	}
}

/* --- 3. the pinned member, or a choice that is pinned --- */

static inline bool begins_flow(uint8_t tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/*
 * A pin holds while its member is a candidate of the service. A SYN begins a new connection, so it
 * is not held to a member that takes no new flows (drained, or dead: the client tries again).
 */
static inline bool pin_holds(const struct worker *w, const struct service *service,
			     const struct pin_hit *hit, uint8_t tcp_flags)
{
	const struct member *member;

	if (!hit->entry)
		return false;
	member = &w->routes->member[hit->member];
	return member->service == service->slot && (member->takes_new || !begins_flow(tcp_flags));
}

static inline uint16_t choose_member(const struct service *service, uint64_t hash)
{
	int winner = choose(&service->choose, hash);
	return winner < 0 ? PIN_MEMBER_NONE : service->choose.member[winner];
}

static void new_flow(struct worker *w, struct burst *b, unsigned i)
{
	const struct service *service = b->service[i];
	bool pins = service->affinity != SL_AFFINITY_NONE;

	b->member[i] = choose_member(service, pins ? b->hash[i] : rte_rand());
	if (b->member[i] == PIN_MEMBER_NONE) {
		b->verdict[i] = SL_VERDICT_NO_CANDIDATE;
		return;
	}
	w->counters->member[b->member[i]].new_flows++;
	if (!pins)
		return;
	w->counters->pins_inserted++;
	w->counters->pins_evicted +=
		pin_insert(&w->pins, b->hash[i], b->member[i], b->packet[i].tcp_flags,
			   w->clock->now_s, service->idle_s);
}

static void stage_pin(struct worker *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct service *service = b->service[i];
		struct pin_hit hit = {0};
		if (!under_way(b, i))
			continue;
		if (service->affinity != SL_AFFINITY_NONE)
			hit = pin_lookup(&w->pins, b->hash[i], w->clock->now_s, service->idle_s);
		if (pin_holds(w, service, &hit, b->packet[i].tcp_flags)) {
			pin_use(&hit, b->packet[i].tcp_flags, w->clock->now_s);
			b->member[i] = hit.member;
		} else {
			new_flow(w, b, i);
		}
	}
}

/* --- 4. the headers of the way there --- */

static enum sl_verdict wrap(struct worker *w, struct burst *b, unsigned i)
{
	struct packet *packet = &b->packet[i];
	const struct member *member = &w->routes->member[b->member[i]];
	uint16_t target = member->target[packet->key.family == 4 ? SL_INNER_IPV4 : SL_INNER_IPV6];
	const struct encap *encap = __atomic_load_n(&w->routes->encap[target], __ATOMIC_ACQUIRE);
	struct sl_member_counters *counters = &w->counters->member[b->member[i]];
	uint8_t *inner = packet->data + packet->l3;
	struct rte_mbuf *m = b->mbuf[i];

	counters->packets++;
	counters->bytes += packet->l3_bytes;
	if (encap->kind == SL_VIA_NONE)
		return SL_VERDICT_NO_NEXT_HOP;
	if (!encap_fits(encap, packet->l3_bytes))
		return SL_VERDICT_TOO_BIG;
	if (!parse_forward_hop(inner))
		return SL_VERDICT_HOP_LIMIT;
	encap_write(encap, inner, packet->l3_bytes, packet->traffic_class, b->hash[i]);
	m->data_off = inner - encap->header_bytes - (uint8_t *)m->buf_addr;
	m->data_len = m->pkt_len = encap->header_bytes + packet->l3_bytes;
	b->encap[i] = encap;
	return PARSE_OK;
}

static void stage_encap(struct worker *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (under_way(b, i))
			b->verdict[i] = wrap(w, b, i);
}

/* --- 5. out, port by port --- */

static void send_to(struct worker *w, struct burst *b, uint16_t port)
{
	struct rte_mbuf *out[WORKER_BURST];
	uint8_t kind[WORKER_BURST];
	unsigned n = 0, sent;

	for (unsigned i = 0; i < b->n; i++) {
		if (!under_way(b, i) || b->encap[i]->port != port)
			continue;
		kind[n] = b->encap[i]->kind;
		out[n++] = b->mbuf[i];
		b->verdict[i] =
			kind[n - 1] == SL_VIA_SRV6 ? SL_VERDICT_ENCAPSULATED : SL_VERDICT_DELIVERED;
		w->counters->tx_bytes += b->mbuf[i]->data_len;
	}
	sent = rte_eth_tx_burst(port, w->index, out, n);
	for (unsigned i = 0; i < sent; i++)
		count(w, kind[i] == SL_VIA_SRV6 ? SL_VERDICT_ENCAPSULATED : SL_VERDICT_DELIVERED);
	w->counters->tx_packets += sent;
	for (unsigned i = sent; i < n; i++) {
		count(w, SL_VERDICT_TX_FULL);
		w->counters->tx_bytes -= out[i]->data_len;
		rte_pktmbuf_free(out[i]);
	}
}

static void stage_send(struct worker *w, struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (under_way(b, i)) {
			send_to(w, b, b->encap[i]->port);
		} else if (b->verdict[i] != SL_VERDICT_ENCAPSULATED &&
			   b->verdict[i] != SL_VERDICT_DELIVERED) {
			count(w, b->verdict[i]);
			rte_pktmbuf_free(b->mbuf[i]);
		}
	}
}

static unsigned poll_port(struct worker *w, uint16_t port)
{
	struct burst b;

	b.n = rte_eth_rx_burst(port, w->index, b.mbuf, WORKER_BURST);
	if (b.n == 0)
		return 0;
	stage_parse(w, &b);
	stage_classify(w, &b);
	stage_pin(w, &b);
	stage_encap(w, &b);
	stage_send(w, &b);
	return b.n;
}

/* Nothing is missed: the sockets are readable for as long as a packet waits in them. */
static void nap(struct worker *w)
{
	struct epoll_event event;

	w->counters->sleeps++;
	rte_rcu_qsbr_thread_offline(w->routes->rcu, w->index);
	epoll_wait(w->sleep_fd, &event, 1, SLEEP_MS);
	rte_rcu_qsbr_thread_online(w->routes->rcu, w->index);
}

int worker_run(void *argument)
{
	struct worker *w = argument;
	uint64_t spin = rte_get_tsc_hz() / 1000000 * SPIN_US, last = rte_rdtsc();

	rte_rcu_qsbr_thread_register(w->routes->rcu, w->index);
	rte_rcu_qsbr_thread_online(w->routes->rcu, w->index);
	while (!__atomic_load_n(&w->clock->stop, __ATOMIC_RELAXED)) {
		unsigned n = 0;
		for (unsigned i = 0; i < w->ports->ports; i++)
			n += poll_port(w, w->ports->port[i].id);
		w->counters->polls++;
		rte_rcu_qsbr_quiescent(w->routes->rcu, w->index);
		if (n || w->sleep_fd < 0) {
			last = rte_rdtsc();
		} else if (rte_rdtsc() - last > spin) {
			nap(w);
			last = rte_rdtsc();
		}
	}
	rte_rcu_qsbr_thread_offline(w->routes->rcu, w->index);
	rte_rcu_qsbr_thread_unregister(w->routes->rcu, w->index);
	return 0;
}

struct worker_way worker_way(const struct worker *w, const struct flow_key *key)
{
	struct worker_way way = {.member = PIN_MEMBER_NONE};
	struct pin_hit hit = {0};

	way.service = service_of(w->routes, key);
	if (!way.service)
		return way;
	way.hash = pin_hash(&w->secret, key, way.service->affinity, way.service->slot);
	if (way.service->affinity != SL_AFFINITY_NONE)
		hit = pin_lookup(&w->pins, way.hash, w->clock->now_s, way.service->idle_s);
	way.pinned = pin_holds(w, way.service, &hit, 0);
	way.age_s = hit.age_s;
	way.member = way.pinned ? hit.member : choose_member(way.service, way.hash);
	return way;
}
