/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * What kernel.bpf.c and kernel.c share: the maps' values.
 *
 * Times are log-linear: below 16 us one bucket per microsecond, above 16 per power of two, so
 * that a bucket is at most 1/16 (6 %) wide; the last one holds all from 2^36 us (19 hours) on.
 */
#pragma once

#include <linux/types.h>

#define KERNEL_SERVICES_MAX 64
#define KERNEL_TIMED 65536 /* a power of two; 1 MiB */
#define KERNEL_NOTES 8192
#define HISTOGRAM_BUCKETS 528

struct kernel_filter {
	/* agent: w before load, kernel: ro */
	__u32 net;		  /* inode number of the network namespace to watch */
	__u8 service_of[1 << 16]; /* local port -> service + 1, 0: not ours */
	__u32 servers[KERNEL_SERVICES_MAX];
	/* both: rw, atomically. Connections that are open. */
	__s64 present[KERNEL_SERVICES_MAX];
	/* agent: w, kernel: ro. With more of them, or with fewer, the agent wants to be woken. */
	__s64 above[KERNEL_SERVICES_MAX], below[KERNEL_SERVICES_MAX];
	/* agent: w, kernel: ro. Those with none of these bits in their cookie are timed. */
	__u32 untimed[KERNEL_SERVICES_MAX];
	__u32 woken; /* kernel: sets it, agent: clears it */
};

/* A connection being timed, at its cookie modulo the number of places. kernel: rw */
struct kernel_timed {
	__u64 cookie; /* 0: free */
	__u64 from_us : 63;
	__u64 waited : 1; /* there were as many others as servers when it came */
};

/* A connection that came or went while the agent compares with a dump. */
struct kernel_note {
	__u64 cookie;
	__u32 service, ended;
};

struct kernel_notes {
	__u32 wanted; /* agent: w, kernel: ro */
	__u32 count;  /* kernel: rw, atomically; more than KERNEL_NOTES: the last are lost */
	struct kernel_note note[KERNEL_NOTES];
};

/* Of a socket that was read from, if requests are counted. kernel: rw */
struct kernel_read {
	__u32 any, written; /* write_seq at the last read */
};

/* Per CPU, totals. kernel: w, agent: ro */
struct kernel_counts {
	__u64 arrivals, completions;
	__u64 sojourns; /* completions of those that were timed */
	__u64 sojourn_us;
	__u64 alone; /* those of them that found a free server: sojourn is service */
	__u64 alone_us, alone_us2;
	__u64 requests; /* first reads, and those that follow a write */
};

struct kernel_histogram {
	__u64 bucket[HISTOGRAM_BUCKETS]; /* sojourn times */
};

static inline __u32 histogram_bucket(__u64 us)
{
	__u32 log2 = 0;

	if (us < 16)
		return (__u32)us;
	if (us >> 36)
		return HISTOGRAM_BUCKETS - 1;
	if (us >> 32)
		log2 += 32;
	if (us >> log2 >> 16)
		log2 += 16;
	if (us >> log2 >> 8)
		log2 += 8;
	if (us >> log2 >> 4)
		log2 += 4;
	if (us >> log2 >> 2)
		log2 += 2;
	if (us >> log2 >> 1)
		log2 += 1;
	return (log2 - 3) * 16 + (__u32)(us >> (log2 - 4) & 15);
}
