/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capabilities of this process: those that AF_XDP ports want to start, and what is left once
 * they run. Main thread only.
 */
#pragma once

#include <suanlu/config.h>

/* -EPERM if one is missing, said by name on stderr. */
int rights_check(void);

/*
 * Hands our files in run_dir to config->user and becomes that user, if one is configured. All
 * threads lose all capabilities but this one CAP_NET_ADMIN: it confirms neighbours and takes the
 * XDP program off at the end. Maps, rings and sockets are used by what is open. -errno, said.
 */
int rights_drop(const struct config *config);
