/* SPDX-License-Identifier: BSD-3-Clause */
#include "path_file.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct sl_paths *map(int fd)
{
	void *at = mmap(NULL, sizeof(struct sl_paths), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static bool is_ours(const struct sl_paths *paths)
{
	return paths->magic == SL_PATHS_MAGIC && paths->version == SL_PATHS_VERSION &&
	       paths->bytes == sizeof(*paths);
}

/* CLOCK_MONOTONIC began anew since the file was written: its states are of another boot. */
static bool is_of_this_boot(const struct sl_paths *paths)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return paths->heartbeat_ns <= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct sl_paths *map_existing(const char *path)
{
	struct sl_paths *paths = NULL;
	struct stat status;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) == 0 && status.st_size == (off_t)sizeof(*paths))
		paths = map(fd);
	close(fd);
	if (paths && (!is_ours(paths) || !is_of_this_boot(paths))) {
		munmap(paths, sizeof(*paths));
		paths = NULL;
	}
	return paths;
}

/* Made beside its place and renamed, so that no reader ever sees half of it. */
static struct sl_paths *map_new(const char *path)
{
	struct sl_paths *paths = NULL;
	char temporary[PATH_MAX];
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*paths)) == 0)
		paths = map(fd);
	close(fd);
	if (!paths)
		return NULL;
	paths->version = SL_PATHS_VERSION;
	paths->bytes = sizeof(*paths);
	paths->magic = SL_PATHS_MAGIC;
	if (rename(temporary, path) < 0) {
		munmap(paths, sizeof(*paths));
		paths = NULL;
	}
	return paths;
}

int path_file_open(struct sl_paths **out, const char *run_dir)
{
	char path[PATH_MAX - 8];
	struct sl_paths *paths;

	snprintf(path, sizeof(path), "%s/%s", run_dir, SL_PATHS_FILE);
	paths = map_existing(path);
	if (!paths)
		paths = map_new(path);
	if (!paths) {
		int ret = errno ? -errno : -EIO;

		warn("%s", path);
		return ret;
	}
	paths->pid = (uint32_t)getpid();
	*out = paths;
	return 0;
}

void path_file_close(struct sl_paths *paths)
{
	if (!paths)
		return;
	paths->pid = 0;
	munmap(paths, sizeof(*paths));
}
