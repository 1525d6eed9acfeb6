/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment for this node: hugepages if there are any free, no PCI devices, one
 * AF_XDP device per port, one lcore per worker besides the main thread's.
 */
#pragma once

#include "port.h"

/* Starts EAL. Errors and the choice of memory are said on stderr. 0 or -errno. */
int eal_start(const struct config *config, const struct ports *ports, bool verbose);
void eal_stop(void);
