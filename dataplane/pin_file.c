/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin_file.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define MAGIC 0x736e69705f6c73ULL /* "sl_pins" */
#define LARGE_PAGE (2UL << 20)
#define SMALL_PAGE 4096UL

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static size_t table_bytes(uint64_t buckets)
{
	size_t bytes = buckets * sizeof(struct pin_bucket);
	return (bytes + SMALL_PAGE - 1) & ~(SMALL_PAGE - 1);
}

/* Mapped at a multiple of a large page, or the kernel could not use any. */
static void *map_aligned(int fd, size_t bytes)
{
	uint8_t *room =
		mmap(NULL, bytes + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at;

	if (room == MAP_FAILED)
		return MAP_FAILED;
	at = (uint8_t *)(((uintptr_t)room + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1));
	if (at > room)
		munmap(room, at - room);
	munmap(at + bytes, room + LARGE_PAGE - at);
	return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

/* A write to each page, not to its content: a packet must not wait for memory. */
static void touch(uint8_t *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		__atomic_fetch_or(&memory[i], 0, __ATOMIC_RELAXED);
	madvise(memory, bytes, MADV_COLLAPSE);
}

static void warn_if_on_disk(int fd, const char *run_dir)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
		warnx("warning: run_dir %s is not on a tmpfs: pins and counters there are written "
		      "to "
		      "disk and lookups are slower; /run and /dev/shm usually are",
		      run_dir);
}

static bool same_layout(const struct pin_file_header *a, const struct pin_file_header *b)
{
	return a->magic == b->magic && a->version == b->version && a->workers == b->workers &&
	       a->buckets == b->buckets && a->counters == b->counters &&
	       memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static unsigned count_pins(const struct pin_file *file)
{
	unsigned pins = 0;

	for (unsigned worker = 0; worker < file->header->workers; worker++) {
		struct pin_table table = pin_file_table(file, worker);
		const uint64_t *entry = table.bucket[0].entry;
		for (uint64_t i = 0; i < table.buckets * PIN_WAYS; i++)
			pins += (entry[i] >> PIN_STATE_SHIFT & 3) != PIN_EMPTY;
	}
	return pins;
}

/* Empties the file and writes the header last, so that half a start is never taken for whole. */
static int start_fresh(struct pin_file *file, int fd, const struct pin_file_header *wanted)
{
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, file->bytes) < 0)
		return -errno;
	randombytes_buf(&file->header->secret, sizeof(file->header->secret));
	memcpy(file->header, wanted, offsetof(struct pin_file_header, secret));
	return 0;
}

static int take_over_or_fresh(struct pin_file *file, int fd, const struct pin_file_header *wanted,
			      off_t found_bytes)
{
	if (found_bytes == (off_t)file->bytes && same_layout(file->header, wanted)) {
		file->kept = count_pins(file);
		return 0;
	}
	if (found_bytes > 0)
		warnx("pins of the earlier run have another layout (size, workers or version): "
		      "starting with none");
	return start_fresh(file, fd, wanted);
}

int pin_file_open(struct pin_file *file, const char *run_dir, uint32_t flows, unsigned workers,
		  uint64_t counters_identity)
{
	struct pin_file_header wanted = {
		.magic = MAGIC,
		.version = PIN_FILE_VERSION,
		.workers = workers,
		.buckets = pin_buckets((flows + workers - 1) / workers),
		.counters = counters_identity,
	};
	struct stat st = {0};
	char path[PATH_MAX];
	int fd, ret = 0;

	snprintf(wanted.hash, sizeof(wanted.hash), "%s", pin_hash_form());
	snprintf(path, sizeof(path), "%s/" PIN_FILE, run_dir);
	*file = (struct pin_file){.bytes = SMALL_PAGE + workers * table_bytes(wanted.buckets)};
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    (st.st_size != (off_t)file->bytes && ftruncate(fd, file->bytes) < 0))
		ret = -errno;
	if (ret == 0) {
		file->header = map_aligned(fd, file->bytes);
		if (file->header == MAP_FAILED)
			ret = -errno;
		else
			ret = take_over_or_fresh(file, fd, &wanted, st.st_size);
	}
	if (ret == 0 && (posix_fallocate(fd, 0, file->bytes) != 0))
		ret = -ENOSPC; /* now, not as a bus error under traffic */
	if (ret == 0) {
		warn_if_on_disk(fd, run_dir);
		touch((uint8_t *)file->header, file->bytes);
	} else {
		warnx("%s, %zu MiB for %u pins: %s", path, file->bytes >> 20, flows,
		      strerror(-ret));
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

void pin_file_close(struct pin_file *file)
{
	if (file->header && file->header != MAP_FAILED)
		munmap(file->header, file->bytes);
	file->header = NULL;
}

struct pin_table pin_file_table(const struct pin_file *file, unsigned worker)
{
	uint8_t *base = (uint8_t *)file->header + SMALL_PAGE;
	return (struct pin_table){
		.bucket = (void *)(base + worker * table_bytes(file->header->buckets)),
		.buckets = file->header->buckets,
	};
}
