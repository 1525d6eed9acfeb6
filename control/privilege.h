/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Less rights than a program was started with: another user, only the capabilities that the rest of
 * its life needs, and none to be had by exec. Each program calls both at its start, the second
 * once everything is open.
 *
 * Capabilities belong to threads. What libraries have started by then (DPDK, libnats) loses all of
 * them; only the calling thread keeps what is asked for. A netlink socket that root opened does
 * not do instead: the kernel asks who sends as well as who opened (netlink_capable).
 */
#pragma once

#include <pwd.h>
#include <stdbool.h>
#include <sys/capability.h>

/* Before any thread: no rights by exec, for those to come too. Without CAP_SETPCAP the bounding
 * set stays as it is. -errno. */
int privilege_limit(void);

/*
 * Becomes `user` for good if root started us (NULL, or who we are already: stays), with `kept`
 * and no other capability; those that we do not have are not missed. -errno.
 */
int privilege_drop(const struct passwd *user, const cap_value_t *kept, int count);

/* Hands `directory` (mode 2750: what is made there later has its group) and the files in it over;
 * NULL ends the names, and what is not there is not missed. -errno. */
int privilege_give(const char *directory, const char *const *names, uid_t uid, gid_t gid);

/* The capability is effective now. */
bool privilege_has(cap_value_t capability);
