/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host routes of service addresses in the kernel, for the routing daemon that the operator runs
 * (FRR, BIRD) to redistribute. When: announce_rule.h. What they are: kernel_route.h.
 *
 * Services may share an address, and one of them is enough. A site counts as usable if it may
 * be used and is heard; one without a key never reports and counts as heard. This is
 * stricter than what new flows go by (usable.h): when all reports stop, the last routes stay in
 * the dataplane, but the address goes away, for another edge may hear more than this one.
 *
 * Routes of an earlier run that are still wanted are taken over, so that a restart is not
 * seen outside; the others are removed by announce_start. announce_close removes all of a
 * started one. Without an `announce` section everything here does nothing. Control's loop.
 */
#pragma once

#include "announce_rule.h"
#include "kernel_route.h"
#include "link.h"
#include "routes.h"
#include <arpa/inet.h>

struct announce_address {
	struct kernel_route route;
	char text[INET6_ADDRSTRLEN];
	struct announce_rule rule;
	enum announce_need need;
	bool present;	  /* the kernel has it */
	bool told_failed; /* logged since it last worked */
	double put_s;	  /* when it was last put there or tried to */
};

struct announce {
	const struct config *config;
	struct kernel_routes kernel;
	struct announce_address *address;
	unsigned addresses;
	unsigned (*of_service)[SL_INNER_FAMILIES]; /* index into address; UINT_MAX: none */
	uint64_t *acknowledged;			   /* by service, as last seen */
	struct kernel_route *stale;		   /* of an earlier run, not wanted */
	unsigned stales;
	uint64_t announced, withdrawn; /* changes since start */
	bool started;
};

/* Finds what an earlier run left. -EPERM without CAP_NET_ADMIN. */
int announce_open(struct announce *announce, const struct config *config,
		  struct config_error *error);
void announce_close(struct announce *announce);

/* The addresses of a configuration alone; without the kernel. -ENOMEM. */
int announce_shape(struct announce *announce, const struct config *config);

/* Goes over to those of `next` (announce_shape). What goes away is withdrawn at once. */
void announce_reload(struct announce *announce, struct announce *next, double now_s);

/* From here on the kernel's routes are changed; also once rights have been dropped. */
void announce_start(struct announce *announce, double now_s);

/*
 * Brings all addresses up to now; called once an interval and when a site is drained. `alive`: the
 * dataplane shows signs of life apart from its answers.
 */
void announce_update(struct announce *announce, const struct routes *routes,
		     const struct link *link, bool alive, double now_s);

/* Whether the kernel has the route to a service's address now; family: SL_INNER_IPV4, _IPV6. */
bool announce_has(const struct announce *announce, unsigned service, unsigned family);
