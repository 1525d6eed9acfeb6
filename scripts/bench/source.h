/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets of the fast-path benchmark: fills what net_null receives, the same way for our worker
 * and for the programs that it is compared with (there it is preloaded), and times how many
 * the program under test takes.
 *
 * Set up by environment variables, read when the first port starts:
 *	SOURCE_PACKET   ipv4-tcp | ipv4-udp | ipv6-tcp | srv6-ipv4 | l3fwd
 *	SOURCE_FLOWS    how many flows, drawn at random for each packet; 0: each packet a new one
 *	SOURCE_WORKERS  each has an equal part of the flows, as a card's RSS would share them out
 *	SOURCE_WARM     packets per queue that name the flows one after the other, before timing
 *	SOURCE_LIMIT    packets after which the process ends, whatever the time; 0: none
 *	SOURCE_SECONDS  how long to time, per round
 *	SOURCE_ROUNDS   how often
 *	SOURCE_LOADS    "50,80": packets come by chance, in percent of what the program can take
 *	SOURCE_TOTAL    a file to write the number of all packets to at the end
 *
 * After the last round a line per round "ns_per_packet" has gone to descriptor SOURCE_FD and the
 * process ends; with SOURCE_LOADS per round and load "percent Mpps mean p50 p99 p99.9 lost", the
 * delays in ns from a packet's coming to its sending, the lost in percent. Where source_lost is
 * set, a last line "lost N" says what it returned.
 */
#pragma once

#include <stdint.h>

/*
 * net_null keeps what a queue counts (by atomic additions) in a line with its neighbours' pointers,
 * which no network card does. So worker i has queue i times this.
 */
#define SOURCE_QUEUES_APART 4

/* All packets handed out so far, all queues together. */
uint64_t source_packets(void);

/* Set by a program that knows it: how many packets it did not forward. */
extern uint64_t (*source_lost)(void);
