/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STAMP probes and answers as packets: IPv6, UDP, payload. Pure.
 */
#pragma once

#include "stamp.h"
#include <netinet/in.h>

#define PROBE_PACKET_BYTES (40 + 8 + STAMP_AUTHENTICATED_BYTES)

/* From where to where a probe goes. */
struct probe_packet {
	struct in6_addr source, reflector;
	in_port_t source_port;
	const struct stamp_key *key;
	struct stamp_probe probe;
};

/* Writes it to `ip`; returns how long it is. */
unsigned probe_packet_write(uint8_t ip[PROBE_PACKET_BYTES], const struct probe_packet *packet);

struct probe_answer {
	struct in6_addr from;
	in_port_t port; /* that it came to */
	const uint8_t *data;
	size_t bytes;
};

/*
 * A UDP packet from port 862, without extension headers; false: it is none, or damaged. A sender
 * on this host leaves the checksum to the interface, which a virtual one never computes: then it
 * is the pseudo header's sum.
 */
bool probe_answer_read(const uint8_t *ip, size_t bytes, struct probe_answer *answer);
