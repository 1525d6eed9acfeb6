/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long-lived connections (hold.h): each sends a record every interval and expects it
 * back with the name of the site. Connections take their turns evenly over the interval.
 *
 * The answer at the end, one JSON line: how many opened, broke (reset, closed, or silent for
 * the timeout), changed their site, got garbled records; by site, too. The log (--log) has a
 * line per connection: site, records answered, what ended it or "-", when, and when it was
 * begun (Unix time, microseconds). With --reopen a broken one is logged at once and
 * another takes its place; the answer is about those that stand at the end.
 */
#include "client.h"
#include "hold.h"
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HEAD_MAX 1024

struct connection {
	int fd; /* -1: not open (yet, or any more) */
	bool started, answered;
	bool changed, garbled;
	const char *broken; /* what ended it */
	uint64_t broken_us; /* Unix time */
	char site[HOLD_SITE + 1];
	uint64_t sent, received; /* records */
	uint64_t begun_us, heard_us;
	unsigned held;
	char data[HEAD_MAX + 1];
};

static const struct client_options *options;
static FILE *log_file;
static uint64_t unix_offset_us;
static int epoll;
static const char request[] = "GET /hold HTTP/1.1\r\nHost: service\r\n\r\n";

static void connection_log(const struct connection *c)
{
	if (log_file)
		fprintf(log_file, "%s\t%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRIu64 "\n",
			*c->site ? c->site : "-", c->received, c->broken ? c->broken : "-",
			c->broken_us, c->begun_us + unix_offset_us);
}

static void connection_break(struct connection *c, const char *why)
{
	c->broken = why;
	c->broken_us = client_now_us(CLOCK_REALTIME);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (options->reopen) {
		connection_log(c);
		*c = (struct connection){.fd = -1};
	}
}

static void connection_start(struct connection *c, unsigned number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	c->started = true;
	c->begun_us = c->heard_us = client_now_us(CLOCK_MONOTONIC);
	c->fd = client_connect(&options->target[number % options->targets]);
	if (c->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		connection_break(c, strerror(errno));
}

/* The request goes with the first turn after the connection stands. */
static void connection_turn(struct connection *c)
{
	char record[HOLD_RECORD + 1];
	uint64_t silent_us = client_now_us(CLOCK_MONOTONIC) - c->heard_us;
	ssize_t sent;

	if (silent_us > options->timeout_us) {
		connection_break(c, "silent");
		return;
	}
	if (!c->sent) {
		sent = send(c->fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return; /* still connecting */
		if (sent != sizeof(request) - 1) {
			connection_break(c, sent < 0 ? strerror(errno) : "short write");
			return;
		}
	}
	snprintf(record, sizeof(record), "%016" PRIx64, ++c->sent);
	sent = send(c->fd, record, HOLD_RECORD, MSG_NOSIGNAL);
	if (sent != HOLD_RECORD)
		connection_break(c, sent < 0 ? strerror(errno) : "short write");
}

static unsigned head_take(struct connection *c)
{
	char *end = strstr(c->data, "\r\n\r\n"), *site = strcasestr(c->data, "\r\nX-Site:");

	if (!end)
		return 0;
	if (strncmp(c->data, "HTTP/1.1 200 ", 13) || !site ||
	    sscanf(site + 9, " %16[^\r\n]", c->site) != 1)
		c->garbled = true;
	c->answered = true;
	return end + 4 - c->data;
}

static unsigned record_take(struct connection *c, const char *answer)
{
	char expected[HOLD_RECORD + 1];

	snprintf(expected, sizeof(expected), "%016" PRIx64, ++c->received);
	c->garbled |= memcmp(answer, expected, HOLD_RECORD) != 0;
	c->changed |= strncmp(answer + HOLD_RECORD, c->site, HOLD_SITE) != 0;
	return HOLD_ANSWER;
}

static void connection_read(struct connection *c)
{
	ssize_t got;
	unsigned used = 0;

	if (c->fd < 0)
		return;
	got = recv(c->fd, c->data + c->held, HEAD_MAX - c->held, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		connection_break(c, got ? strerror(errno) : "closed");
		return;
	}
	c->heard_us = client_now_us(CLOCK_MONOTONIC);
	c->held += got;
	c->data[c->held] = 0;
	if (!c->answered)
		used = head_take(c);
	while (c->answered && c->held - used >= HOLD_ANSWER)
		used += record_take(c, c->data + used);
	c->held -= used;
	memmove(c->data, c->data + used, c->held);
}

static void run(struct connection *connection)
{
	double step_us = (double)options->interval_us / options->connections;
	uint64_t end_us = client_now_us(CLOCK_MONOTONIC) + options->seconds * 1e6;
	double turn_us = client_now_us(CLOCK_MONOTONIC);
	unsigned turn = 0;

	while (!client_stopped && client_now_us(CLOCK_MONOTONIC) < end_us) {
		struct epoll_event event[64];
		uint64_t now_us = client_now_us(CLOCK_MONOTONIC);
		uint64_t wait_us = turn_us > now_us ? turn_us - now_us : 0;
		struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};
		int ready = epoll_pwait2(epoll, event, 64, &wait, NULL);

		for (int i = 0; i < ready; i++)
			connection_read(event[i].data.ptr);
		now_us = client_now_us(CLOCK_MONOTONIC);
		for (; turn_us <= now_us; turn_us += step_us, turn++) {
			struct connection *c = &connection[turn % options->connections];

			if (!c->started)
				connection_start(c, turn);
			else if (c->fd >= 0)
				connection_turn(c);
		}
	}
}

static void count(json_t *object, const char *key)
{
	const char *name = *key ? key : "-";

	json_object_set_new(object, name,
			    json_integer(json_integer_value(json_object_get(object, name)) + 1));
}

static void report(const struct connection *connection)
{
	json_t *sites = json_object(), *broken_at = json_object();
	json_int_t opened = 0, broken = 0, changed = 0, garbled = 0, records = 0;
	json_t *line;

	for (unsigned i = 0; i < options->connections; i++) {
		const struct connection *c = &connection[i];

		opened += c->answered;
		broken += c->broken != NULL;
		changed += c->changed;
		garbled += c->garbled;
		records += c->received;
		count(sites, c->site);
		if (c->broken)
			count(broken_at, c->site);
		connection_log(c);
	}
	line = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "connections",
			 (json_int_t)options->connections, "opened", opened, "broken", broken,
			 "changed", changed, "garbled", garbled, "records", records, "sites", sites,
			 "broken_at", broken_at);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

int hold_run(const struct client_options *asked)
{
	struct connection *connection = calloc(asked->connections, sizeof(*connection));

	options = asked;
	unix_offset_us = client_now_us(CLOCK_REALTIME) - client_now_us(CLOCK_MONOTONIC);
	log_file = asked->log_name ? fopen(asked->log_name, "we") : NULL;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!connection || epoll < 0)
		error(1, errno, "hold");
	if (asked->log_name && !log_file)
		error(1, errno, "%s", asked->log_name);
	if (log_file)
		setvbuf(log_file, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < options->connections; i++)
		connection[i].fd = -1;
	run(connection);
	report(connection);
	free(connection);
	return log_file && fclose(log_file) ? 1 : 0;
}
