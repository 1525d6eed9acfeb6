/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ports that packets come in by and leave by: AF_XDP on interfaces which stay the kernel's,
 * with our XDP program taking only what is ours, and cards (card.h). Main thread, at start and
 * stop.
 */
#pragma once

#include "netlink.h"

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <suanlu/config.h>
#include <suanlu/counters.h>

#define PORT_NONE UINT16_MAX

enum { STEER_IPV4, STEER_IPV6, STEER_VXLAN, STEER_MAPS }; /* xdp/steer.bpf.c */

struct port {
	char name[16];
	int ifindex;
	const char *device;	       /* of a card that its driver owns (card.h); NULL: AF_XDP */
	int tap;		       /* the kernel's side of it, else -1 */
	bool link_watched;	       /* its driver tells when its link changes */
	int socket[SL_WORKERS_MAX];    /* of each queue, to sleep on; -1: none */
	uint16_t id;		       /* DPDK port */
	struct netlink_link link;      /* as the kernel sees it; owner: nexthop.c */
	int steer[STEER_MAPS];	       /* maps of the XDP program on this interface */
	int probe_ends, probe_answers; /* the same for answers to probes (xdp/answer.h) */
	int left[STEER_MAPS];	       /* the same of a killed run's program, -1: none */
	bool leftover;		       /* that program is still attached */
	int claim;		       /* abstract socket: one dataplane per interface */
};

struct ports {
	unsigned ports;
	unsigned workers; /* queues of each port */
	struct port port[SL_PORTS_MAX];
	uint64_t missed[SL_WORKERS_MAX]; /* of each worker, at the last ports_missed */
	uint32_t taps;			 /* bit p: DPDK port p has a tap */
	struct rte_mempool *mbufs;	 /* of AF_XDP ports, and for copies */
	struct rte_mempool *frames;	 /* of cards; the same if there are only cards */
};

/*
 * Before EAL starts: interfaces exist, have a queue for each worker, are ours alone. What a killed
 * dataplane left on them goes on dropping our packets until the new program takes its place, with
 * the same addresses: in the kernel's hands they would be answered by whoever it routes them to.
 * Errors are said on stderr. 0 or -errno.
 */
int ports_claim(struct ports *ports, const struct config_dataplane *config);

/* EAL's argument for a port; `program` is the path of the XDP object. Bytes as snprintf. */
int port_argument(const struct port *port, unsigned workers, const char *program, char *out,
		  size_t bytes);
bool port_is_pci(const struct port *port);

/* After EAL started: configures and starts every port. 0 or -errno. */
int ports_start(struct ports *ports);

/* Once a second. ports_missed: since the last call, packets for a worker that its queues had no
 * room for. */
void ports_tick(const struct ports *ports);
uint64_t ports_missed(struct ports *ports, unsigned worker);
void ports_stop(struct ports *ports);

/* NULL if the interface is not one of ours. */
const struct port *ports_by_ifindex(const struct ports *ports, int ifindex);

/* Can workers sleep until packets come? Not if a port has nothing to sleep on. */
bool ports_can_sleep(const struct ports *ports);
