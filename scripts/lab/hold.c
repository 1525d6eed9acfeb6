/* SPDX-License-Identifier: BSD-3-Clause */
#include "hold.h"
#include <errno.h>
#include <error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	int fd;
	unsigned head_end; /* bytes of "\r\n\r\n" seen; 4: the head is over */
	unsigned held;
	char answer[HOLD_ANSWER];
};

static struct {
	int listener;
	const char *site;
} hold;

static void connection_close(struct connection *c)
{
	close(c->fd);
	free(c);
}

static bool head_send(const struct connection *c)
{
	char head[256];
	int bytes =
		snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nX-Site: %s\r\nConnection: close\r\n\r\n", hold.site);

	return send(c->fd, head, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == bytes;
}

static bool byte_take(struct connection *c, char byte)
{
	if (c->head_end < 4) {
		c->head_end = byte == "\r\n\r\n"[c->head_end] ? c->head_end + 1 : byte == '\r';
		return c->head_end < 4 || head_send(c);
	}
	c->answer[c->held++] = byte;
	if (c->held < HOLD_RECORD)
		return true;
	c->held = 0;
	/* The trickle always fits into the send buffer of a client that reads. */
	return send(c->fd, c->answer, HOLD_ANSWER, MSG_NOSIGNAL | MSG_DONTWAIT) == HOLD_ANSWER;
}

static void connection_serve(struct connection *c)
{
	char data[4096];
	ssize_t got = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	for (ssize_t i = 0; i < got; i++) {
		if (!byte_take(c, data[i])) {
			got = -1;
			break;
		}
	}
	if (got <= 0)
		connection_close(c);
}

static void connection_accept(int epoll)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	if (!c)
		return;
	c->fd = accept4(hold.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	strncpy(c->answer + HOLD_RECORD, hold.site, HOLD_SITE - 1);
	if (c->fd < 0)
		free(c);
	else if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		connection_close(c);
}

static void *serve(void *unused)
{
	struct epoll_event event[64] = {{.events = EPOLLIN}};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, hold.listener, event) < 0)
		error(1, errno, "epoll");
	for (;;) {
		int ready = epoll_wait(epoll, event, 64, -1);

		for (int i = 0; i < ready; i++) {
			if (event[i].data.ptr)
				connection_serve(event[i].data.ptr);
			else
				connection_accept(epoll);
		}
	}
	return unused;
}

void hold_start(int listener, const char *site)
{
	pthread_t thread;

	hold.listener = listener;
	hold.site = site;
	if (pthread_create(&thread, NULL, serve, NULL))
		error(1, 0, "no thread for long-lived connections");
}
