/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Brings the kernel source's table of connections into line with a dump: at the start for those
 * that were there before, and when the programs missed an event (kernel_missed). A connection that
 * ends meanwhile is not counted twice: whoever takes it out of the table counts it.
 */
#pragma once

#include "kernel.h"
#include "source.h"

/* service_of: port -> service, -1: none. Returns what had to be put right, -errno. */
int resync(struct kernel *kernel, struct source *source,
	   int (*service_of)(void *context, uint16_t port), void *context);
