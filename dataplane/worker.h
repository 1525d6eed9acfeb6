/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path, one worker per core:
 *
 *	rx -> parse (decapsulate) -> classify -> pin or choose -> encapsulate -> tx
 *
 * on bursts, each stage a function over the whole burst. A worker never waits for another thread,
 *takes no lock and allocates nothing; every packet ends in one verdict. With nothing to do for a
 *while it sleeps on the ports' sockets.
 */
#pragma once

#include "decap.h"
#include "pin.h"
#include "port.h"
#include "routes.h"

#define WORKER_BURST 32
#define WORKER_PORTS_MAX 32 /* DPDK port ids below this */

/* main: rw, workers: ro */
struct worker_clock {
	uint32_t now_s; /* boot time; renewed once a second */
	bool stop;
};

struct worker {
	const struct routes *routes;
	const struct decap_sids *sids;
	const struct ports *ports;
	const struct worker_clock *clock;
	struct sl_worker_counters *counters;
	struct pin_table pins;
	struct pin_secret secret;
	unsigned index; /* queue of each port, RCU thread id */
	int sleep_fd;	/* epoll over the ports' sockets and main's wake-up; -1: busy poll */
};

/* The loop; returns once clock->stop is set. `worker` is a struct worker. */
int worker_run(void *worker);

/* Where does this flow go? Reads only; for the trace in another thread. */
struct worker_way {
	const struct service *service; /* NULL: none */
	uint64_t hash;
	uint16_t member; /* PIN_MEMBER_NONE: no candidate */
	bool pinned;
	uint32_t age_s;
};
struct worker_way worker_way(const struct worker *worker, const struct flow_key *key);
