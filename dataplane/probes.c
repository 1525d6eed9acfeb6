/* SPDX-License-Identifier: BSD-3-Clause */
#include "probes.h"
#include "probe_frame.h"
#include "xdp/answer.h"

#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ULL
#define QUEUE 0 /* of worker 0, on each port */
#define RECEIVED_MAX 512
#define TURN_SLOTS 128
#define BATCH 32 /* what the kernel sends of an AF_XDP socket at a time */

_Static_assert(PROBE_PACKET_BYTES <= STEER_ANSWER_BYTES, "an answer is as long as its probe");

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static struct probe_session *session(const struct probes *probes, unsigned slot)
{
	return __atomic_load_n(&probes->session[slot], __ATOMIC_ACQUIRE);
}

/* --- answers --- */

static struct probe_session *is_from(const struct probes *probes, unsigned slot,
				     const struct probe_answer *answer)
{
	struct probe_session *s = slot < probes->slots ? session(probes, slot) : NULL;

	return s && probes->port[s->port] == answer->port &&
			       IN6_ARE_ADDR_EQUAL(&s->path.shared->reflector, &answer->from)
		       ? s
		       : NULL;
}

/* By the id that it repeats; of a reflector that knows none, by its address and our port. */
static struct probe_session *session_of(const struct probes *probes,
					const struct probe_answer *answer, uint16_t id)
{
	struct probe_session *s = NULL;

	if (id > 0)
		return is_from(probes, id - 1u, answer);
	for (unsigned i = 0; !s && i < probes->slots; i++)
		s = is_from(probes, i, answer);
	return s;
}

static void take(struct probes *probes, const uint8_t *ip, size_t bytes, uint64_t at_ns)
{
	bool synchronised = probes->rule->error & STAMP_SYNCHRONISED;
	struct probe_session *s = NULL;
	struct probe_answer answer;
	struct stamp_reply reply;

	if (probe_answer_read(ip, bytes, &answer) &&
	    stamp_reply_read(answer.data, answer.bytes, &probes->rule->key, &reply))
		s = session_of(probes, &answer, reply.session);
	if (!s) {
		probes->shared->unknown++;
		return;
	}
	path_answer(&s->path, &probes->path_rule, &reply, synchronised, at_ns);
	if (s->path.shared->state != SL_PATH_ALIVE)
		probes->judge_ns = 0;
}

static int take_steered(void *probes, void *data, size_t bytes)
{
	const struct steer_answer *answer = data;

	(void)bytes;
	take(probes, answer->packet, answer->bytes, answer->at_ns);
	return 0;
}

/* The time is kept at the buffer's beginning. */
bool probes_take(struct probes *probes, struct rte_mbuf *mbuf, uint8_t *l3, uint16_t bytes)
{
	uint64_t at_ns = clock_ns(CLOCK_MONOTONIC);
	struct probe_answer answer;
	bool ours = false;

	if (memcmp(l3 + 24, &probes->rule->address, sizeof(probes->rule->address)) != 0 ||
	    !probe_answer_read(l3, bytes, &answer))
		return false;
	for (unsigned i = 0; i < PROBES_PORTS; i++)
		ours |= probes->port[i] == answer.port;
	if (!ours)
		return false;
	mbuf->data_off = l3 - (uint8_t *)mbuf->buf_addr;
	mbuf->data_len = mbuf->pkt_len = bytes;
	memcpy(mbuf->buf_addr, &at_ns, sizeof(at_ns));
	if (rte_ring_mp_enqueue(probes->received, mbuf) != 0)
		rte_pktmbuf_free(mbuf);
	return true;
}

static void take_all(struct probes *probes)
{
	struct rte_mbuf *mbuf;
	uint64_t at_ns;

	if (probes->steered)
		ring_buffer__consume(probes->steered);
	while (rte_ring_sc_dequeue(probes->received, (void **)&mbuf) == 0) {
		memcpy(&at_ns, mbuf->buf_addr, sizeof(at_ns));
		take(probes, rte_pktmbuf_mtod(mbuf, uint8_t *), mbuf->data_len, at_ns);
		rte_pktmbuf_free(mbuf);
	}
}

/* --- probes --- */

struct batch {
	struct rte_mbuf *mbuf[BATCH];
	unsigned n;
	uint16_t port;
};

/* What cannot be sent is lost, as on the way. */
static void batch_send(struct probes *probes, struct batch *batch)
{
	unsigned sent = rte_eth_tx_burst(batch->port, QUEUE, batch->mbuf, batch->n);

	probes->counters->tx_packets += sent;
	if (sent < batch->n)
		rte_pktmbuf_free_bulk(batch->mbuf + sent, batch->n - sent);
	batch->n = 0;
}

/* The flow label depends on the path alone, so that all its probes take the same of equal paths. */
static struct rte_mbuf *make_probe(const struct probes *probes, const struct encap *encap,
				   const struct probe_packet *packet)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(probes->mbufs);
	uint16_t bytes;
	uint8_t *ip;

	if (!mbuf)
		return NULL;
	ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	bytes = probe_packet_write(ip, packet);
	encap_write(encap, ip, bytes, 0, (uint64_t)packet->probe.session << 44);
	mbuf->data_off -= encap->header_bytes;
	mbuf->data_len = mbuf->pkt_len = encap->header_bytes + bytes;
	return mbuf;
}
_Static_assert(RTE_PKTMBUF_HEADROOM >= ENCAP_BYTES, "encap_write");

/* to_unix_ns: from CLOCK_MONOTONIC. A path without a next hop loses its probe, too. */
static void probe_path(struct probes *probes, unsigned slot, int64_t to_unix_ns,
		       struct batch *batch)
{
	struct probe_session *s = session(probes, slot);
	struct probe_packet packet = {.source = probes->rule->address, .key = &probes->rule->key};
	const struct encap *encap;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	uint16_t target = __atomic_load_n(&s->target[SL_INNER_IPV6], __ATOMIC_RELAXED);

	packet.probe.sent_ns = (int64_t)now_ns + to_unix_ns;
	packet.probe.sequence = path_send(&s->path, packet.probe.sent_ns, now_ns);
	packet.probe.error = probes->rule->error;
	packet.probe.session = slot + 1;
	packet.reflector = s->path.shared->reflector;
	packet.source_port = probes->port[s->port];
	encap = __atomic_load_n(&probes->routes->encap[target], __ATOMIC_ACQUIRE);
	if (encap->kind == SL_VIA_NONE)
		return;
	if (batch->n == BATCH || (batch->n && batch->port != encap->port))
		batch_send(probes, batch);
	batch->port = encap->port;
	batch->mbuf[batch->n] = make_probe(probes, encap, &packet);
	if (!batch->mbuf[batch->n])
		return;
	probes->counters->tx_bytes += batch->mbuf[batch->n++]->data_len;
}

/* Paths are cold when their turn comes: asks for what the one after the next ones needs. */
static void warm(const struct probes *probes, unsigned slot)
{
	const struct probe_session *next = slot < SL_PATHS_MAX ? session(probes, slot) : NULL;
	const struct probe_session *later =
		slot + 4 < SL_PATHS_MAX ? session(probes, slot + 4) : NULL;

	if (later) {
		__builtin_prefetch(later, 1);
		__builtin_prefetch((const uint8_t *)later + RTE_CACHE_LINE_SIZE, 1);
		__builtin_prefetch(&probes->shared->path[slot + 4].reflector);
		__builtin_prefetch(&probes->shared->path[slot + 4].sent, 1);
	}
	if (next) {
		__builtin_prefetch(&next->path.ring[next->path.next % PATH_RING], 1);
		__builtin_prefetch(&next->path.ring[next->path.decided % PATH_RING]);
	}
}

/* Many paths take turns within the interval, so that no queue on the way must hold all of them. */
static void send_turn(struct probes *probes, unsigned slots, uint64_t now_ns)
{
	int64_t to_unix_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
	unsigned first = probes->next_slot >= slots ? 0 : probes->next_slot;
	unsigned turns = (slots + TURN_SLOTS - 1) / TURN_SLOTS;
	struct batch batch = {0};

	if (probes->send_ns == 0 || now_ns - probes->send_ns > probes->interval_ns)
		probes->send_ns = probes->since_ns =
			now_ns; /* the first ones, or we were held up */
	probes->next_slot = first + TURN_SLOTS;
	for (unsigned i = first; i < slots && i < probes->next_slot; i++) {
		warm(probes, i + 2);
		if (session(probes, i))
			probe_path(probes, i, to_unix_ns, &batch);
	}
	if (batch.n)
		batch_send(probes, &batch);
	probes->send_ns += probes->interval_ns / turns;
}

/* --- do they live? --- */

static uint64_t judged_from(const struct probes *probes, unsigned slots, uint64_t now_ns)
{
	uint64_t newest_ns = 0;

	for (unsigned i = 0; i < slots; i++) {
		const struct probe_session *s = session(probes, i);

		if (s && s->path.shared->state == SL_PATH_ALIVE &&
		    s->path.shared->heard_ns > newest_ns)
			newest_ns = s->path.shared->heard_ns;
	}
	return path_judged_from(&probes->path_rule, newest_ns, probes->since_ns, now_ns);
}

/* Which may be long before a state changes. */
static void judge(struct probes *probes, unsigned slots, uint64_t now_ns)
{
	uint64_t from_ns = judged_from(probes, slots, now_ns);
	bool changed = false;

	probes->judge_ns = UINT64_MAX;
	for (unsigned i = 0; i < slots; i++) {
		struct probe_session *s = session(probes, i);

		if (!s)
			continue;
		changed |= path_judge(&s->path, &probes->path_rule, now_ns, from_ns);
		probes->judge_ns = RTE_MIN(probes->judge_ns,
					   path_deadline(&s->path, &probes->path_rule, from_ns));
	}
	if (changed)
		eventfd_write(probes->changed, 1);
}

/* --- the turn --- */

/* Once a second without anything to do, for the heartbeat. */
static uint64_t wait_ns(const struct probes *probes, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + SECOND_NS;

	if (probes->send_ns)
		at_ns = RTE_MIN(at_ns, RTE_MIN(probes->send_ns, probes->judge_ns));
	return at_ns > now_ns ? at_ns - now_ns : 0;
}

void probes_turn(struct probes *probes)
{
	uint64_t running = UINT64_MAX, tsc = rte_rdtsc(), now_ns, due;
	uint64_t began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned slots;

	if (__atomic_exchange_n(&probes->due_tsc, running, __ATOMIC_SEQ_CST) == 0)
		probes->judge_ns = 0; /* another path */
	slots = __atomic_load_n(&probes->slots, __ATOMIC_ACQUIRE);
	take_all(probes);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (slots == 0)
		probes->send_ns = 0;
	else if (now_ns >= probes->send_ns)
		send_turn(probes, slots, now_ns);
	/* Answers only put it off; soon enough that no turn is for this alone. */
	if (probes->judge_ns <= RTE_MAX(now_ns, probes->send_ns))
		judge(probes, slots, now_ns);
	__atomic_store_n(&probes->shared->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
	due = tsc + wait_ns(probes, now_ns) * rte_get_tsc_hz() / SECOND_NS;
	/* Unless main has stirred us meanwhile. */
	__atomic_compare_exchange_n(&probes->due_tsc, &running, due, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
	probes->shared->spent_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
}

void probes_stir(struct probes *probes)
{
	__atomic_store_n(&probes->due_tsc, 0, __ATOMIC_SEQ_CST);
	eventfd_write(probes->kick, 1);
}

/* --- start and end --- */

/* Answers to our ports go to the port's ring. */
static int steer_answers(struct probes *probes, const struct port *port)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < PROBES_PORTS; i++) {
		struct steer_probe_end end = {.port = probes->port[i]};
		uint8_t value = 1;

		memcpy(end.address, &probes->rule->address, sizeof(end.address));
		ret = bpf_map_update_elem(port->probe_ends, &end, &value, BPF_ANY);
	}
	if (ret == 0 && probes->steered)
		return ring_buffer__add(probes->steered, port->probe_answers, take_steered, probes);
	if (ret == 0)
		probes->steered = ring_buffer__new(port->probe_answers, take_steered, probes, NULL);
	return probes->steered ? ret : -errno;
}

int probes_open(struct probes *probes, const struct ports *ports)
{
	int ret = 0;

	probes->mbufs = ports->mbufs;
	probes->counters = probes->routes->counters->worker;
	probes->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	probes->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	probes->received = rte_ring_create("answers", RECEIVED_MAX, SOCKET_ID_ANY, RING_F_SC_DEQ);
	if (probes->kick < 0 || probes->changed < 0 || !probes->received)
		ret = -ENOMEM;
	for (unsigned i = 0; ret == 0 && i < ports->ports; i++)
		if (ports->port[i].probe_answers >= 0)
			ret = steer_answers(probes, &ports->port[i]);
	if (ret < 0)
		warnx("probes: no ring for their answers: %s", strerror(-ret));
	return ret;
}

void probes_close(struct probes *probes)
{
	ring_buffer__free(probes->steered);
	rte_ring_free(probes->received);
	if (probes->kick >= 0)
		close(probes->kick);
	if (probes->changed >= 0)
		close(probes->changed);
}
