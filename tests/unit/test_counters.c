/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/counters.h"

static struct config_site sites[] = {{.name = "a", .servers = 1}, {.name = "b", .servers = 1}};
static unsigned members[] = {0, 1};
static struct config_service services[] = {
	{.name = "infer", .site = members, .sites = 2},
	{.name = "dns", .site = &members[1], .sites = 1},
};
static struct config config = {.site = sites, .sites = 2, .service = services, .services = 2};
static struct state state;
static struct counters counters;
static double now_s;

static size_t file_bytes(unsigned workers)
{
	return sizeof(struct sl_counters) + workers * sizeof(struct sl_worker_counters);
}

/* A new file in the place of the old one, as a dataplane makes it; mapped for writing. */
static struct sl_counters *make_file(unsigned workers)
{
	char path[160], next[160];
	struct sl_counters *map;
	int fd;

	snprintf(path, sizeof(path), "%s/counters", config.run_dir);
	snprintf(next, sizeof(next), "%s/next", config.run_dir);
	fd = open(next, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)file_bytes(workers)), 0);
	map = mmap(NULL, file_bytes(workers), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);
	map->magic = SL_COUNTERS_MAGIC;
	map->version = SL_COUNTERS_VERSION;
	map->workers = workers;
	assert_int_equal(rename(next, path), 0);
	return map;
}

static void set_member(struct sl_counters *map, unsigned slot, const char *service,
		       const char *site)
{
	strncpy(map->member[slot].service, service, SL_NAME_MAX);
	strncpy(map->member[slot].site, site, SL_NAME_MAX);
}

static bool refresh(void)
{
	now_s += 1;
	return counters_refresh(&counters, &state, now_s);
}

static bool flows(unsigned service, unsigned k, uint64_t *out)
{
	struct sl_member_counters sum;
	bool counted = counters_member(&counters, &config, service, k, &sum);

	*out = sum.new_flows;
	return counted;
}

static void test_sums(void **unused)
{
	struct sl_counters *map = make_file(2);
	uint64_t n;

	(void)unused;
	set_member(map, 5, "infer", "a");
	set_member(map, 65534, "infer", "b");
	set_member(map, 6, "other", "a");
	map->worker[0].member[5].new_flows = 3;
	map->worker[1].member[5].new_flows = 4;
	map->worker[1].member[65534].new_flows = 9;
	assert_true(refresh());
	assert_false(refresh());
	assert_true(flows(0, 0, &n) && n == 7);
	assert_true(flows(0, 1, &n) && n == 9);
	assert_false(flows(1, 0, &n));
	assert_int_equal(n, 0);
	map->worker[0].member[5].new_flows = 10;
	assert_true(flows(0, 0, &n) && n == 14);
	set_member(map, 7, "dns", "b"); /* a service that came later */
	map->worker[0].member[7].new_flows = 1;
	refresh();
	assert_true(flows(1, 0, &n) && n == 1);
	munmap(map, file_bytes(2));
}

static void test_replaced(void **unused)
{
	struct sl_counters *old = make_file(1), *new;
	uint64_t n;

	(void)unused;
	set_member(old, 1, "infer", "a");
	old->worker[0].member[1].new_flows = 100;
	assert_true(refresh());
	assert_true(flows(0, 0, &n) && n == 100);
	new = make_file(1);
	set_member(new, 2, "infer", "a");
	new->worker[0].member[2].new_flows = 1;
	assert_true(refresh());
	assert_true(flows(0, 0, &n) && n == 1);
	/* a slot that was given to another pair is not ours any more */
	set_member(new, 2, "infer", "b");
	assert_false(flows(0, 0, &n));
	munmap(old, file_bytes(1));
	munmap(new, file_bytes(1));
}

static void cut_file(off_t bytes)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/counters", config.run_dir);
	assert_int_equal(truncate(path, bytes), 0);
}

static void test_untrusted(void **unused)
{
	struct sl_counters *map = make_file(1);
	uint64_t n;

	(void)unused;
	map->workers = UINT32_MAX; /* more than lie in the file */
	set_member(map, 1, "infer", "a");
	map->worker[0].member[1].new_flows = 2;
	memset(&map->member[2], 'x', sizeof(map->member[2])); /* names without an end */
	refresh();
	assert_int_equal(counters.workers, 1);
	assert_true(flows(0, 0, &n) && n == 2);
	map->version++;
	refresh();
	assert_null(counters.map);
	assert_false(flows(0, 0, &n));
	map->version--;
	refresh();
	assert_true(flows(0, 0, &n) && n == 2);
	map->magic ^= 1;
	refresh();
	assert_null(counters.map);
	map->magic ^= 1;
	cut_file((off_t)sizeof(struct sl_counters) + 4096); /* less than one worker */
	refresh();
	assert_non_null(counters.map);
	assert_int_equal(counters.workers, 0);
	assert_true(flows(0, 0, &n) && n == 0);
	for (off_t bytes = 0; bytes < (off_t)sizeof(struct sl_counters); bytes += 65521) {
		cut_file(bytes);
		refresh();
		assert_null(counters.map);
	}
	munmap(map, file_bytes(1));
}

static void test_missing(void **unused)
{
	char path[160];
	uint64_t n;

	(void)unused;
	munmap(make_file(1), file_bytes(1));
	assert_true(refresh());
	snprintf(path, sizeof(path), "%s/counters", config.run_dir);
	unlink(path);
	assert_true(refresh());
	assert_null(counters.map);
	assert_false(flows(0, 0, &n));
	assert_false(refresh());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_untrusted),
		cmocka_unit_test(test_missing),
	};
	char directory[] = "/tmp/test_counters.XXXXXX";
	int failed;

	if (!mkdtemp(directory))
		return 1;
	config.run_dir = directory;
	if (state_open(&state, &config) < 0 || counters_open(&counters, &config) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	counters_close(&counters);
	state_close(&state);
	return rmdir(directory) != 0 || failed;
}
