/* SPDX-License-Identifier: BSD-3-Clause */
#include "key.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_TAG "suanlu-secret-1 "
#define FILE_BYTES_MAX 512

_Thread_local char key_last_error[256];

__attribute__((format(printf, 4, 5))) static int fail(int error, char *text, size_t bytes,
						      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, bytes, format, arguments);
	va_end(arguments);
	return error;
}

int key_parse_public(const char *text, uint8_t out[KEY_PUBLIC_BYTES])
{
	uint8_t key[KEY_PUBLIC_BYTES];
	size_t bytes;

	if (sodium_base642bin(key, sizeof(key), text, strlen(text), NULL, &bytes, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes != sizeof(key))
		return -EINVAL;
	memcpy(out, key, sizeof(key));
	return 0;
}

void key_print_public(const uint8_t key[KEY_PUBLIC_BYTES], char text[SL_KEY_TEXT])
{
	sodium_bin2base64(text, SL_KEY_TEXT, key, KEY_PUBLIC_BYTES, sodium_base64_VARIANT_ORIGINAL);
}

/* Splits off the port; the address stays in `host`, brackets removed. */
static const char *split_port(char *host)
{
	char *colon = strrchr(host, ':');
	size_t bytes;

	if (!colon || colon == host)
		return NULL;
	*colon = '\0';
	bytes = strlen(host);
	if (host[0] == '[' && host[bytes - 1] == ']') {
		memmove(host, host + 1, bytes - 2);
		host[bytes - 2] = '\0';
	} else if (strchr(host, ':')) {
		return NULL; /* an IPv6 address without brackets: the port would be a guess */
	}
	return colon + 1;
}

int key_parse_address(const char *text, struct sockaddr_storage *out)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char host[128];
	const char *port;
	int bytes;

	if (strlen(text) >= sizeof(host))
		return -EINVAL;
	strcpy(host, text);
	port = split_port(host);
	if (!port || port[0] < '1' || port[0] > '9' || strlen(port) > 5 ||
	    strspn(port, "0123456789") != strlen(port) || strtoul(port, NULL, 10) > 65535)
		return -EINVAL;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	bytes = (int)found->ai_addrlen;
	memset(out, 0, sizeof(*out));
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return bytes;
}

static int check_file(int fd, const char *file, char *error, size_t error_bytes)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return fail(-errno, error, error_bytes, "%s: %s", file, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(-EINVAL, error, error_bytes, "%s: not a key file", file);
	if (status.st_mode & 077)
		return fail(
			-EACCES, error, error_bytes,
			"%s: others have access to this secret (mode %04o); remedy: chmod 600 %s",
			file, status.st_mode & 07777, file);
	return 0;
}

/* The seed line may stand anywhere; comments and empty lines around it do not matter. */
static int parse_seed(const char *text, uint8_t seed[crypto_sign_SEEDBYTES])
{
	const char *line = text;
	size_t bytes, base64_bytes;

	while (strncmp(line, SEED_TAG, strlen(SEED_TAG)) != 0) {
		line = strchr(line, '\n');
		if (!line)
			return -EINVAL;
		line++;
	}
	line += strlen(SEED_TAG);
	base64_bytes = strcspn(line, "\r\n");
	if (sodium_base642bin(seed, crypto_sign_SEEDBYTES, line, base64_bytes, NULL, &bytes, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    bytes != crypto_sign_SEEDBYTES)
		return -EINVAL;
	return 0;
}

static int read_seed(int fd, const char *file, uint8_t seed[crypto_sign_SEEDBYTES], char *error,
		     size_t error_bytes)
{
	char text[FILE_BYTES_MAX + 1];
	ssize_t bytes;
	int err = 0;

	bytes = read(fd, text, sizeof(text) - 1);
	if (bytes < 0)
		return fail(-errno, error, error_bytes, "%s: %s", file, strerror(errno));
	text[bytes] = '\0';
	if (parse_seed(text, seed) < 0)
		err = fail(-EINVAL, error, error_bytes,
			   "%s: not a key file; `suanlu keygen` makes one", file);
	sodium_memzero(text, sizeof(text));
	return err;
}

int key_read(const char *file, struct key *out, char *error, size_t error_bytes)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	int fd, err;

	if (sodium_init() < 0)
		return fail(-EIO, error, error_bytes, "libsodium does not start");
	/* O_NONBLOCK: a FIFO must not hang us before check_file refuses it */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(-errno, error, error_bytes, "%s: %s", file, strerror(errno));
	err = check_file(fd, file, error, error_bytes);
	if (!err)
		err = read_seed(fd, file, seed, error, error_bytes);
	close(fd);
	if (!err)
		crypto_sign_seed_keypair(out->public, out->secret, seed);
	sodium_memzero(seed, sizeof(seed));
	return err;
}

static int write_whole(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t written = write(fd, text, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		bytes -= (size_t)written;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_key(int fd, const uint8_t seed[crypto_sign_SEEDBYTES],
		     const char public_key[SL_KEY_TEXT])
{
	char text[FILE_BYTES_MAX], base64[SL_KEY_TEXT];
	int bytes, err;

	sodium_bin2base64(base64, sizeof(base64), seed, crypto_sign_SEEDBYTES,
			  sodium_base64_VARIANT_ORIGINAL);
	bytes = snprintf(text, sizeof(text), "# public key: %s\n" SEED_TAG "%s\n", public_key,
			 base64);
	err = write_whole(fd, text, (size_t)bytes);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(base64, sizeof(base64));
	return err;
}

int sl_keygen(const char *file, char public_key[SL_KEY_TEXT])
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	struct key key;
	int fd, err;

	if (sodium_init() < 0)
		return fail(-EIO, key_last_error, sizeof(key_last_error),
			    "libsodium does not start");
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(-errno, key_last_error, sizeof(key_last_error), "%s: %s%s", file,
			    strerror(errno),
			    errno == EEXIST ? "; a key is never overwritten, choose another name"
					    : "");
	randombytes_buf(seed, sizeof(seed));
	crypto_sign_seed_keypair(key.public, key.secret, seed);
	key_print_public(key.public, public_key);
	err = write_key(fd, seed, public_key);
	if (close(fd) < 0 && !err)
		err = -errno;
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(&key, sizeof(key));
	if (err < 0) {
		unlink(file); /* half a key of ours: O_EXCL made it */
		return fail(err, key_last_error, sizeof(key_last_error), "%s: %s", file,
			    strerror(-err));
	}
	return 0;
}

int sl_key_public(const char *file, char public_key[SL_KEY_TEXT])
{
	struct key key;
	int err = key_read(file, &key, key_last_error, sizeof(key_last_error));

	if (err < 0)
		return err;
	key_print_public(key.public, public_key);
	sodium_memzero(&key, sizeof(key));
	return 0;
}
