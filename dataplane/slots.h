/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers for names. A service, and a service at a site (a member), keeps its slot for as
 * long as the counters file lives, over restarts too: pins and counters refer to slots. Only
 * when all slots are named does the name of one not in use make room (its counts go on
 * under the new name). Main thread only.
 */
#pragma once

#include <rte_hash.h>
#include <stdbool.h>
#include <suanlu/counters.h>

struct slots {
	struct sl_counters *counters;
	struct rte_hash *service, *member;
	bool (*service_in_use)(const void *context, unsigned slot);
	bool (*member_in_use)(const void *context, unsigned slot);
	const void *context;
	unsigned next_service, next_member; /* where to look for an unused one */
};

/* Takes the names of an earlier run back from the counters file. 0 or -ENOMEM. */
int slots_open(struct slots *slots, struct sl_counters *counters,
	       bool (*service_in_use)(const void *, unsigned),
	       bool (*member_in_use)(const void *, unsigned), const void *context);
void slots_close(struct slots *slots);

/* The slot of a name, given one if it has none yet; -1: all are in use. */
int slots_service(struct slots *slots, const char *service);
int slots_member(struct slots *slots, const char *service, const char *site);

/* The slot of a name, -1 if it has none. */
int slots_known_service(const struct slots *slots, const char *service);

/* A map from fixed-size keys to slot numbers, for others too. */
struct rte_hash *slots_create(const char *name, uint32_t entries, uint32_t key_bytes);
void slots_destroy(struct rte_hash *hash);
int slots_find(const struct rte_hash *hash, const void *key); /* -1: not there */
int slots_keep(struct rte_hash *hash, const void *key, unsigned slot);
void slots_forget(struct rte_hash *hash, const void *key);
