/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STAMP reflector on packets as a worker decapsulates them (reflector.h). Pure.
 */
#pragma once

#include "icmp.h"
#include "reflector.h"

/*
 * Answers a whole packet of IPv6 and UDP whose UDP header is at ip + l4: writes a frame
 * back to where the probe's came from, and returns its length, 0: no answer. The checksum is
 * verified; extension headers are not repeated.
 */
unsigned reflect_frame(struct reflector *reflector, const struct reflect_rule *rule, uint8_t *out,
		       unsigned room, const struct icmp_received *probe, unsigned l4,
		       int64_t received_ns);
