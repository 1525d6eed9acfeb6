/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 5
#define ANSWER_MAX ((size_t)64 << 20)

__attribute__((format(printf, 2, 3))) static int fail(struct ask_error *error, const char *format,
						      ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return -1;
}

static int fail_denied(const char *path, struct ask_error *error)
{
	struct stat stat_of;
	struct group *group = stat(path, &stat_of) == 0 && stat_of.st_mode & S_IWGRP
				      ? getgrgid(stat_of.st_gid)
				      : NULL;

	if (group && stat_of.st_gid != 0)
		return fail(error,
			    "permission denied on %s: run as root or as a member of group %s", path,
			    group->gr_name);
	return fail(error, "permission denied on %s: run as root (sudo)", path);
}

static int fail_connect(const char *program, const char *path, int reason, struct ask_error *error)
{
	switch (reason) {
	case ENOENT:
	case ECONNREFUSED:
		return fail(error,
			    "%s does not answer on %s: is it running? (systemctl status %s; "
			    "another place: --run-dir)",
			    program, path, program);
	case EACCES:
	case EPERM:
		return fail_denied(path, error);
	default:
		return fail(error, "%s: %s", path, strerror(reason));
	}
}

static int open_socket(const char *run_dir, const char *name, int type, const char *program,
		       struct ask_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", run_dir, name);

	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return fail(error, "--run-dir: %s is too long for a socket's path", run_dir);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int reason = errno;
		close(fd);
		return fail_connect(program, address.sun_path, reason, error);
	}
	return fd;
}

static int send_all(int fd, const char *data, size_t bytes, struct ask_error *error)
{
	while (bytes > 0) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return fail(error, "suanlu-control hung up: %s", strerror(errno));
		data += sent;
		bytes -= (size_t)sent;
	}
	return 0;
}

/* One line, without its end; the caller's to free. */
static char *receive_line(int fd, struct ask_error *error)
{
	size_t size = 0, room = 4096;
	char *line = malloc(room);

	while (line && size < ANSWER_MAX) {
		ssize_t got = recv(fd, line + size, room - size - 1, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fail(error, "suanlu-control %s",
			     got == 0 ? "hung up without an answer (see its log)"
				      : "does not answer in time: is it overloaded or stopped?");
			break;
		}
		size += (size_t)got;
		line[size] = '\0';
		char *end = memchr(line + size - (size_t)got, '\n', (size_t)got);
		if (end) {
			*end = '\0';
			return line;
		}
		if (room - size < 4096) {
			char *larger = realloc(line, room *= 2);
			if (!larger)
				fail(error, "out of memory");
			if (!larger)
				break;
			line = larger;
		}
	}
	free(line);
	return NULL;
}

static json_t *parse_answer(const char *line, struct ask_error *error)
{
	json_error_t wrong;
	json_t *answer = json_loads(line, JSON_REJECT_DUPLICATES, &wrong);

	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	const char *text = json_string_value(json_object_get(answer, "error"));
	fail(error, "%s", !answer ? wrong.text : text ? text : "the answer is not understood");
	json_decref(answer);
	return NULL;
}

json_t *ask_control(const char *run_dir, json_t *request, struct ask_error *error)
{
	json_t *answer = NULL;
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	int fd = open_socket(run_dir, "control.sock", SOCK_STREAM, "suanlu-control", error);

	json_decref(request);
	if (fd >= 0 && text && send_all(fd, text, strlen(text), error) == 0 &&
	    send_all(fd, "\n", 1, error) == 0)
		line = receive_line(fd, error);
	if (line)
		answer = parse_answer(line, error);
	if (fd >= 0)
		close(fd);
	free(line);
	free(text);
	return answer;
}

int ask_dataplane(const char *run_dir, struct ask_error *error)
{
	return open_socket(run_dir, "dataplane.sock", SOCK_SEQPACKET, "suanlu-dataplane", error);
}

int ask_send(int fd, const void *message, size_t bytes, struct ask_error *error)
{
	if (send(fd, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes)
		return 0;
	return fail(error, "suanlu-dataplane hung up: %s", strerror(errno));
}

long ask_receive(int fd, void *answer, size_t bytes, enum sl_msg_type type, size_t least,
		 struct ask_error *error)
{
	const struct sl_msg_header *header = answer;
	ssize_t got = recv(fd, answer, bytes, MSG_TRUNC);

	if (got < 0)
		return fail(error, "suanlu-dataplane does not answer: %s", strerror(errno));
	if (got == 0)
		return fail(error, "suanlu-dataplane hung up without an answer (see its log)");
	if ((size_t)got > bytes || (size_t)got < sizeof(*header) ||
	    header->version != SL_ROUTE_VERSION || header->type != type ||
	    header->bytes != (uint32_t)got || (size_t)got < least)
		return fail(error, "suanlu-dataplane's answer is not understood: are both programs "
				   "of one version?");
	return got;
}
