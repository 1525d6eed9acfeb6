/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open connections of one service by the kernel's socket cookie (never 0, never used
 * twice). Open addressing, at most half full. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct flow {
	uint64_t cookie;
	uint64_t first_ns;  /* the tick that saw it first */
	uint64_t served_ns; /* worked on so far, sampled */
	uint64_t seen;	    /* number of the last tick that saw it */
	bool known_start;   /* false: it was there before we were */
	bool waited;	    /* perhaps, for others that the service had taken before it */
};

struct flows {
	struct flow *slot; /* cookie 0: free */
	uint64_t mask;	   /* slots - 1 */
	uint64_t count;
};

int flows_init(struct flows *flows); /* -ENOMEM */
void flows_clear(struct flows *flows);

struct flow *flows_find(const struct flows *flows, uint64_t cookie);

/* A new entry, all zero but its cookie; NULL: out of memory. Other pointers become invalid. */
struct flow *flows_add(struct flows *flows, uint64_t cookie);

/* Other pointers become invalid; what moves up takes the freed slot. */
void flows_remove(struct flows *flows, struct flow *flow);
