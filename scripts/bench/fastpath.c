/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path alone: the workers of suanlu-dataplane, unchanged, between two net_null ports.
 *
 *	fastpath EAL-ARGUMENTS -- CASE PINS WORKERS
 *
 * Packets and timing are source.c's. In place of the kernel, next hops are made up here (there is
 *no link behind net_null); routes come in as the messages that control sends.
 */
#include "dataplane/stats.h"
#include "dataplane/workers.h"
#include "source.h"

#include <arpa/inet.h>
#include <err.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS 2
#define SITES 16
#define CHURN_SERVICES 1000
#define CHURN_PER_S 10000

struct message {
	struct sl_msg_service head;
	struct sl_candidate candidate[SITES];
};

struct bench {
	const char *name;
	struct ports ports;
	struct routes *routes;
	struct pin_file pins;
	struct workers workers;
};

static struct sl_via via(const char *name, unsigned site, bool ipv6)
{
	struct sl_via way = {.kind = SL_VIA_SRV6, .segments = 1};

	if (strcmp(name, "decap-ipv4") == 0)
		way.kind = SL_VIA_L2;
	if (strcmp(name, "vxlan-ipv4") == 0) {
		way.kind = SL_VIA_VXLAN;
		way.vni[2] = 7;
		inet_pton(AF_INET6, "::ffff:10.9.0.0", &way.segment[0]);
		way.segment[0].s6_addr[15] = 1 + site;
		return way;
	}
	inet_pton(AF_INET6, "fc00:a::", &way.segment[0]);
	way.segment[0].s6_addr[5] = site;
	way.segment[0].s6_addr[7] = ipv6 ? 6 : 4;
	return way;
}

static struct message message(const char *name, unsigned service, uint32_t weight)
{
	struct message m = {.head = {.header = {SL_ROUTE_VERSION, SL_MSG_SERVICE, sizeof(m), 1},
				     .port = 80 + service,
				     .protocol = IPPROTO_TCP,
				     .idle_s = 3600,
				     .candidates = SITES,
				     .draws = SL_DRAWS_MAX}};

	snprintf(m.head.service, sizeof(m.head.service), "service%u", service);
	inet_pton(AF_INET, "192.0.2.80", &m.head.ipv4);
	inet_pton(AF_INET6, "2001:db8:80::80", &m.head.ipv6);
	if (strcmp(name, "datagram") == 0) {
		m.head.protocol = IPPROTO_UDP;
		m.head.affinity = SL_AFFINITY_NONE;
	}
	for (unsigned i = 0; i < SITES; i++) {
		snprintf(m.candidate[i].site, sizeof(m.candidate[i].site), "site%u", i);
		m.candidate[i].weight = weight + i;
		m.candidate[i].wait_s = 1e-3f * i;
		m.candidate[i].step_s = 1e-4f;
		m.candidate[i].via[SL_INNER_IPV4] = via(name, i, false);
		m.candidate[i].via[SL_INNER_IPV6] = via(name, i, true);
	}
	return m;
}

/* What nexthop.c does with the kernel's answers, with one that is made up. */
static void resolve(void *context)
{
	static const struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 1}};
	static const struct in6_addr ipv6 = {{{0xfc, 0, 0, 0xe}}};
	static const struct in6_addr ipv4 = {{{[10] = 0xff, 0xff, 10, 9, 1, 1}}};
	struct bench *bench = context;

	for (unsigned i = 1; i < bench->routes->targets; i++) {
		struct target *target = &bench->routes->target[i];
		const struct in6_addr *source = target->via.kind == SL_VIA_VXLAN ? &ipv4 : &ipv6;
		struct encap *encap;
		if (target->next_hop[0])
			continue;
		encap = rte_zmalloc("encap", sizeof(*encap), RTE_CACHE_LINE_SIZE);
		if (!encap ||
		    encap_build(encap, &target->via, target->family, source, &mac, &mac, 9000) < 0)
			errx(1, "a target cannot be built");
		encap->port = i % PORTS;
		strcpy(target->next_hop, "made up");
		routes_set_encap(bench->routes, i, encap);
	}
}

static void nothing(void *context)
{
	(void)context;
}

static void apply(struct bench *bench, const struct message *m)
{
	char field[SL_NAME_MAX];

	if (routes_service(bench->routes, &m->head, sizeof(*m), field) != SL_ACK_DONE)
		errx(1, "route refused: %s", field);
}

static struct sl_counters *counters;

/* All verdicts but the two of packets that went on their way. */
static uint64_t not_forwarded(void)
{
	uint64_t sum = 0;

	for (unsigned w = 0; w < counters->workers; w++)
		for (unsigned v = 0; v < SL_VERDICT_SLOTS; v++)
			if (v != SL_VERDICT_ENCAPSULATED && v != SL_VERDICT_DELIVERED)
				sum += __atomic_load_n(&counters->worker[w].verdict[v],
						       __ATOMIC_RELAXED);
	return sum;
}

static void queues_start(unsigned workers)
{
	for (uint16_t port = 0; port < PORTS; port++) {
		struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];
		if (rte_eth_dev_start(port) < 0)
			errx(1, "port %u does not start", port);
		for (unsigned q = 1; q < workers; q++) {
			ops->rxq.data[q] = ops->rxq.data[q * SOURCE_QUEUES_APART];
			ops->rxq.clbk[q] = ops->rxq.clbk[q * SOURCE_QUEUES_APART];
			ops->txq.data[q] = ops->txq.data[q * SOURCE_QUEUES_APART];
		}
	}
}

static void ports_open(struct bench *bench, unsigned workers)
{
	unsigned queues = (workers - 1) * SOURCE_QUEUES_APART + 1;
	struct rte_eth_conf conf = {0};

	bench->ports.mbufs = rte_pktmbuf_pool_create("mbufs", 8191 * workers, 256, 0,
						     RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!bench->ports.mbufs)
		errx(1, "no packet buffers");
	bench->ports.ports = PORTS;
	bench->ports.workers = workers;
	for (uint16_t port = 0; port < PORTS; port++) {
		bench->ports.port[port].id = port;
		if (rte_eth_dev_configure(port, queues, queues, &conf) < 0)
			errx(1, "port %u", port);
		for (unsigned q = 0; q < queues; q++)
			if (rte_eth_rx_queue_setup(port, q, 1024, SOCKET_ID_ANY, NULL,
						   bench->ports.mbufs) < 0 ||
			    rte_eth_tx_queue_setup(port, q, 1024, SOCKET_ID_ANY, NULL) < 0)
				errx(1, "queue %u", q);
	}
}

static void tables_open(struct bench *bench, const char *run_dir, uint32_t pins, unsigned workers)
{
	struct in6_addr sid;

	counters = stats_open(run_dir, workers);

	if (!counters)
		err(1, "%s", run_dir);
	bench->routes = routes_create(counters, workers);
	if (!bench->routes ||
	    pin_file_open(&bench->pins, run_dir, pins, workers, counters->identity) < 0)
		errx(1, "no memory");
	bench->routes->context = bench;
	bench->routes->targets_changed = resolve;
	bench->routes->services_changed = nothing;
	inet_pton(AF_INET6, "fc00:c:0:46::", &sid);
	decap_add(bench->routes->sids, &sid, 64);
}

/* 10,000 changed weights a second, spread over all services; runs until the timer ends it all. */
static void churn(struct bench *bench)
{
	static struct message m[CHURN_SERVICES];
	uint64_t start = rte_rdtsc(), hz = rte_get_tsc_hz(), done = 0;

	for (unsigned i = 0; i < CHURN_SERVICES; i++)
		m[i] = message(bench->name, i, 1000);
	for (;;) {
		uint64_t due = (rte_rdtsc() - start) * CHURN_PER_S / hz;
		for (; done < due; done++) {
			struct message *next = &m[done % CHURN_SERVICES];
			next->candidate[done % SITES].weight = 1000 + done % 97;
			apply(bench, next);
		}
		usleep(500);
	}
}

int main(int argc, char **argv)
{
	static struct bench bench;
	char run_dir[] = "/dev/shm/suanlu-fastpath-XXXXXX", path[64];
	int used = rte_eal_init(argc, argv);
	uint32_t pins;
	unsigned workers;

	if (used < 0 || argc - used != 4 || !mkdtemp(run_dir))
		errx(1, "usage: fastpath EAL-ARGUMENTS -- CASE PINS WORKERS");
	bench.name = argv[used + 1];
	pins = strtoul(argv[used + 2], NULL, 10);
	workers = strtoul(argv[used + 3], NULL, 10);
	ports_open(&bench, workers);
	tables_open(&bench, run_dir, pins, workers);
	for (unsigned i = 0; i < (strcmp(bench.name, "swap") ? 1 : CHURN_SERVICES); i++) {
		struct message m = message(bench.name, i, 1000);
		apply(&bench, &m);
	}
	/* mapped is enough: nothing is left behind however the timer ends this process */
	snprintf(path, sizeof(path), "%s/" SL_COUNTERS_FILE, run_dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" PIN_FILE, run_dir);
	unlink(path);
	rmdir(run_dir);

	source_lost = not_forwarded;
	queues_start(workers);
	static const struct reflect_rule no_reflector;
	if (workers_start(&bench.workers, &bench.ports, bench.routes, &bench.pins, &no_reflector,
			  NULL, NULL, true) < 0)
		errx(1, "workers");
	if (strcmp(bench.name, "swap") == 0)
		churn(&bench);
	/* not rte_eal_mp_wait_lcore, which spins on a core that a worker may need */
	for (;;)
		pause();
}
