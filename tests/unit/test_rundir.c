/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/rundir.h"

static char directory[] = "/tmp/test_rundir.XXXXXX";
static char run_dir[64];
static struct config_site sites[] = {
	{.name = "a", .servers = 1}, {.name = "b", .servers = 1}, {.name = "c", .servers = 1}};
static struct config config = {.run_dir = run_dir, .site = sites, .sites = 3};

static const char *path(const char *name)
{
	static char out[96];

	snprintf(out, sizeof(out), "%s/%s", run_dir, name);
	return out;
}

static void test_lock(void **unused)
{
	struct rundir first, second;
	struct config_error error;
	struct stat stat_now;
	char expected[160];

	(void)unused;
	assert_int_equal(rundir_open(&first, &config, &error), 0);
	assert_int_equal(stat(run_dir, &stat_now), 0);
	assert_int_equal(stat_now.st_mode & 0777, 0750);
	assert_int_equal(rundir_open(&second, &config, &error), -EBUSY);
	snprintf(expected, sizeof(expected), "another suanlu-control runs in %s (pid %d)", run_dir,
		 getpid());
	assert_string_equal(error.text, expected);
	rundir_close(&first);
	assert_int_equal(rundir_open(&second, &config, &error), 0);
	rundir_close(&second);
}

static void test_drained(void **unused)
{
	struct config_error error;
	struct rundir rundir;
	struct state state;
	FILE *file;

	(void)unused;
	assert_int_equal(rundir_open(&rundir, &config, &error), 0);
	assert_int_equal(state_open(&state, &config), 0);
	assert_int_equal(rundir_read_drained(&rundir, &state, &error), 0); /* no file */
	state.site[0].drained = state.site[2].drained = true;
	assert_int_equal(rundir_write_drained(&rundir, &state), 0);
	assert_int_equal(access(path("drained.new"), F_OK), -1);
	state_close(&state);

	file = fopen(path("drained"), "a");
	fputs("gone\n\na-name-that-is-much-longer-than-any-name-may-be-and-goes-on-and-on-and-on\n",
	      file);
	fclose(file);
	assert_int_equal(state_open(&state, &config), 0);
	assert_int_equal(rundir_read_drained(&rundir, &state, &error), 0);
	assert_true(state.site[0].drained && !state.site[1].drained && state.site[2].drained);
	state.site[0].drained = state.site[2].drained = false;
	assert_int_equal(rundir_write_drained(&rundir, &state), 0);
	state.site[0].drained = true;
	state_close(&state);
	assert_int_equal(state_open(&state, &config), 0);
	assert_int_equal(rundir_read_drained(&rundir, &state, &error), 0);
	assert_false(state.site[0].drained);
	state_close(&state);
	rundir_close(&rundir);
}

static void test_errors(void **unused)
{
	static struct config nowhere = {.run_dir = "/proc/nowhere/run"};
	struct config_error error;
	struct rundir rundir;

	(void)unused;
	assert_int_equal(rundir_open(&rundir, &nowhere, &error), -ENOENT);
	assert_string_equal(error.text, "/proc/nowhere/run: No such file or directory");
	assert_int_equal(rundir_drop(&(struct rundir){.config = &config}, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_errors),
	};
	int failed;

	if (!mkdtemp(directory))
		return 1;
	snprintf(run_dir, sizeof(run_dir), "%s/run", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path("drained"));
	unlink(path("control.lock"));
	return rmdir(run_dir) != 0 || rmdir(directory) != 0 || failed;
}
