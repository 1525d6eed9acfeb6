/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's configuration file; its key, if it names one, is /proc/self/fd/100. */
#include "fuzz.h"
#include <stdio.h>
#include <suanlu/config.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FD 100

static void make_key(void)
{
	static const char text[] = "suanlu-secret-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	int fd = memfd_create("key", 0);

	assert(write(fd, text, sizeof text - 1) == sizeof text - 1 && fchmod(fd, 0600) == 0);
	assert(dup2(fd, KEY_FD) == KEY_FD);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static int fd = -1;
	static char path[32];
	struct config_error error = {};
	struct config *config = NULL;

	if (fd < 0) {
		make_key();
		fd = memfd_create("configuration", 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
	if (config_load(path, &config, &error) == 0)
		assert(config && error.text[0] == '\0');
	else
		assert(!config && error.text[0] && memchr(error.text, 0, sizeof error.text));
	config_free(config);
	return 0;
}
