/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What our BPF programs (bpf/kernel.bpf.c) count of the TCP connections to the services' ports,
 * in the network namespace that the caller is in. The kernel itself sees every connection come
 * and go, so nothing is lost or guessed between two looks. Called by the agent's loop.
 *
 * Exactly, unless kernel_missed rises:
 *	present == corrections + arrivals - completions
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

/* Of so many connections a second about 2,500 are timed; all are counted. */
void kernel_time(struct kernel *kernel, unsigned service, double per_s);

/*
 * Readable, to be polled, once a service has more connections than `above`, or fewer than `below`;
 * then not again before kernel_wake_again, which makes it unreadable. Nobody is woken before
 * its first call.
 */
int kernel_wake_fd(const struct kernel *kernel);
void kernel_wake_at(struct kernel *kernel, unsigned service, int64_t above, int64_t below);
void kernel_wake_again(struct kernel *kernel);

/* Events that the programs did not get to see, since they were loaded. */
uint64_t kernel_missed(const struct kernel *kernel);

/*
 * To compare with a dump: from kernel_note on every connection that comes or goes is noted,
 * in order, until kernel_noted. -ENOBUFS: there were too many, the last are not noted. The
 * notes are good until the next kernel_note.
 */
struct kernel_noted {
	const struct kernel_note *note;
	unsigned notes;
	int64_t present[KERNEL_SERVICES_MAX]; /* just after the last of them */
};

void kernel_note(struct kernel *kernel);
int kernel_noted(struct kernel *kernel, struct kernel_noted *out);

/* For connections that were there before us, and events that were missed. */
void kernel_correct(struct kernel *kernel, unsigned service, int64_t by);
