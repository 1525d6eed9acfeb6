/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Key files and addresses as people write them.
 *
 * A key file is text: a comment with the public key, then
 *	suanlu-secret-1 BASE64(32-byte Ed25519 seed)
 * Only its owner may have access to it. Secrets are wiped by whoever read them
 * (sodium_memzero on struct key). Called at start only; nothing here is for a hot path.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <suanlu/publish.h>
#include <sys/socket.h>

#define KEY_PUBLIC_BYTES 32
#define KEY_SECRET_BYTES 64 /* libsodium's form: seed, then public key */

struct key {
	uint8_t public[KEY_PUBLIC_BYTES];
	uint8_t secret[KEY_SECRET_BYTES];
};

/*
 * 0, or -errno with the reason and the remedy in error (one line, always terminated):
 * -EACCES also if anybody but the owner has access, -EINVAL if it is no key file.
 */
int key_read(const char *file, struct key *out, char *error, size_t error_bytes);

/* A public key in base64. -EINVAL; *out is then untouched. */
int key_parse_public(const char *text, uint8_t out[KEY_PUBLIC_BYTES]);
void key_print_public(const uint8_t key[KEY_PUBLIC_BYTES], char text[SL_KEY_TEXT]);

/*
 * "192.0.2.1:7801" or "[2001:db8::1]:7801"; a scope ("%eth0") is understood, a host name is
 * not: looking it up would block. Returns the length of *out, or -EINVAL.
 */
int key_parse_address(const char *text, struct sockaddr_storage *out);

/* Why the last sl_keygen, sl_key_public or sl_publisher_open of this thread failed. */
extern _Thread_local char key_last_error[256];
