/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What our BPF programs (bpf/kernel.bpf.c) count of the TCP connections to the services' ports,
 * in the network namespace that the caller is in. The kernel itself times every connection, so
 * nothing is lost or guessed between two looks. Called by the agent's loop.
 *
 * Exactly, unless kernel_missed rises:
 *	present == known + arrivals - completions - forgotten
 */
#pragma once

#include "bpf/kernel_map.h"
#include <stdbool.h>
#include <stdint.h>

struct kernel;

struct kernel_service {
	uint16_t port;	  /* 0: not for the kernel to watch */
	uint32_t servers; /* what it can work on at the same time */
};

typedef void kernel_each_flow(void *context, unsigned service, uint64_t cookie);

/*
 * Loads and attaches. -errno, and `why` says what this host or user lacks: BTF, CAP_BPF and
 * CAP_PERFMON, or what the kernel answered. requests: count them within connections too.
 */
int kernel_open(struct kernel **out, const struct kernel_service *service, unsigned services,
		bool requests, char why[160]);
void kernel_close(struct kernel *kernel);

/* Sums over all CPUs. -errno. */
int kernel_read(struct kernel *kernel, unsigned service, struct kernel_counts *out);
int kernel_histogram(struct kernel *kernel, unsigned service, struct kernel_histogram *out);

/* Connections that are open now. */
uint32_t kernel_present(const struct kernel *kernel, unsigned service);

/* Events that the programs did not get to see, since they were loaded. */
uint64_t kernel_missed(const struct kernel *kernel);

/*
 * A connection that was there before us, or whose beginning was missed: its end will count.
 * true: it was not known yet.
 */
bool kernel_know(struct kernel *kernel, unsigned service, uint64_t cookie);

/* The opposite, of one whose end was missed. true: it was known, and its end not counted. */
bool kernel_forget(struct kernel *kernel, unsigned service, uint64_t cookie);

/* Every connection that is known; one may come twice. */
void kernel_each(struct kernel *kernel, kernel_each_flow *each, void *context);
