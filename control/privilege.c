/* SPDX-License-Identifier: BSD-3-Clause */
#include "privilege.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 256
#define SIGNAL (SIGRTMAX - 4)
#define WAIT_MS 1000

int privilege_limit(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	return 0;
}

/* --- other threads ------------------------------------------------------------------------- */

static unsigned answered;

/* In each of them. A system call of its own: libcap is not for signal handlers. */
static void on_signal(int signal)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
	int saved = errno;

	(void)signal;
	if (syscall(SYS_capset, &header, none) == 0)
		__atomic_add_fetch(&answered, 1, __ATOMIC_RELEASE);
	errno = saved;
}

/* How many threads besides this one were told. */
static int tell_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	int told = 0;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		int thread = atoi(entry->d_name);

		if (thread > 0 && thread != gettid() && tgkill(getpid(), thread, SIGNAL) == 0)
			told++;
	}
	closedir(folder);
	return told;
}

static int drop_in_threads(void)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction before;
	int told;

	if (sigaction(SIGNAL, &action, &before) < 0)
		return -errno;
	told = tell_threads();
	for (unsigned ms = 0; told > 0 && ms < WAIT_MS; ms++) {
		if (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) >= (unsigned)told)
			break;
		usleep(1000);
	}
	sigaction(SIGNAL, &before, NULL);
	if (told < 0)
		return told;
	return __atomic_load_n(&answered, __ATOMIC_ACQUIRE) >= (unsigned)told ? 0 : -ETIMEDOUT;
}

/* --- this thread ----------------------------------------------------------------------------- */

/* Permitted and effective; not inheritable, so nothing that is executed has it. */
static int have_only(const cap_value_t *kept, int count)
{
	cap_t had = cap_get_proc(), set = cap_init();
	int result = had && set ? 0 : -ENOMEM;

	for (int i = 0; result == 0 && i < count; i++) {
		cap_flag_value_t value = CAP_CLEAR;

		if (cap_get_flag(had, kept[i], CAP_PERMITTED, &value) < 0 ||
		    cap_set_flag(set, CAP_PERMITTED, 1, &kept[i], value) < 0 ||
		    cap_set_flag(set, CAP_EFFECTIVE, 1, &kept[i], value) < 0)
			result = -errno;
	}
	if (result == 0 && cap_set_proc(set) < 0)
		result = -errno;
	cap_free(set);
	cap_free(had);
	return result;
}

/* glibc does it in all threads; KEEPCAPS is this one's only. */
static int become(const struct passwd *user)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		return -errno;
	return 0;
}

int privilege_drop(const struct passwd *user, const cap_value_t *kept, int count)
{
	int result = user && geteuid() == 0 && user->pw_uid != 0 ? become(user) : 0;

	if (result == 0)
		result = drop_in_threads();
	return result < 0 ? result : have_only(kept, count);
}

int privilege_give(const char *directory, const char *const *names, uid_t uid, gid_t gid)
{
	char path[PATH_BYTES];

	if (chown(directory, uid, gid) < 0 || chmod(directory, 02750) < 0)
		return -errno;
	for (; *names; names++) {
		snprintf(path, sizeof(path), "%s/%s", directory, *names);
		if (lchown(path, uid, gid) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

bool privilege_has(cap_value_t capability)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t set = cap_get_proc();

	if (set && cap_get_flag(set, capability, CAP_EFFECTIVE, &value) < 0)
		value = CAP_CLEAR;
	cap_free(set);
	return value == CAP_SET;
}
