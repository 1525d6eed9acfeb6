/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pin tables of all workers in shared memory, RUN_DIR/pins, so that a dataplane that is started
 *again finds its flows where it left them. Main thread, at start and stop.
 *
 *	one page:        struct pin_file_header
 *	then per worker: its buckets
 *
 * The tables are taken over only if all of the header is what this run would write: the
 * layout version, the form of the hash, the numbers of workers and buckets, and the
 * counters file (pins name its member slots). Else they start empty, which is said once.
 */
#pragma once

#include "pin.h"

#define PIN_FILE "pins"
#define PIN_FILE_VERSION 2

struct pin_file_header {
	uint64_t magic;
	uint32_t version;
	uint32_t workers;
	uint64_t buckets;  /* of each worker's table, even */
	uint64_t counters; /* identity of the counters file */
	char hash[16];	   /* pin_hash_form */
	struct pin_secret secret;
};

struct pin_file {
	struct pin_file_header *header;
	size_t bytes;
	unsigned kept; /* pins taken over from an earlier run */
};

/*
 * `flows` in all, shared out evenly. Every page is there before this returns, in large
 * pages where the kernel can. 0 or -errno, said on stderr.
 */
int pin_file_open(struct pin_file *file, const char *run_dir, uint32_t flows, unsigned workers,
		  uint64_t counters_identity);
void pin_file_close(struct pin_file *file);

struct pin_table pin_file_table(const struct pin_file *file, unsigned worker);
