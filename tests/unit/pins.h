/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the pin table share. */
#pragma once

#include "dataplane/pin.h"
#include "form.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define IDLE 100

static uint64_t seed;
static struct pin_secret secret;

static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static inline struct pin_table new_table(size_t buckets)
{
	struct pin_table table = {.buckets = buckets};

	table.bucket = aligned_alloc(128, buckets * sizeof(struct pin_bucket));
	assert_non_null(table.bucket);
	memset(table.bucket, 0, buckets * sizeof(struct pin_bucket));
	return table;
}

static inline struct flow_key key_of(uint32_t address, uint16_t port)
{
	struct flow_key key = {.destination = {192, 0, 2, 80},
			       .destination_port = htons(80),
			       .protocol = IPPROTO_TCP,
			       .family = 4};
	uint32_t source = htonl(address);

	memcpy(key.source, &source, sizeof source);
	key.source_port = htons(port);
	return key;
}

static inline uint64_t hash_of(uint32_t address, uint16_t port)
{
	struct flow_key key = key_of(address, port);

	return pin_hash(&secret, &key, SL_AFFINITY_FLOW, 0);
}

/* All in bucket 0, with distinct tags. */
static inline uint64_t in_one_bucket(unsigned n)
{
	return (uint64_t)(n + 1) << 33;
}

/* In the other bucket of a table of two. */
static inline uint64_t in_other_bucket(unsigned n)
{
	return (uint64_t)(n + 1000) << 33 | 0x80000000u;
}

static inline void draw_secret(void)
{
	uint64_t random;

	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);
	random = seed;
	for (unsigned i = 0; i < sizeof secret.key; i++)
		secret.key[i] = next_random(&random);
}
