/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t unix_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static size_t file_bytes(unsigned workers)
{
	return sizeof(struct sl_counters) + workers * sizeof(struct sl_worker_counters);
}

/* The whole file now: a page that a full disk has no place for later would be a SIGBUS. */
static struct sl_counters *map(int fd, size_t bytes)
{
	int ret = posix_fallocate(fd, 0, bytes);
	void *at;

	if (ret != 0) {
		errno = ret;
		return NULL;
	}
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static bool names_terminated(const struct sl_counters *counters)
{
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++)
		if (counters->service[i].name[SL_NAME_MAX - 1])
			return false;
	for (unsigned i = 0; i <= SL_MEMBERS_MAX; i++)
		if (counters->member[i].service[SL_NAME_MAX - 1] ||
		    counters->member[i].site[SL_NAME_MAX - 1])
			return false;
	return true;
}

/* The file of an earlier run, if its layout is ours. */
static struct sl_counters *map_existing(const char *path, unsigned workers)
{
	size_t bytes = file_bytes(workers);
	struct sl_counters *counters = NULL;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size == (off_t)bytes)
		counters = map(fd, bytes);
	close(fd);
	if (counters && (counters->magic != SL_COUNTERS_MAGIC ||
			 counters->version != SL_COUNTERS_VERSION || counters->workers != workers ||
			 counters->bytes != bytes || !names_terminated(counters))) {
		munmap(counters, bytes);
		counters = NULL;
	}
	return counters;
}

/* Made beside its place and renamed, so that no reader ever sees half of it. */
static struct sl_counters *map_new(const char *path, unsigned workers)
{
	size_t bytes = file_bytes(workers);
	struct sl_counters *counters;
	char temporary[PATH_MAX];
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return NULL;
	counters = map(fd, bytes);
	if (counters) {
		counters->version = SL_COUNTERS_VERSION;
		counters->workers = workers;
		counters->bytes = bytes;
		randombytes_buf(&counters->identity, sizeof(counters->identity));
		counters->magic = SL_COUNTERS_MAGIC;
		if (rename(temporary, path) < 0) {
			munmap(counters, bytes);
			counters = NULL;
		}
	}
	if (!counters) {
		int saved = errno;
		unlink(temporary);
		errno = saved;
	}
	close(fd);
	return counters;
}

/* A killed run may have counted packets as received that it never came to judge. */
static void settle(struct sl_counters *counters)
{
	for (unsigned i = 0; i < counters->workers; i++) {
		struct sl_worker_counters *worker = &counters->worker[i];
		worker->rx_packets = 0;
		for (unsigned v = 0; v < SL_VERDICT_SLOTS; v++)
			worker->rx_packets += worker->verdict[v];
	}
}

struct sl_counters *stats_open(const char *run_dir, unsigned workers)
{
	char path[PATH_MAX - 8];
	struct sl_counters *counters;

	if (snprintf(path, sizeof(path), "%s/%s", run_dir, SL_COUNTERS_FILE) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	counters = map_existing(path, workers);
	if (!counters)
		counters = map_new(path, workers);
	if (counters) {
		settle(counters);
		counters->pid = getpid();
		counters->started_us = unix_us();
		stats_heartbeat(counters);
	}
	return counters;
}

void stats_heartbeat(struct sl_counters *counters)
{
	__atomic_store_n(&counters->heartbeat_us, unix_us(), __ATOMIC_RELAXED);
}

void stats_close(struct sl_counters *counters)
{
	if (counters) {
		counters->pid = 0;
		munmap(counters, counters->bytes);
	}
}
