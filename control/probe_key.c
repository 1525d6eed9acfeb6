/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <suanlu/config.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_LEAST_BYTES 16

static int read_text(const char *file, char *text, size_t room, char *why, size_t why_bytes)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat status;
	ssize_t got = -1;

	if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 077)) {
		snprintf(why, why_bytes,
			 "%s: others have access to this secret (mode %04o); remedy: chmod 600 %s",
			 file, status.st_mode & 07777, file);
		close(fd);
		return -EACCES;
	}
	if (fd >= 0)
		got = read(fd, text, room - 1);
	if (got < 0) {
		snprintf(why, why_bytes, "%s: %s", file, strerror(errno));
		got = -errno;
	}
	if (fd >= 0)
		close(fd);
	if (got >= 0)
		text[got] = '\0';
	return (int)got;
}

int config_probe_key(const char *file, uint8_t secret[SL_PROBE_KEY_MAX], char *why,
		     size_t why_bytes)
{
	char text[4 * SL_PROBE_KEY_MAX];
	size_t bytes = 0;
	int got = read_text(file, text, sizeof(text), why, why_bytes);

	if (got < 0)
		return got;
	if (sodium_base642bin(secret, SL_PROBE_KEY_MAX, text, strlen(text), "\r\n\t ", &bytes, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes < KEY_LEAST_BYTES) {
		snprintf(why, why_bytes,
			 "%s: expected %d to %d bytes in base64, which both ends of a path have; "
			 "remedy: head -c 32 /dev/urandom | base64 > %s",
			 file, KEY_LEAST_BYTES, SL_PROBE_KEY_MAX, file);
		bytes = 0;
	}
	sodium_memzero(text, sizeof(text));
	return bytes ? (int)bytes : -EINVAL;
}
