/* SPDX-License-Identifier: BSD-3-Clause */
#include "http.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t receive(int fd, void *data, size_t bytes)
{
	ssize_t got;

	do
		got = recv(fd, data, bytes, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static int header_line(struct http_request *request, char *text)
{
	char *value = strchr(text, ':');
	char *end;

	if (!value)
		return 400;
	*value++ = 0;
	value += strspn(value, " \t");
	if (!strcasecmp(text, "content-length")) {
		errno = 0;
		request->body_bytes = strtoull(value, &end, 10);
		if (errno || end == value || *end || *value == '-')
			return 400;
		request->has_length = true;
	} else if (!strcasecmp(text, "transfer-encoding")) {
		return 501;
	} else if (!strcasecmp(text, "expect")) {
		request->expects_continue = !strcasecmp(value, "100-continue");
	}
	return 0;
}

static int parse_head(struct http_request *request)
{
	char *next = request->head, *text = strsep(&next, "\n");
	int status = 0;
	const char *method = strsep(&text, " "), *target = strsep(&text, " ");

	if (!target || !text || strncmp(text, "HTTP/1.", 7))
		return 400;
	request->method = method;
	request->target = target;
	while (!status && (text = strsep(&next, "\n"))) {
		text[strcspn(text, "\r")] = 0;
		if (!*text)
			break;
		status = header_line(request, text);
	}
	return status;
}

int http_read_head(int fd, struct http_request *request)
{
	const char *end = NULL;

	request->held = request->head_bytes = 0;
	request->method = request->target = "-";
	request->has_length = request->expects_continue = false;
	request->body_bytes = 0;
	while (!end) {
		ssize_t got =
			receive(fd, request->head + request->held, HTTP_HEAD_MAX - request->held);

		if (got <= 0)
			return -1;
		request->held += got;
		end = memmem(request->head, request->held, "\r\n\r\n", 4);
		if (!end && request->held == HTTP_HEAD_MAX)
			return 431;
	}
	request->head_bytes = end + 4 - request->head;
	/* The head as text: ends at its empty line, whose newline goes. */
	request->head[request->head_bytes - 1] = 0;
	return parse_head(request);
}

bool http_read_body(int fd, const struct http_request *request,
		    void (*take)(void *context, const uint8_t *data, size_t bytes), void *context)
{
	uint8_t data[65536];
	uint64_t left = request->body_bytes;
	size_t early = request->held - request->head_bytes;

	if (early > left)
		early = left;
	take(context, (const uint8_t *)request->head + request->head_bytes, early);
	left -= early;
	while (left) {
		ssize_t got = receive(fd, data, left < sizeof(data) ? left : sizeof(data));

		if (got <= 0)
			return false;
		take(context, data, got);
		left -= got;
	}
	return true;
}

bool http_send(int fd, const void *data, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		data = (const uint8_t *)data + sent;
		bytes -= sent;
	}
	return true;
}

static const char *reason(int status)
{
	switch (status) {
	case 100:
		return "Continue";
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 411:
		return "Length Required";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	default:
		return "Bad Request";
	}
}

bool http_send_head(int fd, int status, const char *site, uint64_t body_bytes, const char *extra)
{
	char head[1024];
	int bytes;

	if (status == 100)
		return http_send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	bytes = snprintf(head, sizeof(head),
			 "HTTP/1.1 %d %s\r\nX-Site: %s\r\nContent-Length: %" PRIu64
			 "\r\nConnection: close\r\n%s\r\n",
			 status, reason(status), site, body_bytes, extra);
	return http_send(fd, head, bytes);
}
