/* SPDX-License-Identifier: BSD-3-Clause */
#include "rights.h"
#include "../control/privilege.h"
#include "pin_file.h"

#include <err.h>
#include <errno.h>
#include <suanlu/counters.h>
#include <suanlu/paths.h>
#include <unistd.h>

int rights_check(void)
{
	static const struct {
		cap_value_t value;
		const char *name;
	} needed[] = {
		{CAP_NET_RAW, "CAP_NET_RAW"},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_BPF, "CAP_BPF"},
		{CAP_IPC_LOCK, "CAP_IPC_LOCK"},
		{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	};

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!privilege_has(needed[i].value)) {
			warnx("needs %s for AF_XDP: run it as root, or give it that capability",
			      needed[i].name);
			return -EPERM;
		}
	if (privilege_limit() < 0)
		warn("warning: programs that we would start could have more rights than we");
	return 0;
}

int rights_drop(const struct config *config)
{
	static const char *const files[] = {"dataplane.lock", "dataplane.sock", SL_COUNTERS_FILE,
					    PIN_FILE,	      SL_PATHS_FILE,	NULL};
	static const cap_value_t kept[] = {CAP_NET_ADMIN};
	const struct passwd *user = NULL;
	int ret = 0;

	errno = 0;
	if (config->user && !(user = getpwnam(config->user)))
		ret = errno ? -errno : -ENOENT;
	if (ret == 0 && user && geteuid() == 0)
		ret = privilege_give(config->run_dir, files, user->pw_uid, user->pw_gid);
	if (ret == 0)
		ret = privilege_drop(user, kept, 1);
	if (ret < 0) {
		errno = -ret;
		warn("dropping rights%s%s", config->user ? " to user " : "", config->user ?: "");
	}
	return ret;
}
