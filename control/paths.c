/* SPDX-License-Identifier: BSD-3-Clause */
#include "paths.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void paths_open(struct paths *paths, struct state *state)
{
	*paths = (struct paths){.state = state};
	snprintf(paths->file, sizeof(paths->file), "%s/%s", state->config->run_dir, SL_PATHS_FILE);
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

static struct sl_path_name name_of(const char *end)
{
	struct sl_path_name name = {0};

	memcpy(name.end, end, strnlen(end, sizeof(name.end) - 1));
	return name;
}

const struct sl_path_slot *paths_find(const struct paths *paths, const struct sl_path_name *name)
{
	for (unsigned i = 0; paths->map && i < SL_PATHS_MAX; i++) {
		const struct sl_path_slot *path = &paths->map->path[i];

		if (__atomic_load_n(&path->used, __ATOMIC_ACQUIRE) &&
		    memcmp(&path->name, name, sizeof(*name)) == 0)
			return path;
	}
	return NULL;
}

static bool is_probed(const struct config_site *site)
{
	return !IN6_IS_ADDR_UNSPECIFIED(&site->reflector);
}

int paths_start(const struct config *config, struct link *link)
{
	for (unsigned i = 0; i < config->sites; i++) {
		const struct config_site *site = &config->site[i];
		struct sl_msg_path message = {.name = name_of(site->name),
					      .reflector = site->reflector};

		memcpy(message.via, site->via, sizeof(message.via));
		if (is_probed(site) && link_path(link, &message) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void take_delay(struct state_site *site, const struct sl_path_slot *path)
{
	int64_t delay_ns = __atomic_load_n(&path->way[SL_PATH_THERE].smoothed_ns, __ATOMIC_RELAXED);
	uint64_t heard_ns = __atomic_load_n(&path->heard_ns, __ATOMIC_RELAXED);

	if (delay_ns <= 0 || heard_ns == 0)
		return;
	site->delay_s = (double)delay_ns / 1e9;
	site->delay_at_s = (double)heard_ns / 1e9;
}

static bool is_dead(const struct sl_path_slot *path)
{
	uint32_t state = path ? __atomic_load_n(&path->state, __ATOMIC_RELAXED) : SL_PATH_UNKNOWN;

	return state == SL_PATH_DEAD || state == SL_PATH_HELD;
}

static void take_state(const struct config_site *config, struct state_site *site, bool dead)
{
	if (dead && !site->path_dead)
		log_warning("path to %s: dead, takes no flows", config->name);
	if (!dead && site->path_dead)
		log_info("path to %s: alive again", config->name);
	site->path_dead = dead;
}

void paths_refresh(struct paths *paths)
{
	const struct config *config = paths->state->config;

	if (!config->probes.on)
		return;
	follow(paths);
	for (unsigned i = 0; i < config->sites; i++) {
		struct sl_path_name name = name_of(config->site[i].name);
		const struct sl_path_slot *path =
			is_probed(&config->site[i]) ? paths_find(paths, &name) : NULL;

		if (path && !config->site[i].delay_fixed)
			take_delay(&paths->state->site[i], path);
		take_state(&config->site[i], &paths->state->site[i], is_dead(path));
	}
}
