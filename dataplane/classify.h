/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which service is this packet for? Exact match on (destination, protocol, port).
 *
 * The table is built once and never changed: adding or removing a service builds a
 * new one (main thread), workers get it by pointer under RCU. Weights do not live here.
 */
#pragma once

#include "parse.h"

struct classify; /* open addressing, at most half full */

struct classify_entry {
	uint8_t address[16]; /* as in struct flow_key */
	rte_be16_t port;
	uint8_t protocol;
	uint8_t family;
	uint16_t service; /* slot */
};

#define CLASSIFY_NONE UINT16_MAX

/* NULL: out of memory, or two entries with equal keys. Freed by free(). */
struct classify *classify_build(const struct classify_entry *entry, unsigned entries);

/* The service's slot or CLASSIFY_NONE. Never writes, no bound needed on the caller's side. */
uint16_t classify_lookup(const struct classify *table, const struct flow_key *key);
