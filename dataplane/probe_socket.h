/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets of prober.c: frames of probes out by packet sockets, answers in by UDP sockets.
 */
#pragma once

#include "encap.h"
#include "stamp.h"
#include <netinet/in.h>
#include <sys/socket.h>

/* A probe, and the headers around it. */
struct probe_frame {
	struct in6_addr source, reflector;
	uint16_t source_port; /* host order */
	const struct stamp_key *key;
	struct stamp_probe probe;
	const struct encap *encap; /* of the way; not used by probe_socket_send */
};

#define PROBE_PACKET_BYTES (40 + 8 + STAMP_AUTHENTICATED_BYTES)
#define PROBE_FRAME_BYTES (ENCAP_BYTES + PROBE_PACKET_BYTES)

/*
 * The whole frame; it ends where `out` ends. Returns where it begins. Pure: the flow label depends
 * on the path alone, so that all its probes take the same of equal paths.
 */
uint8_t *probe_frame_write(uint8_t out[PROBE_FRAME_BYTES], const struct probe_frame *frame,
			   unsigned *bytes);

#define PROBE_BATCH 8
struct probe_batch {
	int fd; /* probe_packets_open */
	unsigned n;
	int ifindex[PROBE_BATCH];
	uint8_t *at[PROBE_BATCH];
	unsigned bytes[PROBE_BATCH];
	uint8_t room[PROBE_BATCH][PROBE_FRAME_BYTES];
};

/* Sends when it is full; probe_batch_send the rest. What cannot be sent is lost, as on the way. */
void probe_batch_add(struct probe_batch *batch, const struct probe_frame *frame, int ifindex);
void probe_batch_send(struct probe_batch *batch);

int probe_packets_open(void); /* -errno */

/* Bound to the address and any port, which is returned; -errno. */
int probe_socket_open(const struct in6_addr *address, uint16_t *port);

/* The probe alone, as the kernel routes it. */
void probe_socket_send(int fd, const struct probe_frame *frame);

struct probe_arrival {
	const uint8_t *data;
	size_t bytes;
	struct in6_addr from;
	int64_t unix_ns; /* by the kernel, at the interface */
	uint64_t at_ns;	 /* the same by CLOCK_MONOTONIC */
};

typedef void probe_take(void *context, unsigned socket, const struct probe_arrival *arrival);

/* All that has come in from port 862. */
void probe_socket_receive(int fd, unsigned socket, probe_take *take, void *context);
