/* SPDX-License-Identifier: BSD-3-Clause */
#include "privilege.h"
#include <errno.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Permitted and effective; not inheritable, so nothing that is executed has it. */
static int have_only_net_admin(void)
{
	static const cap_value_t kept[] = {CAP_NET_ADMIN};
	cap_t set = cap_init();
	int result = 0;

	if (!set)
		return -errno;
	if (cap_set_flag(set, CAP_PERMITTED, 1, kept, CAP_SET) < 0 ||
	    cap_set_flag(set, CAP_EFFECTIVE, 1, kept, CAP_SET) < 0 || cap_set_proc(set) < 0)
		result = -errno;
	cap_free(set);
	return result;
}

int privilege_become(const struct passwd *user, bool keep_net_admin)
{
	if (keep_net_admin && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return keep_net_admin ? have_only_net_admin() : 0;
}

bool privilege_has_net_admin(void)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t set = cap_get_proc();

	if (set && cap_get_flag(set, CAP_NET_ADMIN, CAP_EFFECTIVE, &value) < 0)
		value = CAP_CLEAR;
	cap_free(set);
	return value == CAP_SET;
}
