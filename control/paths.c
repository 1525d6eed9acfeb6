/* SPDX-License-Identifier: BSD-3-Clause */
#include "paths.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void paths_open(struct paths *paths, const struct config *config)
{
	*paths = (struct paths){};
	snprintf(paths->file, sizeof(paths->file), "%s/%s", config->run_dir, SL_PATHS_FILE);
}

static void unmap(struct paths *paths)
{
	if (paths->map)
		munmap((void *)paths->map, sizeof(*paths->map));
	paths->map = NULL;
}

void paths_close(struct paths *paths)
{
	unmap(paths);
}

/* Follows the file: a dataplane may put a new one in its place. */
static void follow(struct paths *paths)
{
	struct stat now;
	const struct sl_paths *map;
	int fd;

	if (stat(paths->file, &now) < 0 || now.st_size != (off_t)sizeof(*paths->map)) {
		unmap(paths);
		return;
	}
	if (paths->map && now.st_dev == paths->device && now.st_ino == paths->inode)
		return;
	unmap(paths);
	fd = open(paths->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*map), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	paths->map = map;
	paths->device = now.st_dev;
	paths->inode = now.st_ino;
	if (map->magic != SL_PATHS_MAGIC || map->version != SL_PATHS_VERSION)
		unmap(paths);
}

const struct sl_paths *paths_refresh(struct paths *paths)
{
	follow(paths);
	return paths->map;
}
