/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From root to a user, with CAP_NET_ADMIN kept or with nothing. A netlink socket that root opened
 * does not do instead: the kernel asks who sends as well as who opened (netlink_capable).
 */
#pragma once

#include <pwd.h>
#include <stdbool.h>

/* Becomes that user for good. Whatever comes of exec later has no more rights. -errno. */
int privilege_become(const struct passwd *user, bool keep_net_admin);

/* CAP_NET_ADMIN is effective now. */
bool privilege_has_net_admin(void);
