/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path, one worker per core:
 *
 *	rx -> parse (decapsulate) -> classify -> pin or choose -> encapsulate -> tx
 *
 * on bursts, each stage a function over the whole burst. A worker never waits for another thread,
 * takes no lock and allocates nothing; every packet ends in one verdict. With nothing to do for a
 * while it sleeps on the ports' sockets. Packets that are not simply forwarded (ICMP, fragments,
 * what does not fit) go out of line, and may take buffers for copies.
 */
#pragma once

#include "decap.h"
#include "fragment.h"
#include "header.h"
#include "icmp.h"
#include "pin.h"
#include "port.h"
#include "probes.h"
#include "reflect_frame.h"
#include "routes.h"
#include "tap.h"

#define WORKER_BURST 64
#define WORKER_PORTS_MAX 32 /* DPDK port ids below this */

/* main: rw, workers: ro */
struct worker_clock {
	uint32_t now_s; /* boot time; renewed once a second */
	bool stop;
};

/* Of a worker too: what packets need that are not simply forwarded (worker_rare.h). */
struct rare {
	struct burst *burst;	     /* under way; here, so that stages need not hand it on */
	struct icmp_limiter errors;  /* that we send */
	struct icmp_limiter pinned;  /* errors that go to the site of their flow */
	struct icmp_limiter relayed; /* errors that go to all sites */
	struct icmp_limiter echo;
	struct icmp_limiter probes;
	struct probes *measured; /* NULL: nothing is */
	const struct reflect_rule *reflect;
	struct reflector reflector;
	struct taps *taps; /* NULL: no port has one */
	struct fragments fragments;
	/* a segment that the worker does not know the way to: worker: rw, main: ro but for `wants`
	 */
	struct in6_addr wanted;
	bool wants;
	int wants_fd; /* main's eventfd */
};

/* Written by its worker alone once that runs; aligned, so that workers share no cache line. */
struct worker {
	_Alignas(64) const struct routes *routes;
	struct sl_worker_counters *counters;
	struct pin_table pins;
	const struct worker_clock *clock;
	const struct ports *ports;
	struct pin_secret secret;
	uint64_t random; /* state of the draws for affinity none, never 0 */
	unsigned index;	 /* queue of each port, RCU thread id, place in the array of all */
	unsigned others; /* workers besides this one */
	int sleep_fd;	 /* epoll over its queues' sockets and main's wake-up; -1: busy poll */
	struct probes *probes;	      /* worker 0's: its turns; NULL: none */
	struct rte_ring *from_kernel; /* what it is to send for the taps; NULL: nothing */
	struct rare *rare;
};

/* Where does a flow go? */
struct worker_way {
	const struct service *service; /* NULL: none */
	const struct choose_set *set;  /* of its choice, as it stands now */
	uint64_t hash;
	uint16_t member; /* PIN_MEMBER_NONE: no candidate */
	bool pinned;
	uint32_t age_s;
};

/* worker.c as compiled for some CPUs; all forms decide alike. */
struct worker_form {
	const char *name;
	int (*run)(void *worker); /* the loop; returns once clock->stop is set */
	struct worker_way (*way)(const struct worker *worker, const struct flow_key *key);
};
extern const struct worker_form worker_form_portable, worker_form_v2, worker_form_v3,
	worker_form_v4;

/* The best form for this CPU, or the one that SUANLU_FORM in the environment names. */
const struct worker_form *worker_form(void);

/* Reads only; for the trace in another thread. */
struct worker_way worker_way(const struct worker *worker, const struct flow_key *key);
