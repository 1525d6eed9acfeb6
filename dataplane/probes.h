/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures paths: worker 0 sends STAMP probes by the ways of data, in the same headers, takes the
 * answers, and judges (path.h). Which paths there are, and what becomes of flows when one dies, is
 * the main thread's (prober.h).
 *
 *	a turn, when it is due:	answers that came -> path_answer
 *				the next paths' probes -> the ports
 *				path_judge; main is woken if a state changed
 *
 * Answers need nobody to wake up for them, as their time is kept with them: the XDP program puts
 * them into a ring (xdp/answer.h); where a driver owns the card, or through the overlay, the worker
 * that receives one keeps it until the next turn.
 */
#pragma once

#include "path.h"
#include "port.h"
#include "reflector.h"
#include "routes.h"

#include <bpf/libbpf.h>
#include <rte_ring.h>

#define PROBES_PORTS 8 /* UDP ports: paths to one reflector differ by them, if it knows no ids */

struct probe_session {
	uint16_t target[SL_INNER_FAMILIES]; /* ways of the path, 0: none; main: rw, worker 0: ro */
	uint8_t port;			    /* index in probes.port[] */
	/* main only */
	bool named;		  /* since the last HELLO */
	enum sl_path_state shown; /* what its ways are by now */
	struct path path;	  /* worker 0: rw; what it needs most comes first */
};

struct probes {
	/* fixed while workers run */
	const struct reflect_rule *rule; /* key and clock serve for both ends */
	const struct routes *routes;
	struct rte_mempool *mbufs;
	struct sl_worker_counters *counters; /* worker 0's */
	struct sl_paths *shared;
	struct path_rule path_rule;
	uint64_t interval_ns;
	in_port_t port[PROBES_PORTS];
	struct ring_buffer *steered; /* answers from the XDP programs; NULL: none has one */
	struct rte_ring *received;   /* packets that are answers, from any worker */
	int kick;		     /* worker 0 sleeps on it; never read, edges count */
	int changed;		     /* main does: a state is not what is shown */
	/* main: rw, worker 0: ro */
	struct probe_session *session[SL_PATHS_MAX];
	unsigned slots; /* of session[], used ones and holes */
	/* both: the TSC of the next turn */
	uint64_t due_tsc;
	/* worker 0 only */
	unsigned next_slot; /* whose turn it is to be probed */
	uint64_t send_ns;   /* when; 0: there is no path */
	uint64_t judge_ns;  /* no path's state changes sooner */
	uint64_t since_ns;  /* we probe without a pause since then */
};

static inline bool probes_due(const struct probes *probes, uint64_t tsc)
{
	return tsc >= __atomic_load_n(&probes->due_tsc, __ATOMIC_RELAXED);
}

/* Worker 0. */
void probes_turn(struct probes *probes);

/* Any worker: true if the IPv6 packet at l3 is an answer of ours, which is not the caller's then.
 */
bool probes_take(struct probes *probes, struct rte_mbuf *mbuf, uint8_t *l3, uint16_t bytes);

/* Main: there is a turn to be had now. */
void probes_stir(struct probes *probes);

/* Main, before the workers start and after the ports' end; -errno, said on stderr. */
int probes_open(struct probes *probes, const struct ports *ports);
void probes_close(struct probes *probes);
