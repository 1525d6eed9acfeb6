/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What workers forward by: services, members (a service at a site) and targets (a way to a site).
 *
 * Written by the main thread, read by workers without a lock: whatever a worker
 * follows by pointer is immutable and is replaced by swapping the pointer; the old one is freed
 *when every worker has passed a quiescent state (rte_rcu_qsbr).
 *
 *	classify -> service -> (pin or choice) -> member -> target -> encap
 */
#pragma once

#include "adjacency.h"
#include "classify.h"
#include "decap.h"
#include "encap.h"
#include "prefer.h"
#include "slots.h"
#include <rte_rcu_qsbr.h>
#include <suanlu/counters.h>

#define ROUTES_TARGETS_MAX 8192
#define ROUTES_TARGET_KEY_BYTES (sizeof(struct sl_via) + 8)
#define ROUTES_NO_SERVICE UINT16_MAX
#define ROUTES_WAYS 2 /* to a site: the second while the path of the first is dead */

/* What control said of a candidate, and what became of it; main only. */
struct candidate {
	uint32_t weight, standby;
	float wait_s, step_s;
	uint32_t share; /* that it has now: its weight, its standby or 0 */
	int8_t serves;	/* which way does now; ALIVE_NONE */
	uint16_t way[ROUTES_WAYS][SL_INNER_FAMILIES]; /* targets, 0: none */
};

struct service {
	struct choose_set choose;
	struct prefer prefer;
	struct choice *choice; /* of each worker, behind this */
	uint32_t idle_s;
	uint16_t slot;
	uint16_t draws;
	uint8_t affinity; /* enum sl_affinity */
	/* what main needs to answer and to compare */
	struct in_addr ipv4;
	struct in6_addr ipv6;
	rte_be16_t port;
	uint8_t protocol;
	bool named; /* since the last HELLO */
	struct candidate candidate[SL_CANDIDATES_MAX];
};

/* main: rw, workers: ro; 8 bytes, so that a worker sees it whole */
struct member {
	_Alignas(8) uint16_t service; /* ROUTES_NO_SERVICE: not a candidate now */
	uint16_t target[SL_INNER_FAMILIES];
	uint16_t takes_new; /* weight above 0 */
};
_Static_assert(sizeof(struct member) == 8, "member");

/* Of the path that a target takes: held ones answer again and wait out their hold-down. */
enum target_path { TARGET_ALIVE, TARGET_HELD, TARGET_DEAD };

/* The main thread's side of a target; workers see its encap only. */
struct target {
	struct sl_via via;
	uint8_t family; /* 4 or 6, of the inner packet */
	uint32_t references;
	enum target_path path;	 /* prober.c */
	uint16_t path_mtu_bytes; /* what a router on the way said; 0: nothing */
	uint16_t path_mtu_s;	 /* for so long yet */
	char next_hop[64];	 /* how it is reached now, or why not */
	uint32_t changes;	 /* of the next hop, its coming and going included */
	uint32_t changed_s;	 /* boot time of the last */
};

struct routes {
	/* main: rw, workers: ro */
	struct classify *classify;
	struct decap_sids *sids;
	struct adjacency *adjacency;
	unsigned workers;
	struct encap *encap[ROUTES_TARGETS_MAX]; /* never NULL; [0] has no next hop */
	struct service *service[SL_SERVICES_MAX];
	struct member member[SL_MEMBERS_MAX + 1];
	/* main only */
	bool updating;			/* between HELLO and SYNC */
	bool synced;			/* a full update has ended: no other service is wanted */
	struct in6_addr address;	/* outer source of SRv6 */
	struct in6_addr address4;	/* and of VXLAN, IPv4-mapped; ::ffff:0.0.0.0: none */
	struct sl_sid sid[SL_SIDS_MAX]; /* sids->sids of them, as they were given */
	unsigned targets;		/* used slots of target[] and encap[], holes included */
	struct target target[ROUTES_TARGETS_MAX];
	struct sl_counters *counters;
	struct slots slots;
	struct rte_hash *target_slots;
	struct rte_rcu_qsbr *rcu;
	struct rte_rcu_qsbr_dq *retired;
	/* called after targets were added, after services or SIDs came or went, and after the
	 * outer source changed */
	void (*targets_changed)(void *context);
	void (*services_changed)(void *context);
	void (*address_changed)(void *context);
	void *context;
};

/* `workers` threads register themselves with routes->rcu. NULL: rte_errno. */
struct routes *routes_create(struct sl_counters *counters, unsigned workers);
void routes_destroy(struct routes *routes);

/*
 * Apply a message; on anything but SL_ACK_DONE nothing has changed and `field` names the culprit.
 * bytes: what was received.
 */
enum sl_ack_status routes_service(struct routes *routes, const struct sl_msg_service *message,
				  size_t bytes, char field[SL_NAME_MAX]);
enum sl_ack_status routes_withdraw(struct routes *routes, const struct sl_msg_withdraw *message,
				   size_t bytes, char field[SL_NAME_MAX]);
enum sl_ack_status routes_node(struct routes *routes, const struct sl_msg_node *message,
			       size_t bytes, char field[SL_NAME_MAX]);
void routes_hello(struct routes *routes); /* a full update begins */
void routes_sync(struct routes *routes);  /* it ends: withdraw what it did not name */

/*
 * Paths of targets changed: pins of a dead candidate's flows hold no more, and it gets no new ones
 * until one of its ways is alive.
 */
void routes_alive_changed(struct routes *routes);

/*
 * The target of a way that something else than a service uses (probes): kept, with its next hop,
 * until it is released. 0: no way. -1: the table is full.
 */
int routes_way(struct routes *routes, const struct sl_via *via, uint8_t family);
void routes_way_release(struct routes *routes, unsigned target);

/* Has the way to a segment looked for that packets are to be sent on to (End). */
void routes_segment(struct routes *routes, const struct in6_addr *segment);

/* A target's headers changed (next hop found, lost, moved). Takes over `encap` (rte_malloc). */
void routes_set_encap(struct routes *routes, unsigned target, struct encap *encap);

/* Frees memory (rte_malloc) once no worker can hold a pointer to it. */
void routes_retire(struct routes *routes, void *memory);

/* Frees what no worker can see any more; never waits. */
void routes_reclaim(struct routes *routes);
