/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open loop: requests start when they are due, whatever became of the earlier ones.
 *
 * The log (--log) has a line per request: due (Unix time) and latency in microseconds,
 * site or "-", failure or "-".
 */
#include "client.h"
#include "figures.h"
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define HEAD_MAX 2048
#define EVENTS 256

struct request {
	TAILQ_ENTRY(request) in_flight; /* in the order they were due */
	uint64_t due_us;		/* CLOCK_MONOTONIC, as all times here */
	int fd;
	bool sent;
	unsigned held; /* of the head */
	char head[HEAD_MAX + 1];
	uint64_t body_left; /* once head_done */
	bool head_done;
	char site[FIGURES_SITE_MAX];
};

static TAILQ_HEAD(, request) in_flight = TAILQ_HEAD_INITIALIZER(in_flight);
static const struct client_options *options;
static struct figures *figures;
static struct drand48_data random_state;
static FILE *log_file;
static int64_t unix_offset_us;
static int epoll;
static char text[512]; /* the request */
static unsigned text_bytes;

static void request_end(struct request *request, enum failure failure)
{
	uint64_t latency_us = client_now_us(CLOCK_MONOTONIC) - request->due_us;

	if (failure)
		figures_failed(figures, failure);
	else
		figures_done(figures, latency_us, request->site);
	if (log_file)
		fprintf(log_file, "%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n",
			request->due_us + unix_offset_us, latency_us,
			*request->site ? request->site : "-", failure_text(failure));
	if (request->fd >= 0)
		close(request->fd);
	TAILQ_REMOVE(&in_flight, request, in_flight);
	free(request);
}

static enum failure failure_of(int reason)
{
	switch (reason) {
	case ECONNREFUSED:
		return FAILURE_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return FAILURE_RESET;
	case ETIMEDOUT:
		return FAILURE_TIMEOUT;
	default:
		return FAILURE_LOCAL;
	}
}

static void request_start(uint64_t due_us)
{
	static unsigned turn;
	struct request *request = calloc(1, sizeof(*request));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = request};

	if (!request)
		error(1, errno, "a request");
	request->due_us = due_us;
	TAILQ_INSERT_TAIL(&in_flight, request, in_flight);
	figures_due(figures);
	request->fd = client_connect(&options->target[turn++ % options->targets]);
	if (request->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, request->fd, &event) < 0)
		request_end(request, request->fd < 0 ? failure_of(errno) : FAILURE_LOCAL);
}

/* true: the head is whole and says 200. */
static bool head_parse(struct request *request, const char *end)
{
	const char *length = strcasestr(request->head, "\r\nContent-Length:");
	const char *site = strcasestr(request->head, "\r\nX-Site:");
	uint64_t early = request->head + request->held - end;

	if (strncmp(request->head, "HTTP/1.1 200 ", 13) || !length || length > end)
		return false;
	request->body_left = strtoull(length + 17, NULL, 10);
	request->body_left -= early < request->body_left ? early : request->body_left;
	if (site && site < end)
		sscanf(site + 9, " %15[^\r\n]", request->site);
	request->head_done = true;
	return true;
}

static void request_read(struct request *request)
{
	static char waste[65536];

	for (;;) {
		char *to = request->head_done ? waste : request->head + request->held;
		size_t room = request->head_done ? sizeof(waste) : HEAD_MAX - request->held;
		ssize_t got = recv(request->fd, to, room, 0);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			request_end(request, got ? failure_of(errno) : FAILURE_CLOSED);
			return;
		}
		if (request->head_done) {
			request->body_left -= (uint64_t)got < request->body_left
						      ? (uint64_t)got
						      : request->body_left;
		} else {
			char *end;

			request->held += got;
			request->head[request->held] = 0;
			end = strstr(request->head, "\r\n\r\n");
			if (end ? !head_parse(request, end + 4) : request->held == HEAD_MAX) {
				request_end(request, FAILURE_STATUS);
				return;
			}
		}
		if (request->head_done && !request->body_left) {
			request_end(request, FAILURE_NONE);
			return;
		}
	}
}

static void request_event(struct request *request, uint32_t events)
{
	if (!request->sent && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		ssize_t sent = send(request->fd, text, text_bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN) {
			request_end(request, failure_of(errno));
			return;
		}
		request->sent = sent == text_bytes;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		request_read(request);
}

static double gap_us(void)
{
	double u;

	drand48_r(&random_state, &u);
	return (options->constant ? 1 : -log1p(-u)) / options->rate_per_s * 1e6;
}

static void wait_until(uint64_t wake_us)
{
	struct epoll_event event[EVENTS];
	uint64_t now_us = client_now_us(CLOCK_MONOTONIC);
	uint64_t wait_us = wake_us > now_us ? wake_us - now_us : 0;
	struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
	int ready = epoll_pwait2(epoll, event, EVENTS, &wait, NULL);

	for (int i = 0; i < ready; i++)
		request_event(event[i].data.ptr, event[i].events);
}

static void expire(uint64_t now_us)
{
	struct request *first;

	while ((first = TAILQ_FIRST(&in_flight)) && now_us >= first->due_us + options->timeout_us)
		request_end(first, FAILURE_TIMEOUT);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void run(void)
{
	uint64_t start_us = client_now_us(CLOCK_MONOTONIC), now_us = start_us;
	uint64_t end_us = start_us + options->seconds * 1e6, second_us = start_us + 1000000;
	double due_us = start_us + gap_us();

	for (;;) {
		struct request *first;
		bool more = due_us < end_us && !client_stopped;
		uint64_t wake_us = more ? least(due_us, second_us) : second_us;

		first = TAILQ_FIRST(&in_flight);
		if (!more && !first)
			break;
		wait_until(first ? least(wake_us, first->due_us + options->timeout_us) : wake_us);
		now_us = client_now_us(CLOCK_MONOTONIC);
		for (; due_us <= now_us && due_us < end_us && !client_stopped; due_us += gap_us())
			request_start(due_us);
		expire(now_us);
		for (; second_us <= now_us; second_us += 1000000)
			figures_second(figures, (second_us + unix_offset_us) / 1e6, stdout);
	}
	figures_summary(figures, (now_us - start_us) / 1e6, stdout);
}

int load_run(const struct client_options *asked)
{
	const struct sockaddr_storage *first = &asked->target[0];

	options = asked;
	figures = figures_new(options->timeout_us);
	srand48_r(options->seed, &random_state);
	unix_offset_us = client_now_us(CLOCK_REALTIME) - client_now_us(CLOCK_MONOTONIC);
	text_bytes = snprintf(text, sizeof(text),
			      "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			      options->path, first->ss_family == AF_INET ? "service" : "service6");
	if (options->log_name) {
		log_file = fopen(options->log_name, "we");
		if (!log_file)
			error(1, errno, "%s", options->log_name);
		setvbuf(log_file, NULL, _IOLBF, 0);
	}
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		error(1, errno, "epoll");
	run();
	return 0;
}
