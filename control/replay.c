/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay.h"
#include "log.h"
#include "telemetry/plausible.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 128
#define ENTRIES_MAX 65536 /* more than a configuration has senders */

static size_t map_bytes(size_t entries)
{
	return sizeof(struct replay_map) + entries * sizeof(struct replay_entry);
}

/* --- what an earlier run left -------------------------------------------------------------- */

static bool is_whole(const struct replay_map *map, size_t bytes)
{
	return bytes >= sizeof(*map) && map->magic == REPLAY_MAGIC &&
	       map->version == REPLAY_VERSION && map->entries <= ENTRIES_MAX &&
	       bytes == map_bytes(map->entries);
}

/* A copy of the file, the caller's; NULL if there is none that can be used. */
static struct replay_map *read_left(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct replay_map *map = NULL;
	struct stat stat;
	ssize_t bytes = -1;
	int error = errno;

	if (fd < 0 && error == ENOENT)
		return NULL;
	if (fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size > 0 &&
	    (size_t)stat.st_size <= map_bytes(ENTRIES_MAX))
		map = malloc((size_t)stat.st_size);
	if (map)
		bytes = pread(fd, map, (size_t)stat.st_size, 0);
	if (fd >= 0)
		close(fd);
	if (map && bytes == stat.st_size && is_whole(map, (size_t)bytes))
		return map;
	log_warning("%s: %s; reports that an earlier run took might be taken once more", path,
		    fd < 0 ? strerror(error) : "not as we left it");
	free(map);
	return NULL;
}

/* --- a new file ---------------------------------------------------------------------------- */

static const uint8_t *key_of(const struct config *config, unsigned i)
{
	if (i >= config->sites)
		return config->edge[i - config->sites].key;
	return config->site[i].has_key ? config->site[i].key : NULL;
}

static bool is_sender(const struct config *config, const uint8_t key[SL_KEY_BYTES])
{
	for (unsigned i = 0; i < config->sites + config->edges; i++) {
		const uint8_t *known = key_of(config, i);

		if (known && memcmp(known, key, SL_KEY_BYTES) == 0)
			return true;
	}
	for (unsigned i = 0; i < config->transits; i++)
		if (config->transit[i].has_key &&
		    memcmp(config->transit[i].key, key, SL_KEY_BYTES) == 0)
			return true;
	return false;
}

static void add(struct replay_map *map, const uint8_t key[SL_KEY_BYTES], uint64_t newest_us)
{
	struct replay_entry *entry = &map->entry[map->entries++];

	memcpy(entry->key, key, SL_KEY_BYTES);
	entry->newest_us = newest_us;
}

static uint64_t left_us(const struct replay_map *left, const uint8_t key[SL_KEY_BYTES])
{
	for (uint32_t i = 0; left && i < left->entries; i++)
		if (memcmp(left->entry[i].key, key, SL_KEY_BYTES) == 0)
			return left->entry[i].newest_us;
	return 0;
}

/* A time that has not come yet is of a clock that was wrong: it must not shut a sender out. */
static uint64_t bounded(uint64_t newest_us, uint64_t now_us)
{
	return newest_us < now_us + 1000000 ? newest_us : now_us;
}

/* Senders of now, and of those gone whom a valid report could still be of. */
static void fill(struct replay_map *map, const struct config *config, const struct replay_map *left,
		 uint64_t now_us)
{
	for (unsigned i = 0; i < config->sites + config->edges; i++) {
		const uint8_t *key = key_of(config, i);

		if (key)
			add(map, key, bounded(left_us(left, key), now_us));
	}
	for (uint32_t i = 0; left && i < left->entries; i++) {
		const struct replay_entry *entry = &left->entry[i];

		if (entry->newest_us + 1000ull * PLAUSIBLE_VALID_FOR_MS_MAX > now_us &&
		    map->entries < ENTRIES_MAX && !is_sender(config, entry->key))
			add(map, entry->key, entry->newest_us);
	}
}

/* Blocks are allocated now: a full disk must be an error here, not a signal later. */
static struct replay_map *map_file(const char *path, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct replay_map *map = MAP_FAILED;
	int error = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);

	if (error == 0) {
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		error = errno;
	}
	if (fd >= 0)
		close(fd);
	if (map != MAP_FAILED)
		return map;
	errno = error;
	return NULL;
}

static int make(struct replay *replay, const struct config *config, const struct replay_map *left,
		const char *path, uint64_t now_us)
{
	size_t most = config->sites + config->edges + (left ? left->entries : 0);
	char next[PATH_BYTES];

	snprintf(next, sizeof(next), "%s/" REPLAY_FILE ".new", config->run_dir);
	unlink(next);
	replay->bytes = map_bytes(most);
	replay->map = map_file(next, replay->bytes);
	if (!replay->map)
		return -errno;
	fill(replay->map, config, left, now_us);
	replay->map->version = REPLAY_VERSION;
	replay->map->magic = REPLAY_MAGIC;
	/* what is not used is cut off, so that a file shorter or longer than it says is none */
	if (truncate(next, (off_t)map_bytes(replay->map->entries)) == 0 && rename(next, path) == 0)
		return 0;
	return -errno;
}

void replay_open(struct replay *replay, const struct config *config, struct verify *verify,
		 uint64_t now_us)
{
	char path[PATH_BYTES];
	struct replay_map *left;
	int result;

	*replay = (struct replay){};
	if (!verify)
		return;
	snprintf(path, sizeof(path), "%s/" REPLAY_FILE, config->run_dir);
	left = read_left(path);
	result = make(replay, config, left, path, now_us);
	free(left);
	if (result < 0) {
		log_warning("%s: %s; which reports were taken is not remembered over a restart",
			    path, strerror(-result));
		replay_close(replay);
		return;
	}
	for (uint32_t i = 0; i < replay->map->entries; i++)
		verify_keep(verify, replay->map->entry[i].key, &replay->map->entry[i].newest_us);
}

void replay_close(struct replay *replay)
{
	if (replay->map)
		munmap(replay->map, replay->bytes);
	*replay = (struct replay){};
}
