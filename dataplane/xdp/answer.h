/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * What the XDP program and the prober (probes.h) say to each other: a hash map `probe_ends` of
 * where answers to our probes come to, and a ring `probe_answers` of those that came.
 */
#pragma once

#include <linux/types.h>

#define STEER_STAMP_PORT 862
#define STEER_ANSWER_BYTES 256 /* of a packet; STAMP's longest has 160 */

struct steer_probe_end {
	__u8 address[16];
	__be16 port;
	__u16 zero;
};

struct steer_answer {
	__u64 at_ns; /* CLOCK_MONOTONIC */
	__u32 bytes, zero;
	__u8 packet[STEER_ANSWER_BYTES]; /* from its IPv6 header on */
};
