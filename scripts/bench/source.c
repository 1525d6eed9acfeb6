/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"
#include "arrivals.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_memcpy.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUES_MAX 8
#define PORTS_MAX 4
#define PACKET_BYTES 64
#define TUNNEL_BYTES (PACKET_BYTES + 40)
#define BURST_MAX 512
#define STAMP_BYTES 8 /* at the end of a packet: when it came */

enum kind { IPV4_TCP, IPV4_UDP, IPV6_TCP, SRV6_IPV4, L3FWD };

struct source {
	_Alignas(64) uint64_t packets; /* worker: rw, timer: ro */
	uint64_t random;
	uint32_t next, first;	     /* flow */
	uint32_t first_address, sum; /* of an IPv4 packet: flow 0's, and of all but it */
	_Alignas(64) uint8_t packet[TUNNEL_BYTES + 24]; /* template */
	struct arrivals arrivals;
	bool in_use;
	struct delays *delays; /* where they are counted now; timer: rw */
};

static struct {
	enum kind kind;
	uint32_t flows, warm; /* of a worker */
	uint64_t limit;	      /* packets, after which it ends; 0: by time */
	double seconds;
	unsigned rounds, workers;
	unsigned queues;   /* that workers ask */
	const char *loads; /* percent of capacity, one after the other; NULL: none */
	int fd;
	unsigned bytes;
	uint16_t first_port;
	unsigned address, l4; /* offsets that vary: source address (its last four bytes), ports */
	struct source source[PORTS_MAX][QUEUES_MAX];
} state;

uint64_t (*source_lost)(void);

uint64_t source_packets(void)
{
	uint64_t sum = 0;

	for (unsigned p = 0; p < PORTS_MAX; p++)
		for (unsigned q = 0; q < QUEUES_MAX; q++)
			sum += __atomic_load_n(&state.source[p][q].packets, __ATOMIC_RELAXED);
	return sum;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static enum kind kind_of(const char *name)
{
	static const char *const names[] = {"ipv4-tcp", "ipv4-udp", "ipv6-tcp", "srv6-ipv4",
					    "l3fwd"};

	for (unsigned i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	fprintf(stderr, "SOURCE_PACKET: unknown\n");
	exit(1);
}

/* --- templates --- */

/* `sum` is that of the other header fields: the generator must cost little beside what it feeds. */
static inline void set_ipv4(uint8_t *ip, uint32_t source, uint32_t sum)
{
	struct rte_ipv4_hdr *header = (void *)ip;
	uint32_t address = htonl(source);

	header->src_addr = address;
	sum += (address >> 16) + (address & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	header->hdr_checksum = ~(sum + (sum >> 16));
}

static uint32_t sum_without_source(const uint8_t *ip)
{
	struct rte_ipv4_hdr header;
	uint16_t word[10];
	uint32_t sum = 0;

	memcpy(&header, ip, sizeof(header));
	header.src_addr = header.hdr_checksum = 0;
	memcpy(word, &header, sizeof(word));
	for (unsigned i = 0; i < 10; i++)
		sum += word[i];
	return (sum & 0xffff) + (sum >> 16);
}

static uint8_t *put_ethernet(uint8_t *at, uint16_t type)
{
	struct rte_ether_hdr *eth = (void *)at;
	*eth = (struct rte_ether_hdr){.ether_type = htons(type)};
	eth->dst_addr.addr_bytes[0] = eth->src_addr.addr_bytes[0] = 2;
	return at + sizeof(*eth);
}

static uint8_t *put_ipv4(uint8_t *at, uint8_t protocol, unsigned bytes, const char *to)
{
	struct rte_ipv4_hdr *ip = (void *)at;
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
				    .total_length = htons(bytes),
				    .time_to_live = 64,
				    .next_proto_id = protocol};
	inet_pton(AF_INET, "10.0.0.0", &ip->src_addr);
	inet_pton(AF_INET, to, &ip->dst_addr);
	return at + sizeof(*ip);
}

static uint8_t *put_ipv6(uint8_t *at, uint8_t next, unsigned payload, const char *to)
{
	struct rte_ipv6_hdr *ip = (void *)at;
	*ip = (struct rte_ipv6_hdr){.vtc_flow = htonl(6u << 28),
				    .payload_len = htons(payload),
				    .proto = next,
				    .hop_limits = 64};
	inet_pton(AF_INET6, "2001:db8:c::", ip->src_addr);
	inet_pton(AF_INET6, to, ip->dst_addr);
	return at + sizeof(*ip);
}

static void put_tcp(uint8_t *at, uint8_t flags)
{
	struct rte_tcp_hdr *tcp = (void *)at;
	*tcp = (struct rte_tcp_hdr){.dst_port = htons(80), .data_off = 0x50, .tcp_flags = flags};
}

static void put_udp(uint8_t *at, uint16_t port, unsigned bytes)
{
	struct rte_udp_hdr *udp = (void *)at;
	*udp = (struct rte_udp_hdr){
		.src_port = htons(port), .dst_port = htons(port), .dgram_len = htons(bytes)};
}

static void template_build(struct source *source, uint16_t port)
{
	uint8_t *eth = source->packet, *l3 = eth + RTE_ETHER_HDR_LEN, *l4 = l3;
	unsigned l3_bytes = PACKET_BYTES - RTE_ETHER_HDR_LEN;
	uint8_t flags = state.flows ? RTE_TCP_ACK_FLAG : RTE_TCP_SYN_FLAG;

	state.bytes = PACKET_BYTES;
	switch (state.kind) {
	case IPV4_TCP:
		put_ethernet(eth, RTE_ETHER_TYPE_IPV4);
		l4 = put_ipv4(l3, IPPROTO_TCP, l3_bytes, "192.0.2.80");
		put_tcp(l4, flags);
		break;
	case IPV6_TCP:
		state.bytes = 14 + 40 + 20;
		put_ethernet(eth, RTE_ETHER_TYPE_IPV6);
		l4 = put_ipv6(l3, IPPROTO_TCP, 20, "2001:db8:80::80");
		put_tcp(l4, flags);
		break;
	case SRV6_IPV4:
		state.bytes = TUNNEL_BYTES;
		put_ethernet(eth, RTE_ETHER_TYPE_IPV6);
		l3 = put_ipv6(l3, IPPROTO_IPIP, l3_bytes, "fc00:c:0:46::1");
		l4 = put_ipv4(l3, IPPROTO_TCP, l3_bytes, "192.0.2.80");
		put_tcp(l4, flags);
		break;
	case IPV4_UDP:
		put_ethernet(eth, RTE_ETHER_TYPE_IPV4);
		l4 = put_ipv4(l3, IPPROTO_UDP, l3_bytes, "192.0.2.80");
		put_udp(l4, 80, l3_bytes - 20);
		break;
	case L3FWD: /* the port's own entry in its tables: 198.18.PORT.0 -> 198.18.PORT.1, ports 9
		     */
		put_ethernet(eth, RTE_ETHER_TYPE_IPV4);
		l4 = put_ipv4(l3, IPPROTO_UDP, l3_bytes, "198.18.0.1");
		put_udp(l4, 9, l3_bytes - 20);
		l3[18] = port;
		break;
	}
	source->first_address = state.kind == L3FWD ? 198u << 24 | 18 << 16 | port << 8 : 10u << 24;
	source->sum = sum_without_source(l3);
	state.first_port = state.kind == L3FWD ? 9 : 1024;
	state.address = l3 - eth + (state.kind == IPV6_TCP ? 20 : 12);
	state.l4 = l4 - eth;
}

/* --- each packet --- */

static inline uint32_t next_flow(struct source *source)
{
	if (state.flows == 0)
		return source->next++;
	if (source->next < state.warm)
		return source->first + source->next++ % state.flows;
	source->random ^= source->random << 13;
	source->random ^= source->random >> 7;
	source->random ^= source->random << 17;
	return source->first + ((uint64_t)(uint32_t)source->random * state.flows >> 32);
}

/* The same work for every kind, so that its cost is the same for all programs. */
static inline void fill(struct source *source, uint8_t *data)
{
	uint32_t flow = next_flow(source), address = flow >> 15;
	uint16_t port = htons(state.first_port + (flow & 0x7fff));

	rte_memcpy(data, source->packet, PACKET_BYTES);
	if (unlikely(state.bytes > PACKET_BYTES))
		rte_memcpy(data + PACKET_BYTES, source->packet + PACKET_BYTES,
			   state.bytes - PACKET_BYTES);
	memcpy(data + state.l4, &port, sizeof(port));
	if (state.kind == IPV6_TCP) {
		address = htonl(address);
		memcpy(data + state.address, &address, sizeof(address));
	} else {
		set_ipv4(data + state.address - 12, source->first_address + address, source->sum);
	}
}

/* Of the packets that are there only those stay that have come by now. */
static uint16_t keep_due(struct source *source, struct rte_mbuf **m, uint16_t n, uint64_t *when)
{
	unsigned due = arrivals_due(&source->arrivals, rte_rdtsc(), when, RTE_MIN(n, BURST_MAX));

	rte_pktmbuf_free_bulk(m + due, n - due);
	return due;
}

static uint16_t on_transmit(uint16_t port, uint16_t queue, struct rte_mbuf **m, uint16_t n,
			    void *context)
{
	struct source *source = context;
	struct delays *delays = __atomic_load_n(&source->delays, __ATOMIC_RELAXED);
	uint64_t now = rte_rdtsc(), came;

	(void)port;
	(void)queue;
	for (uint16_t i = 0; i < n && delays; i++) {
		memcpy(&came, rte_pktmbuf_mtod(m[i], uint8_t *) + m[i]->data_len - STAMP_BYTES,
		       STAMP_BYTES);
		delays_add(delays, now > came ? now - came : 0);
	}
	return n;
}

static void tell_total(void)
{
	const char *path = getenv("SOURCE_TOTAL");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (file) {
		fprintf(file, "%llu\n", (unsigned long long)source_packets());
		fclose(file);
	}
}

static uint16_t on_receive(uint16_t port, uint16_t queue, struct rte_mbuf **m, uint16_t n,
			   uint16_t max, void *context)
{
	struct source *source = context;

	(void)port;
	(void)queue;
	(void)max;
	uint64_t when[BURST_MAX];

	if (state.loads)
		n = keep_due(source, m, n, when);
	for (uint16_t i = 0; i < n; i++) {
		m[i]->data_len = m[i]->pkt_len = state.bytes;
		fill(source, rte_pktmbuf_mtod(m[i], uint8_t *));
		if (state.loads)
			memcpy(rte_pktmbuf_mtod(m[i], uint8_t *) + state.bytes - STAMP_BYTES,
			       &when[i], STAMP_BYTES);
	}
	__atomic_store_n(&source->packets, source->packets + n, __ATOMIC_RELAXED);
	if (state.limit && source_packets() >= state.limit) {
		/* here and not in the timer: the same instructions however slow the machine is */
		tell_total();
		_exit(0);
	}
	return n;
}

/* --- timing --- */

/* Packets a second over that time. */
static double rate_over(double seconds)
{
	uint64_t packets = source_packets(), ticks = rte_rdtsc();

	usleep(seconds * 1e6);
	packets = source_packets() - packets;
	return packets * (double)rte_get_tsc_hz() / (rte_rdtsc() - ticks);
}

static void all_queues(double per_s, struct delays *delays)
{
	unsigned i = 0;

	for (unsigned p = 0; p < PORTS_MAX; p++)
		for (unsigned q = 0; q < QUEUES_MAX; q++) {
			struct source *source = &state.source[p][q];
			if (!source->in_use)
				continue;
			arrivals_rate(&source->arrivals, per_s / state.queues);
			__atomic_store_n(&source->delays, delays ? &delays[i++] : NULL,
					 __ATOMIC_RELAXED);
		}
}

static uint64_t all_lost(void)
{
	uint64_t sum = 0;

	for (unsigned p = 0; p < PORTS_MAX; p++)
		for (unsigned q = 0; q < QUEUES_MAX; q++)
			sum += __atomic_load_n(&state.source[p][q].arrivals.lost, __ATOMIC_RELAXED);
	return sum;
}

/* Capacity, then for each load: see source.h. */
static void tell_delays(void)
{
	double capacity;

	all_queues(0, NULL);
	usleep(100000);
	capacity = rate_over(state.seconds);
	for (const char *load = state.loads; load;
	     load = strchr(load, ',') ? strchr(load, ',') + 1 : NULL) {
		struct delays *delays = calloc(state.queues, sizeof(*delays));
		uint64_t lost;
		double pps;

		if (!delays)
			_exit(1);
		all_queues(capacity * atoi(load) / 100, NULL);
		usleep(50000);
		all_queues(capacity * atoi(load) / 100, delays);
		lost = all_lost();
		pps = rate_over(state.seconds);
		lost = all_lost() - lost;
		all_queues(0, NULL);
		usleep(1000); /* who had it still is done */
		dprintf(state.fd, "%d %.2f %.0f %.0f %.0f %.0f %.3f\n", atoi(load), pps / 1e6,
			delays_mean(delays, state.queues),
			delays_quantile(delays, state.queues, 0.5),
			delays_quantile(delays, state.queues, 0.99),
			delays_quantile(delays, state.queues, 0.999),
			100 * lost / (lost + pps * state.seconds));
		free(delays);
	}
}

/* For who counts something else per packet than time: all packets since the start. */
static void *timer(void *unused)
{
	uint64_t warm = state.warm;

	(void)unused;
	while (source_packets() < RTE_MAX(1u, 2 * warm * state.workers))
		usleep(10000);
	usleep(200000);
	for (unsigned i = 0; i < state.rounds; i++) {
		if (state.loads)
			tell_delays();
		else
			dprintf(state.fd, "%.2f\n", 1e9 / rate_over(state.seconds));
	}
	if (source_lost)
		dprintf(state.fd, "lost %llu\n", (unsigned long long)source_lost());
	tell_total();
	_exit(0);
}

static void setup(void)
{
	static pthread_t thread;
	const char *seconds = getenv("SOURCE_SECONDS");

	state.kind = kind_of(getenv("SOURCE_PACKET"));
	state.workers = environment("SOURCE_WORKERS", 1);
	state.flows = environment("SOURCE_FLOWS", 1) / state.workers;
	state.warm = environment("SOURCE_WARM", 0) / state.workers;
	state.limit = environment("SOURCE_LIMIT", 0);
	state.rounds = environment("SOURCE_ROUNDS", 1);
	state.fd = environment("SOURCE_FD", 1);
	state.seconds = seconds ? atof(seconds) : 1;
	state.loads = getenv("SOURCE_LOADS");
	arrivals_init();
	pthread_create(&thread, NULL, timer, NULL);
}

/* In place of DPDK's: the real one, then our callback on every queue of the port. */
int rte_eth_dev_start(uint16_t port)
{
	int (*start)(uint16_t) = (int (*)(uint16_t))dlsym(RTLD_NEXT, "rte_eth_dev_start");
	struct rte_eth_dev_info info;
	int ret;

	if (!start || port >= PORTS_MAX || rte_eth_dev_info_get(port, &info) < 0 ||
	    info.nb_rx_queues > QUEUES_MAX)
		return -1;
	if (port == 0)
		setup();
	for (uint16_t q = 0; q < info.nb_rx_queues; q++) {
		struct source *source = &state.source[port][q];
		template_build(source, port);
		source->random = 88172645463325252ull + 7919 * (port * QUEUES_MAX + q);
		source->first = q / SOURCE_QUEUES_APART * state.flows;
		source->next = state.flows ? 0 : (port * QUEUES_MAX + q) << 28;
		source->in_use = q % SOURCE_QUEUES_APART == 0;
		state.queues += source->in_use;
		if (!rte_eth_add_rx_callback(port, q, on_receive, source) ||
		    (state.loads && !rte_eth_add_tx_callback(port, q, on_transmit, source)))
			return -1;
	}
	ret = start(port);
	return ret;
}
