/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Brings the kernel source's numbers of open connections into line with a dump: at the start for
 * those that were there before, and when the programs missed an event (kernel_missed). Exact
 * under any load: what comes and goes during the dump is noted, and taken into account.
 */
#pragma once

#include "kernel.h"
#include "source.h"

/* service_of: port -> service, -1: none. Returns what had to be put right, -errno (-ENOBUFS:
 * too much came and went during the dump). */
int resync(struct kernel *kernel, struct source *source,
	   int (*service_of)(void *context, uint16_t port), void *context);
