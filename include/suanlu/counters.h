/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters of a dataplane in shared memory: RUN_DIR/counters, mapped MAP_SHARED.
 *
 * Identity, true whenever the workers are at rest and tested after every network test:
 *	sum over workers of rx_packets == sum over workers and verdicts of verdict[]
 * The file outlives the dataplane, so that names keep their slots (pins refer to member
 * slots) and counters never run backwards; a new layout version starts a fresh file.
 *
 * Readers map it read-only and ask nobody. Each counter has one writer; 64-bit loads are
 * atomic, so a reader sees each value whole, though not all values of one instant.
 */
#pragma once

#include <stdint.h>
#include <suanlu/route.h>

#define SL_COUNTERS_FILE "counters"
#define SL_COUNTERS_MAGIC 0x756c6e617573ULL /* "suanlu" */
#define SL_COUNTERS_VERSION 1
#define SL_MEMBERS_MAX 65535 /* (service, site) pairs; slot 65535 is never used */
#define SL_WORKERS_MAX 16

/*
 * Every received packet ends in exactly one verdict.
 * X(name, "what happened")
 */
#define SL_VERDICTS(X)                                                                        \
	X(ENCAPSULATED, "encapsulated", "sent to a site in SRv6 or VXLAN")                    \
	X(DELIVERED, "delivered", "sent to an instance on this link")                         \
	X(NOT_IP, "not-ip", "neither IPv4 nor IPv6")                                          \
	X(TRUNCATED, "truncated", "shorter than its headers say")                             \
	X(BAD_HEADER, "bad-header", "a header field is invalid")                              \
	X(BAD_CHECKSUM, "bad-checksum", "wrong IPv4 header checksum")                         \
	X(FRAGMENT, "fragment", "a fragment that cannot be steered")                          \
	X(NOT_TRANSPORT, "not-transport", "neither TCP nor UDP, nor ICMP that concerns us")   \
	X(NO_SERVICE, "no-service", "no service at this address, protocol and port")          \
	X(NO_CANDIDATE, "no-candidate", "no site of the service takes new flows")             \
	X(NO_NEXT_HOP, "no-next-hop", "the kernel has no route or neighbour for the way")     \
	X(TOO_BIG, "too-big", "larger than the outgoing MTU after encapsulation")             \
	X(HOP_LIMIT, "hop-limit", "hop limit or TTL used up")                                 \
	X(NOT_LOCAL, "not-local", "encapsulated, but for no SID or VNI of this node")         \
	X(BAD_SEGMENTS, "bad-segments", "segment routing header invalid (RFC 8754)")          \
	X(TX_FULL, "tx-full", "the port's transmit queue was full")                           \
	X(ICMP_ANSWERED, "icmp-answered", "an echo request, answered")                        \
	X(ICMP_RELAYED, "icmp-relayed", "an ICMP error, to all sites that may have its flow") \
	X(RATE_LIMITED, "rate-limited", "ICMP beyond its rate")                               \
	X(FRAGMENT_LATE, "fragment-late", "a fragment whose first one did not come in time")  \
	X(TO_KERNEL, "to-kernel", "not ours: to the kernel, by the port's tap")               \
	X(KERNEL_FULL, "kernel-full", "not ours, and the kernel has too many waiting")        \
	X(CONGESTED, "congested", "met congestion in the overlay, its sender knows no ECN")   \
	X(PROBE_ANSWERED, "probe-answered", "a STAMP probe, answered")                        \
	X(ADVANCED, "advanced", "sent on to its next segment (End)")                          \
	X(PROBE_TAKEN, "probe-taken", "the answer to a STAMP probe of ours")

enum sl_verdict {
#define X(name, text, what) SL_VERDICT_##name,
	SL_VERDICTS(X)
#undef X
		SL_VERDICT_COUNT
};
#define SL_VERDICT_SLOTS 32
_Static_assert(SL_VERDICT_COUNT <= SL_VERDICT_SLOTS, "verdict slots");

static const struct {
	const char *name, *what;
} sl_verdict_text[SL_VERDICT_COUNT] __attribute__((unused)) = {
#define X(name, text, what) {text, what},
	SL_VERDICTS(X)
#undef X
};

/* main thread of the dataplane: rw, others: ro */
struct sl_service_slot {
	char name[SL_NAME_MAX]; /* "": free */
};

/* main thread of the dataplane: rw, others: ro */
struct sl_member_slot {
	char service[SL_NAME_MAX]; /* "": free */
	char site[SL_NAME_MAX];
};

/* worker: rw, others: ro */
struct sl_member_counters {
	uint64_t new_flows; /* affinity none: datagrams */
	uint64_t packets;
	uint64_t bytes;	       /* of the inner packet */
	uint64_t closed_flows; /* pinned ones, by their first FIN or RST */
};

/* worker: rw, others: ro */
struct sl_worker_counters {
	uint64_t rx_packets, rx_bytes;
	uint64_t tx_packets, tx_bytes;
	uint64_t polls, sleeps;
	uint64_t pins_inserted, pins_evicted; /* evicted: live pins given up for others */
	uint64_t verdict[SL_VERDICT_SLOTS];
	uint64_t rx_missed; /* main: rw; found its ring full, a card's all at worker 0 */
	uint64_t zero[23];
	struct sl_member_counters member[SL_MEMBERS_MAX + 1];
};
_Static_assert(sizeof(struct sl_worker_counters) % 64 == 0, "workers share no cache line");

struct sl_counters {
	/* main thread of the dataplane: rw, others: ro */
	uint64_t magic;
	uint32_t version;
	uint32_t workers;
	uint64_t bytes; /* of the file */
	uint32_t pid;	/* of the dataplane that wrote last */
	uint32_t zero;
	uint64_t started_us;   /* Unix time of its start */
	uint64_t heartbeat_us; /* Unix time, renewed each second */
	uint64_t pin_slots;    /* entries of all pin tables together */
	uint64_t identity; /* of this file, random: who kept slots knows whether they still hold */
	uint64_t generation; /* of the last routes that were swapped in */
	struct sl_service_slot service[SL_SERVICES_MAX];
	struct sl_member_slot member[SL_MEMBERS_MAX + 1];
	_Alignas(64) struct sl_worker_counters worker[]; /* `workers` of them */
};
