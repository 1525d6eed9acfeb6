/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/pin_file.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STATED 100000
#define LIVE (STATED * 8 / 10)
#define WORKERS 2
#define COUNTERS 0x1234

static char run_dir[] = "/dev/shm/suanlu-test-XXXXXX";

static uint64_t hash_of(const struct pin_file *file, unsigned flow)
{
	struct flow_key key = {.source_port = flow, .family = 4};

	memcpy(key.source, &flow, sizeof flow);
	return pin_hash(&file->header->secret, &key, SL_AFFINITY_FLOW, 7);
}

static struct pin_file opened(uint32_t flows, unsigned workers, uint64_t counters)
{
	struct pin_file file;

	assert_int_equal(pin_file_open(&file, run_dir, flows, workers, counters), 0);
	return file;
}

static void remove_file(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/" PIN_FILE, run_dir);
	unlink(path);
}

static void insert_all(const struct pin_file *file)
{
	for (unsigned i = 0; i < LIVE; i++) {
		struct pin_table table = pin_file_table(file, i % WORKERS);

		pin_insert(&table, hash_of(file, i), i % 1000, 0, 100, 3600);
	}
}

static unsigned count_right(const struct pin_file *file)
{
	unsigned right = 0;

	for (unsigned i = 0; i < LIVE; i++) {
		struct pin_table table = pin_file_table(file, i % WORKERS);

		right += pin_lookup(&table, hash_of(file, i), 101, 3600).member == i % 1000;
	}
	return right;
}

/* A dataplane that is killed leaves its pins to the next one. */
static void test_kill(void **state)
{
	struct pin_file file;
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (child == 0) {
		file = opened(STATED, WORKERS, COUNTERS);
		insert_all(&file);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	file = opened(STATED, WORKERS, COUNTERS);
	print_message("  %u of %d pins kept, %u right\n", file.kept, LIVE, count_right(&file));
	assert_true(file.kept >= LIVE * 0.999);
	assert_true(count_right(&file) >= LIVE * 0.999);
	pin_file_close(&file);
	remove_file();
}

/* Tables do not overlap, are pairs of lines, and are no larger than the number says. */
static void test_layout(void **state)
{
	struct pin_file file = opened(STATED, WORKERS, COUNTERS);
	const uint8_t *end = NULL;
	size_t bytes = 0;

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		struct pin_table table = pin_file_table(&file, worker);
		const uint8_t *at = (const uint8_t *)table.bucket;

		assert_int_equal((uintptr_t)at % 128, 0);
		assert_true(end == NULL || at >= end);
		end = at + table.buckets * sizeof(struct pin_bucket);
		bytes += table.buckets * sizeof(struct pin_bucket);
		assert_true(end <= (const uint8_t *)file.header + file.bytes);
	}
	assert_true(bytes <= 16 * STATED);
	assert_true(file.bytes <= 16 * STATED + (WORKERS + 1) * 4096);
	pin_file_close(&file);
	remove_file();
}

static void test_other_layout(void **state)
{
	static const struct {
		const char *what;
		uint32_t flows;
		unsigned workers;
		uint64_t counters;
		bool kept;
	} row[] = {
		{"the same", STATED, WORKERS, COUNTERS, true},
		{"another size", STATED * 2, WORKERS, COUNTERS, false},
		{"another number of workers", STATED, WORKERS + 1, COUNTERS, false},
		{"other counters", STATED, WORKERS, COUNTERS + 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct pin_file file = opened(STATED, WORKERS, COUNTERS);
		struct pin_secret secret = file.header->secret;

		print_message("  %s\n", row[i].what);
		insert_all(&file);
		pin_file_close(&file);
		file = opened(row[i].flows, row[i].workers, row[i].counters);
		assert_int_equal(file.kept > 0, row[i].kept);
		assert_int_equal(memcmp(&secret, &file.header->secret, sizeof secret) == 0,
				 row[i].kept);
		pin_file_close(&file);
		remove_file();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_other_layout),
	};
	int ret;

	if (!mkdtemp(run_dir))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(run_dir);
	return ret;
}
