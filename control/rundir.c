/* SPDX-License-Identifier: BSD-3-Clause */
#include "rundir.h"
#include "privilege.h"
#include "replay.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/counters.h>
#include <suanlu/paths.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 128

static const char *path_of(const struct config *config, const char *name, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, "%s/%s", config->run_dir, name);
	return out;
}

static int refuse(struct config_error *error, const char *what, int code)
{
	snprintf(error->text, sizeof(error->text), "%s: %s", what, strerror(-code));
	return code;
}

static int lock_taken(struct rundir *rundir, struct config_error *error)
{
	char pid[16] = "";
	ssize_t bytes = pread(rundir->lock, pid, sizeof(pid) - 1, 0);

	pid[bytes > 0 ? strcspn(pid, "\n") : 0] = '\0';
	snprintf(error->text, sizeof(error->text), "another suanlu-control runs in %s (pid %s)",
		 rundir->config->run_dir, *pid ? pid : "unknown");
	return -EBUSY;
}

static int take_lock(struct rundir *rundir, struct config_error *error)
{
	char path[PATH_BYTES];

	path_of(rundir->config, "control.lock", path);
	rundir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (rundir->lock < 0)
		return refuse(error, path, -errno);
	if (flock(rundir->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? lock_taken(rundir, error)
					    : refuse(error, path, -errno);
	if (ftruncate(rundir->lock, 0) < 0 || dprintf(rundir->lock, "%d\n", getpid()) < 0)
		return refuse(error, path, -errno);
	return 0;
}

int rundir_open(struct rundir *rundir, const struct config *config, struct config_error *error)
{
	int result;

	*rundir = (struct rundir){.config = config, .lock = -1};
	if (mkdir(config->run_dir, 0750) < 0 && errno != EEXIST)
		return refuse(error, config->run_dir, -errno);
	result = take_lock(rundir, error);
	if (result < 0)
		rundir_close(rundir);
	return result;
}

/* The lock's file stays: removing it would let two controls each lock one of their own. */
void rundir_close(struct rundir *rundir)
{
	if (rundir->lock >= 0)
		close(rundir->lock);
	rundir->lock = -1;
}

/*
 * Control's own files change hands. The dataplane's stay its own and get the group, so that
 * control may use them; those of a dataplane that starts later get it by the directory's
 * set-group-ID bit.
 */
static int give_away(const struct config *config, uid_t uid, gid_t gid)
{
	static const char *const own[] = {"control.lock", "control.sock", "drained", REPLAY_FILE,
					  NULL};
	static const char *const dataplane[] = {"dataplane.sock", SL_COUNTERS_FILE, SL_PATHS_FILE,
						NULL};
	int result = privilege_give(config->run_dir, own, uid, gid);

	return result < 0 ? result : privilege_give(config->run_dir, dataplane, (uid_t)-1, gid);
}

int rundir_drop(struct rundir *rundir, struct config_error *error)
{
	static const cap_value_t net_admin[] = {CAP_NET_ADMIN};
	const struct config *config = rundir->config;
	const struct passwd *user = NULL;
	int result = 0;

	errno = 0;
	if (config->user && !(user = getpwnam(config->user)))
		return refuse(error, config->user, errno ? -errno : -ENOENT);
	if (geteuid() == 0)
		result = give_away(config, user ? user->pw_uid : 0, user ? user->pw_gid : 0);
	if (result < 0)
		return refuse(error, config->run_dir, result);
	result = privilege_drop(user, net_admin, config->announce.on);
	return result < 0 ? refuse(error, "dropping rights", result) : 0;
}

int rundir_read_drained(const struct rundir *rundir, struct state *state,
			struct config_error *error)
{
	char path[PATH_BYTES], line[2 * SL_NAME_MAX];
	FILE *file = fopen(path_of(rundir->config, "drained", path), "re");

	if (!file)
		return errno == ENOENT ? 0 : refuse(error, path, -errno);
	while (fgets(line, sizeof(line), file)) {
		int site;

		line[strcspn(line, "\n")] = '\0';
		site = state_find_site(state, line);
		if (site >= 0)
			state->site[site].drained = true;
	}
	fclose(file);
	return 0;
}

static int write_names(const struct state *state, FILE *file)
{
	for (unsigned i = 0; i < state->config->sites; i++)
		if (state->site[i].drained)
			fprintf(file, "%s\n", state->config->site[i].name);
	if (fflush(file) != 0 || fsync(fileno(file)) < 0)
		return -errno;
	return 0;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return result;
}

int rundir_write_drained(const struct rundir *rundir, const struct state *state)
{
	char path[PATH_BYTES], next[PATH_BYTES];
	FILE *file = fopen(path_of(rundir->config, "drained.new", next), "we");
	int result;

	if (!file)
		return -errno;
	result = write_names(state, file);
	if (fclose(file) != 0 && result == 0)
		result = -errno;
	if (result == 0 && rename(next, path_of(rundir->config, "drained", path)) < 0)
		result = -errno;
	if (result < 0)
		unlink(next);
	return result < 0 ? result : sync_directory(rundir->config->run_dir);
}
