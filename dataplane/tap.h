/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between workers and the taps of ports whose driver owns the card (card.h): what is not ours
 * goes to the kernel, what the kernel sends goes out by the card.
 *
 *	worker -> ring -> our thread -> write(tap)
 *	read(tap) -> our thread -> ring -> worker 0 -> the card
 *
 * A thread of its own, because a write to a tap runs the kernel's receive path: a flood of what is
 * not ours fills the ring, is counted, and costs workers no more than that. Each ring has
 * one writer and one reader. Buffers say by `port` which card they came from or go to.
 */
#pragma once

#include "port.h"
#include <pthread.h>
#include <rte_ring.h>
#include <suanlu/counters.h>

struct taps {
	struct ports *ports;
	uint32_t mask; /* bit p: DPDK port p has a tap */
	unsigned workers;
	struct rte_ring *to_kernel[SL_WORKERS_MAX]; /* of each worker */
	struct rte_ring *to_wire;		    /* worker 0's */
	int wake;				    /* our thread sleeps on it */
	int kick;				    /* worker 0 does; never read, edges count */
	uint32_t asleep;			    /* our thread is, or is about to be */
	bool stop;
	pthread_t thread;
};

/* NULL if no port has a tap. Started before the workers. 0 or -errno, said on stderr. */
int taps_start(struct taps **out, struct ports *ports);
void taps_stop(struct taps *taps);

/* A worker's packet to the kernel; false: too many are waiting, it stays the caller's. */
bool taps_give(struct taps *taps, unsigned worker, struct rte_mbuf *mbuf);
