/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The little of HTTP/1.1 (RFC 9112) that the lab's server needs: one request per
 * connection, a body only with Content-Length. Blocking sockets with timeouts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_HEAD_MAX 8192

struct http_request {
	char head[HTTP_HEAD_MAX + 1]; /* method and target are words in it */
	size_t head_bytes;	      /* with the empty line */
	size_t held;		      /* bytes present in head: what follows the head is body */
	const char *method, *target;
	bool has_length;
	uint64_t body_bytes;
	bool expects_continue; /* RFC 9110 section 10.1.1 */
};

/* 0, an HTTP status (400, 431, 501) to answer with, or -1: the connection is gone. */
int http_read_head(int fd, struct http_request *request);

/* Hands the body over in pieces. false: the connection broke before its end. */
bool http_read_body(int fd, const struct http_request *request,
		    void (*take)(void *context, const uint8_t *data, size_t bytes), void *context);

bool http_send(int fd, const void *data, size_t bytes);

/* Sends status line and headers; `extra` is header lines ending in CRLF, or "". */
bool http_send_head(int fd, int status, const char *site, uint64_t body_bytes, const char *extra);
