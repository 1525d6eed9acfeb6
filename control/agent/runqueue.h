/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the threads of a service wait for a CPU each time that they could run: the scheduler
 * keeps it for every thread (/proc/PID/task/TID/schedstat: time on a CPU, time waiting for one,
 * both in ns, and how often), so nothing has to be attached to its wake-ups and switches.
 *
 * The processes are those that hold the listening socket.
 */
#pragma once

#include <stdint.h>

#define RUNQUEUE_PROCESSES_MAX 64

struct runqueue {
	uint32_t inode; /* of the listening socket; 0: none */
	int pid[RUNQUEUE_PROCESSES_MAX];
	unsigned pids;
	uint64_t found_ns, find_ns, from_ns; /* when, and what it took in CPU time */
	uint64_t waited_ns, turns;
	double wait_s; /* mean, over the last whole second; negative: unknown */
};

/* Renews at most once a second, and looks for the processes twice a minute, on
 * hosts where that is dear less often. */
void runqueue_sample(struct runqueue *runqueue, uint32_t inode, uint64_t now_ns);
