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

/*
 * A service, one cache line: between two events of it the kernel has done so much else that all
 * has left the first cache. Present: corrections + arrivals - completions.
 */
struct kernel_watched {
	/* agent: w before load, kernel: ro */
	__u32 net; /* inode number of the network namespace to watch */
	__u32 servers;
	/* kernel: rw, atomically */
	__s64 arrivals, completions;
	/* agent: rw, kernel: ro */
	__s64 corrections;
	__s64 above, below; /* with more, or fewer, present the agent wants to be woken */
	__u32 untimed;	    /* those whose number, mixed, has none of these bits are timed */
	__u32 noted;	    /* events are to be noted */
} __attribute__((aligned(64)));

struct kernel_filter {
	struct kernel_watched service[KERNEL_SERVICES_MAX];
	__u8 service_of[1 << 16]; /* agent: w before load. Local port -> service + 1, 0: not ours */
	__u32 woken;		  /* kernel: sets it, agent: clears it */
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
	__u32 count; /* kernel: rw, atomically; more than KERNEL_NOTES: the last are lost */
	struct kernel_note note[KERNEL_NOTES];
};

/* Of a socket that was read from, if requests are counted. kernel: rw */
struct kernel_read {
	__u32 any, written; /* write_seq at the last read */
};

/* Per CPU, totals. kernel: w, agent: ro */
struct kernel_counts {
	__u64 arrivals, completions; /* here 0: struct kernel_watched has them */
	__u64 sojourns;		     /* completions of those that were timed */
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
