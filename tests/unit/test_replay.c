/* SPDX-License-Identifier: BSD-3-Clause */
/* The file over restarts, reloads and whatever may have become of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/replay.h"

#define NOW_US 1700000000000000ull

static char run_dir[] = "/tmp/test_replay.XXXXXX", path[64];
static struct key own, key[3];
static struct config_site sites[] = {
	{.name = "a", .has_key = true}, {.name = "b", .has_key = true}, {.name = "no key"}};
static struct config_edge edges[] = {{.name = "e"}};
static struct config config = {
	.run_dir = run_dir, .site = sites, .sites = 3, .edge = edges, .edges = 1};

struct run {
	struct verify *verify;
	struct replay replay;
};

static struct run run_open(const struct config *from)
{
	struct run run = {};

	assert_int_equal(verify_open(&run.verify, &own), 0);
	for (unsigned i = 0; i < from->sites + from->edges; i++) {
		const uint8_t *public = i < from->sites ? from->site[i].key : from->edge[0].key;

		if (i >= from->sites || from->site[i].has_key)
			assert_int_equal(verify_add(run.verify, public, i, NULL), 0);
	}
	replay_open(&run.replay, from, run.verify, NOW_US);
	return run;
}

static void run_close(struct run *run)
{
	verify_close(run->verify);
	replay_close(&run->replay);
}

static uint64_t *newest(struct run *run, const struct key *of)
{
	for (uint32_t i = 0; run->replay.map && i < run->replay.map->entries; i++)
		if (memcmp(run->replay.map->entry[i].key, of->public, SL_KEY_BYTES) == 0)
			return &run->replay.map->entry[i].newest_us;
	return NULL;
}

static int set_up(void **state)
{
	(void)state;
	unlink(path);
	rmdir(path);
	return 0;
}

static void survives(void **state)
{
	struct run run = run_open(&config);
	struct stat stat_now;

	(void)state;
	assert_int_equal(run.replay.map->entries, 3);
	assert_int_equal(*newest(&run, &key[0]), 0);
	*newest(&run, &key[0]) = NOW_US - 7; /* as the verifier does for each report */
	*newest(&run, &key[2]) = NOW_US - 9;
	/* killed: nothing is closed, and what was written is there */
	struct run again = run_open(&config);

	assert_int_equal(*newest(&again, &key[0]), NOW_US - 7);
	assert_int_equal(*newest(&again, &key[1]), 0);
	assert_int_equal(*newest(&again, &key[2]), NOW_US - 9);
	assert_int_equal(stat(path, &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 07777, 0600);
	run_close(&again);
	run_close(&run);
}

/* A key that goes and comes back within a report's validity is still known; later it is not. */
static void remembers_who_is_gone(void **state)
{
	struct config without = config;
	struct run run = run_open(&config);

	(void)state;
	*newest(&run, &key[0]) = NOW_US - 61000000;
	*newest(&run, &key[2]) = NOW_US - 59000000;
	run_close(&run);
	without.sites = 0;
	without.edges = 0;
	run = run_open(&without);
	assert_null(newest(&run, &key[0]));
	assert_int_equal(*newest(&run, &key[2]), NOW_US - 59000000);
	run_close(&run);
	run = run_open(&config);
	assert_int_equal(*newest(&run, &key[0]), 0);
	assert_int_equal(*newest(&run, &key[2]), NOW_US - 59000000);
	run_close(&run);
}

/* Of a clock that was wrong: the sender is not shut out until then. */
static void bounds_what_is_to_come(void **state)
{
	struct run run = run_open(&config);

	(void)state;
	*newest(&run, &key[0]) = NOW_US + 3600000000;
	*newest(&run, &key[1]) = UINT64_MAX;
	run_close(&run);
	run = run_open(&config);
	assert_int_equal(*newest(&run, &key[0]), NOW_US);
	assert_int_equal(*newest(&run, &key[1]), NOW_US);
	run_close(&run);
}

/* The first bytes of a good file with one of them changed, or cut. */
static void write_damaged(const uint8_t *good, size_t bytes, size_t flip)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t copy[512];

	memcpy(copy, good, bytes);
	if (flip < bytes)
		copy[flip] ^= 0x55;
	assert_true(fd >= 0 && write(fd, copy, bytes) == (ssize_t)bytes);
	close(fd);
}

static void starts_anew_from_any_damage(void **state)
{
	struct run run = run_open(&config);
	size_t bytes = sizeof(struct replay_map) + 3 * sizeof(struct replay_entry);
	uint8_t good[512];
	int fd = open(path, O_RDONLY);

	(void)state;
	assert_int_equal(read(fd, good, sizeof(good)), bytes);
	close(fd);
	run_close(&run);
	for (size_t cut = 0; cut < bytes; cut++) {
		write_damaged(good, cut, SIZE_MAX);
		run = run_open(&config);
		assert_int_equal(run.replay.map->entries, 3);
		run_close(&run);
	}
	for (size_t flip = 0; flip < sizeof(struct replay_map); flip++) {
		write_damaged(good, bytes, flip);
		run = run_open(&config);
		assert_int_equal(run.replay.map->entries, 3);
		run_close(&run);
	}
}

static void costs_a_warning_if_it_cannot_be(void **state)
{
	struct rlimit limit, none = {};
	struct run run;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	run = run_open(&config);
	assert_null(run.replay.map);
	run_close(&run);
	assert_int_equal(rmdir(path), 0);
	/* as a full disk: not a byte can be had */
	getrlimit(RLIMIT_FSIZE, &limit);
	none.rlim_max = limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	run = run_open(&config);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_null(run.replay.map);
	run_close(&run);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(survives, set_up),
		cmocka_unit_test_setup(remembers_who_is_gone, set_up),
		cmocka_unit_test_setup(bounds_what_is_to_come, set_up),
		cmocka_unit_test_setup(starts_anew_from_any_damage, set_up),
		cmocka_unit_test_setup(costs_a_warning_if_it_cannot_be, set_up),
	};
	char command[64];
	int failed;

	if (sodium_init() < 0 || !mkdtemp(run_dir))
		return 1;
	snprintf(path, sizeof(path), "%s/" REPLAY_FILE, run_dir);
	crypto_sign_keypair(own.public, own.secret);
	for (unsigned i = 0; i < 3; i++) {
		crypto_sign_keypair(key[i].public, key[i].secret);
		memcpy(i < 2 ? sites[i].key : edges[0].key, key[i].public, SL_KEY_BYTES);
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", run_dir);
	return system(command) != 0 || failed;
}
