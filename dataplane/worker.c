/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled once for each form (dataplane/meson.build), with all that it inlines. */
#include "worker_enter.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sys/epoll.h>

#define FORM_NAME_(form) worker_form_##form
#define FORM_NAME(form) FORM_NAME_(form)
#define FORM_TEXT_(form) #form
#define FORM_TEXT(form) FORM_TEXT_(form)

/* Waking up costs about 30 us, so a gap shorter than this is waited out awake. */
#define SPIN_US 40
#define SLEEP_MS 1000
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* --- 1. enter: worker_enter.h --- */

/* --- 2. the pinned member --- */

static inline bool begins_flow(uint8_t tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static inline struct member member_of(const struct worker *w, uint16_t slot)
{
	uint64_t word = __atomic_load_n((const uint64_t *)(const void *)&w->routes->member[slot],
					__ATOMIC_RELAXED);
	struct member member;

	memcpy(&member, &word, sizeof(member));
	return member;
}

/*
 * A pin holds while its member is a candidate of the service. A SYN begins a new connection, so it
 * is not held to a member that takes no new flows (drained, or dead: the client tries again).
 */
static inline bool pin_holds(const struct member *member, const struct service *service,
			     uint8_t tcp_flags)
{
	return likely(member->service == service->slot) &&
	       likely(member->takes_new || !begins_flow(tcp_flags));
}

/* The way there is known: asks for what the last stage reads and writes. */
static inline void settle(struct worker *w, struct passing *p, const struct member *member,
			  uint16_t slot)
{
	/* not by index: that would go through memory */
	uint16_t target = p->family == SL_INNER_IPV4 ? member->target[SL_INNER_IPV4]
						     : member->target[SL_INNER_IPV6];

	p->member = slot;
	p->encap = __atomic_load_n(&w->routes->encap[target], __ATOMIC_ACQUIRE);
	rte_prefetch0(p->encap);
	rte_prefetch0((const uint8_t *)p->encap + ENCAP_LINE);
	__builtin_prefetch(&w->counters->member[slot], 1, 3);
}

static inline bool settle_pinned(struct worker *w, struct burst *b, struct passing *p,
				 struct pin_hit hit)
{
	struct member member;

	if (unlikely(!hit.entry))
		return false;
	member = member_of(w, hit.member);
	if (unlikely(!pin_holds(&member, p->service, p->tcp_flags)))
		return false;
	if (unlikely(p->tcp_flags & (PIN_FIN | PIN_RST)) && hit.state != PIN_CLOSING)
		w->counters->member[hit.member].closed_flows++;
	pin_use(&hit, p->tcp_flags, b->now_s);
	settle(w, p, &member, hit.member);
	return true;
}

static bool settle_by_others(struct worker *w, struct burst *b, struct passing *p);

static inline void stage_pin(struct worker *w, struct burst *b)
{
	b->missed = 0;
	for (struct passing *p = b->packet, *end = p + b->n; p < end; p++) {
		const struct service *service = p->service;

		if (likely(service->affinity != SL_AFFINITY_NONE)) {
			if (likely(settle_pinned(
				    w, b, p,
				    pin_lookup_in(p->bucket, p->hash, b->now_s, service->idle_s))))
				continue;
			if (unlikely(pin_has_spilled(p->bucket, p->hash)))
				__builtin_prefetch(pin_other(p->bucket), 1, 3);
			if (unlikely(w->others) && service->affinity == SL_AFFINITY_CLIENT &&
			    settle_by_others(w, b, p))
				continue;
		}
		b->miss[b->missed++] = p;
	}
}

/* --- 3. for all others a choice, that is pinned --- */

static inline uint64_t draw(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random * 0x2545f4914f6cdd1du;
}

/* The service's weights as what its sites owe has bent them. */
static inline const struct choose_set *weights_now(const struct worker *w, const struct burst *b,
						   const struct service *service)
{
	struct choice *choice = &service->choice[w->index];
	uint64_t now = rte_rdtsc();

	if (unlikely(now >= choice->due)) {
		choice->due = now + b->prefer_cycles;
		prefer_renew(choice, &service->prefer, w->counters->member);
	}
	return &choice->set;
}

/* Draws for all, weights of now; the winners of services with more than a group of candidates. */
static inline void choose_begin(struct worker *w, struct burst *b)
{
	const struct service *service = NULL;
	const struct choose_set *set = NULL;

	for (unsigned i = 0; i < b->missed; i++) {
		if (b->miss[i]->service != service) {
			service = b->miss[i]->service;
			set = weights_now(w, b, service);
		}
		b->set[i] = set;
		b->draw[i] = b->miss[i]->hash;
		if (unlikely(service->affinity == SL_AFFINITY_NONE))
			b->draw[i] = draw(w);
		if (unlikely(!choose_is_few(set)))
			b->winner[i] = choose(set, b->draw[i]);
	}
}

/* Of any miss, so that no branch is needed at the end. */
static inline choose_bits scores_of(const struct burst *b, unsigned i)
{
	unsigned miss = i < b->missed ? i : 0;

	return choose_group(b->set[miss], b->draw[miss], 0);
}

/* False: it is one for choose_late. */
static inline bool settle_new(struct worker *w, struct burst *b, struct passing *p, int winner)
{
	const struct service *service = p->service;
	struct member member;

	if (unlikely(winner < 0)) {
		p->member = PIN_MEMBER_NONE;
		return false;
	}
	p->member = service->choose.member[winner];
	member = member_of(w, p->member);
	settle(w, p, &member, p->member);
	if (service->affinity != SL_AFFINITY_NONE) {
		if (unlikely(!pin_insert_in(p->bucket, p->hash, p->member, p->tcp_flags, b->now_s,
					    service->idle_s)))
			return false;
		b->inserted++;
	}
	w->counters->member[p->member].new_flows++;
	return true;
}

/* No pin and no site that takes new flows: unless another packet of this burst made one. */
static void no_candidate(struct worker *w, struct burst *b, struct passing *p)
{
	if (p->service->affinity != SL_AFFINITY_NONE &&
	    settle_pinned(w, b, p, pin_lookup(&w->pins, p->hash, b->now_s, p->service->idle_s)))
		return;
	drop(w, p->mbuf, SL_VERDICT_NO_CANDIDATE);
	p->encap = NULL;
}

/*
 * The flow's bucket has something of its tag, or only live flows, or it spills. Another packet of
 * this burst may have pinned the flow, or an earlier one in the other bucket.
 */
static void pin_rare(struct worker *w, struct burst *b, struct passing *p)
{
	struct pin_hit hit = pin_lookup(&w->pins, p->hash, b->now_s, p->service->idle_s);
	uint16_t slot = p->member;

	if (settle_pinned(w, b, p, hit))
		return;
	w->counters->member[slot].new_flows++;
	w->counters->pins_inserted++;
	w->counters->pins_evicted += pin_insert(&w->pins, p->hash, slot, p->tcp_flags, b->now_s,
						p->service->idle_s) == PIN_EVICTED;
}

/* After the others: a call among those would cost them what they keep in registers. */
static __attribute__((noinline)) void choose_late(struct worker *w, struct burst *b, unsigned late)
{
	for (unsigned i = 0; i < late; i++) {
		struct passing *p = b->late[i];

		if (p->member == PIN_MEMBER_NONE)
			no_candidate(w, b, p);
		else
			pin_rare(w, b, p);
	}
}

/*
 * Three flows at a time: the scores of the next but one, the winner among the next one's, the pin
 * of this one. One after the other they would wait for each other.
 */
static inline void stage_choose(struct worker *w, struct burst *b)
{
	choose_bits scores;
	unsigned late = 0;
	int next;

	if (b->missed == 0)
		return;
	choose_begin(w, b);
	next = choose_winner(scores_of(b, 0));
	scores = scores_of(b, 1);
	b->inserted = 0;
	for (unsigned i = 0; i < b->missed; i++) {
		struct passing *p = b->miss[i];
		int winner = next;

		next = choose_winner(scores);
		scores = scores_of(b, i + 2);
		if (unlikely(!choose_is_few(&p->service->choose)))
			winner = b->winner[i];
		b->late[late] = p;
		late += unlikely(!settle_new(w, b, p, winner));
	}
	w->counters->pins_inserted += b->inserted;
	if (unlikely(late > 0))
		choose_late(w, b, late);
}

/* --- 4. the headers of the way there --- */

/* Traffic class of the IP header; false: the packet has come to the end of its hops. */
static inline bool forward_hop(const struct passing *p, uint8_t *traffic_class)
{
	if (likely(p->family == SL_INNER_IPV4)) {
		*traffic_class = p->l3[1];
		return parse_forward_hop_ipv4(p->l3);
	}
	*traffic_class = p->l3[0] << 4 | p->l3[1] >> 4;
	return parse_forward_hop_ipv6(p->l3);
}

/* To the packets that wait for its port; `usr` tells drop_unsent how it would have counted. */
static inline void leave(struct burst *b, struct rte_mbuf *m, const struct encap *encap,
			 uint8_t *header, uint16_t bytes)
{
	struct leaving *leaving = &b->leaving[encap->port];
	unsigned n = leaving->n;

	b->ports |= 1u << encap->port;
	m->data_off = header - (uint8_t *)m->buf_addr;
	m->pkt_len = bytes;
	m->data_len = bytes;
	m->hash.usr = encap->kind;
	leaving->mbuf[n] = m;
	leaving->n = n + 1;
}

static __attribute__((noinline, cold)) void drop_unsent(struct worker *w, struct burst *b,
							struct rte_mbuf **unsent, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		b->tx_packets--;
		b->tx_bytes -= unsent[i]->data_len;
		b->delivered -= unsent[i]->hash.usr == SL_VIA_L2;
		b->advanced -= unsent[i]->hash.usr == LEAVING_ADVANCED;
		drop(w, unsent[i], SL_VERDICT_TX_FULL);
	}
}

#include "worker_rare.h"

static inline void stage_encap(struct worker *w, struct burst *b)
{
	struct sl_member_counters *member = w->counters->member;
	uint64_t tx_bytes = 0, delivered = 0, packets = 0;

	for (const struct passing *p = b->packet, *end = p + b->n; p < end; p++) {
		const struct encap *encap = p->encap;
		uint8_t *l3 = p->l3, traffic_class;
		uint16_t l3_bytes = p->l3_bytes, bytes;

		if (unlikely(!encap))
			continue;
		bytes = encap->header_bytes + l3_bytes;
		member[p->member].packets++;
		member[p->member].bytes += l3_bytes;
		if (unlikely(!encap_fits(encap, l3_bytes)) ||
		    unlikely(!forward_hop(p, &traffic_class))) {
			cannot_go(w, p);
			continue;
		}
		packets++;
		tx_bytes += bytes;
		delivered += encap->kind == SL_VIA_L2;
		leave(b, p->mbuf, encap, l3 - encap->header_bytes, bytes);
		encap_write(encap, l3, l3_bytes, traffic_class, p->hash);
	}
	b->tx_packets += packets;
	b->tx_bytes += tx_bytes;
	b->delivered += delivered;
}

/* --- 5. out, port by port --- */

/* Ports with at least so many packets waiting. */
static inline void stage_send(struct worker *w, struct burst *b, unsigned at_least)
{
	for (uint32_t ports = b->ports; ports; ports &= ports - 1) {
		uint16_t port = __builtin_ctz(ports), sent;
		struct leaving *leaving = &b->leaving[port];

		if (leaving->n < at_least)
			continue;
		sent = rte_eth_tx_burst(port, w->index, leaving->mbuf, leaving->n);
		if (unlikely(sent < leaving->n))
			drop_unsent(w, b, leaving->mbuf + sent, leaving->n - sent);
		leaving->n = 0;
		b->ports &= ~(1u << port);
	}
}

static inline void count_sent(struct worker *w, struct burst *b)
{
	w->counters->verdict[SL_VERDICT_ENCAPSULATED] += b->tx_packets - b->delivered - b->advanced;
	w->counters->verdict[SL_VERDICT_DELIVERED] += b->delivered;
	w->counters->verdict[SL_VERDICT_ADVANCED] += b->advanced;
	w->counters->tx_packets += b->tx_packets;
	w->counters->tx_bytes += b->tx_bytes;
	b->tx_packets = b->tx_bytes = b->delivered = b->advanced = 0;
}

static inline unsigned poll_port(struct worker *w, struct burst *b, uint16_t port)
{
	unsigned received = rte_eth_rx_burst(port, w->index, b->mbuf, WORKER_BURST);

	if (received == 0)
		return 0;
	b->rx_port = port;
	stage_enter(w, b, received);
	stage_pin(w, b);
	stage_choose(w, b);
	stage_encap(w, b);
	stage_send(w, b, WORKER_BURST);
	return received;
}

static uint64_t nap_ns(const struct worker *w, uint64_t now)
{
	uint64_t ns = (w->rare->fragments.packets ? FRAGMENT_NAP_MS : SLEEP_MS) * 1000000ULL, due;

	if (!w->probes)
		return ns;
	due = __atomic_load_n(&w->probes->due_tsc, __ATOMIC_RELAXED);
	return due > now ? RTE_MIN(ns, (due - now) * 1000000000 / rte_get_tsc_hz()) : 0;
}

/*
 * Nothing is missed: the sockets are readable for as long as a packet waits in them. False if it
 * was time alone that ended it: then no packets are to be expected.
 */
static __attribute__((noinline, cold)) bool nap(struct worker *w, uint64_t now)
{
	uint64_t ns = nap_ns(w, now);
	struct timespec timeout = {ns / 1000000000, ns % 1000000000};
	struct epoll_event event;
	int ready;

	w->counters->sleeps++;
	rte_rcu_qsbr_thread_offline(w->routes->rcu, w->index);
	ready = epoll_pwait2(w->sleep_fd, &event, 1, &timeout, NULL);
	rte_rcu_qsbr_thread_online(w->routes->rcu, w->index);
	return ready != 0;
}

static int run(void *argument)
{
	struct worker *w = argument;
	struct burst b = {0};
	uint64_t spin = rte_get_tsc_hz() / 1000000 * SPIN_US, last = rte_rdtsc();

	b.prefer_cycles = rte_get_tsc_hz() / 1000000 * PREFER_US;
	w->rare->burst = &b;
	rte_rcu_qsbr_thread_register(w->routes->rcu, w->index);
	rte_rcu_qsbr_thread_online(w->routes->rcu, w->index);
	while (!__atomic_load_n(&w->clock->stop, __ATOMIC_RELAXED)) {
		unsigned n = 0;
		uint64_t now;

		b.now_s = __atomic_load_n(&w->clock->now_s, __ATOMIC_RELAXED);
		for (unsigned i = 0; i < w->ports->ports; i++)
			n += poll_port(w, &b, w->ports->port[i].id);
		stage_send(w, &b, 1);
		count_sent(w, &b);
		if (unlikely(w->from_kernel != NULL))
			n += send_for_kernel(w, &b);
		if (unlikely(w->rare->fragments.packets))
			fragments_overdue(w);
		now = rte_rdtsc();
		if (unlikely(w->probes != NULL) && probes_due(w->probes, now))
			probes_turn(w->probes);
		w->counters->polls++;
		rte_rcu_qsbr_quiescent(w->routes->rcu, w->index);
		if (n || w->sleep_fd < 0)
			last = now;
		else if (now - last > spin && nap(w, now))
			last = rte_rdtsc();
	}
	fragments_drain(w);
	rte_rcu_qsbr_thread_offline(w->routes->rcu, w->index);
	rte_rcu_qsbr_thread_unregister(w->routes->rcu, w->index);
	return 0;
}

static struct worker_way way(const struct worker *w, const struct flow_key *key)
{
	struct worker_way way = {.service = service_of(w->routes, key), .member = PIN_MEMBER_NONE};
	struct pin_hit hit = {0};
	struct member member;
	int winner;

	if (!way.service)
		return way;
	way.hash = pin_hash(&w->secret, key, way.service->affinity, way.service->slot);
	if (way.service->affinity != SL_AFFINITY_NONE)
		hit = pin_lookup(&w->pins, way.hash, w->clock->now_s, way.service->idle_s);
	if (hit.entry) {
		member = member_of(w, hit.member);
		way.pinned = pin_holds(&member, way.service, 0);
		way.age_s = hit.age_s;
	}
	way.set = &way.service->choice[w->index].set;
	winner = choose(way.set, way.hash);
	if (way.pinned)
		way.member = hit.member;
	else if (winner >= 0)
		way.member = way.set->member[winner];
	return way;
}

const struct worker_form FORM_NAME(WORKER_FORM) = {FORM_TEXT(WORKER_FORM), run, way};
