/* SPDX-License-Identifier: BSD-3-Clause */
#include "feed.h"
#include "../telemetry/line.h"
#include "report.h"
#include <ctype.h>
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VALID_MS 3000
#define LINE_MAX_BYTES (64 << 10)
#define READ_MAX_BYTES (256 << 10) /* at once, so that reports are not held up */
#define TELL_NS 10000000000ull
#define TELLS_MAX 4 /* in so long */
#define NS_PER_MS 1000000ull

struct said {
	struct sl_load load;
	uint64_t until_ns; /* 0: nothing yet */
};

struct feed {
	const struct agent_config *config;
	struct event *readable;
	struct evbuffer *input;
	feed_told *told;
	void *context;
	bool ended, overlong; /* within a line that is too long */
	unsigned long lines, bad;
	char trouble[256]; /* the last told */
	uint64_t tells_ns; /* since then */
	unsigned tells;
	struct said said[AGENT_SERVICES_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tell_bad(struct feed *feed, const char *why)
{
	const uint64_t now = now_ns();

	feed->bad++;
	if (now - feed->tells_ns >= TELL_NS) {
		feed->tells_ns = now;
		feed->tells = 0;
	}
	if (strcmp(why, feed->trouble) == 0 || feed->tells == TELLS_MAX)
		return;
	feed->tells++;
	snprintf(feed->trouble, sizeof(feed->trouble), "%s", why);
	for (char *c = feed->trouble; *c; c++) /* a name in it may be anything */
		if (*c < ' ' || *c > '~')
			*c = '?';
	fprintf(stderr, "warning: standard input, line %lu: %s: skipped, %lu so far\n", feed->lines,
		feed->trouble, feed->bad);
}

static int service_of(const struct feed *feed, const char *name)
{
	for (unsigned i = 0; i < feed->config->services; i++)
		if (feed->config->service[i].source == AGENT_SOURCE_STDIN &&
		    strcmp(feed->config->service[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int take_object(struct feed *feed, const json_t *object, char error[256])
{
	struct line line;
	const struct agent_service *service;
	uint32_t valid_ms = VALID_MS;
	int i;

	if (line_parse(object, &line, error) < 0)
		return -EINVAL;
	i = service_of(feed, line.load.service);
	if (i < 0) {
		snprintf(error, 256, "service %.64s: not one with `source: stdin`",
			 line.load.service);
		return -EINVAL;
	}
	if (line.report.labels || line.report.price_per_hour > 0 || line.report.pue > 0 ||
	    line.report.measured_at_us) {
		snprintf(error, 256,
			 "labels, price_per_hour, pue are told in the agent's configuration, "
			 "and the time is when the line comes");
		return -EINVAL;
	}
	service = &feed->config->service[i];
	if (!line.load.servers)
		line.load.servers = service->servers;
	if (!report_plausible(&line.report, error))
		return -EINVAL;
	if (line.report.valid_for_ms)
		valid_ms = line.report.valid_for_ms;
	line.load.service = service->name;
	feed->said[i] = (struct said){line.load, now_ns() + valid_ms * NS_PER_MS};
	return 0;
}

static void take_line(struct feed *feed, const char *text, size_t bytes)
{
	json_error_t wrong;
	char error[256];
	json_t *object;

	while (bytes && isspace((unsigned char)text[bytes - 1]))
		bytes--;
	feed->lines++;
	if (!bytes)
		return;
	object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &wrong);
	if (!object) {
		tell_bad(feed, "expected a JSON object");
		return;
	}
	if (take_object(feed, object, error) < 0)
		tell_bad(feed, error);
	json_decref(object);
}

static void tell_overlong(struct feed *feed)
{
	feed->lines++;
	tell_bad(feed, "longer than 64 KiB");
}

/* What is too long is dropped up to its end. */
static void take_lines(struct feed *feed)
{
	size_t bytes;
	char *text;

	while ((text = evbuffer_readln(feed->input, &bytes, EVBUFFER_EOL_LF))) {
		if (bytes > LINE_MAX_BYTES && !feed->overlong)
			tell_overlong(feed);
		else if (!feed->overlong)
			take_line(feed, text, bytes);
		feed->overlong = false;
		free(text);
	}
	if (evbuffer_get_length(feed->input) <= LINE_MAX_BYTES)
		return;
	evbuffer_drain(feed->input, evbuffer_get_length(feed->input));
	if (!feed->overlong)
		tell_overlong(feed);
	feed->overlong = true;
}

static void end(struct feed *feed)
{
	size_t bytes = evbuffer_get_length(feed->input);

	if (bytes && !feed->overlong)
		take_line(feed, (const char *)evbuffer_pullup(feed->input, -1), bytes);
	feed->ended = true;
	event_del(feed->readable);
	fprintf(stderr, "info: standard input has ended after %lu lines\n", feed->lines);
}

static void take(evutil_socket_t fd, short what, void *context)
{
	struct feed *feed = context;
	int bytes = evbuffer_read(feed->input, fd, READ_MAX_BYTES);

	(void)what;
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	take_lines(feed);
	if (bytes <= 0)
		end(feed);
	feed->told(feed->context);
}

/* What epoll can wait for; not a file, nor the /dev/null that services are started with. */
static bool can_wait(void)
{
	struct stat stat;

	return fstat(STDIN_FILENO, &stat) == 0 &&
	       (S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode) || isatty(STDIN_FILENO));
}

static bool is_wanted(const struct agent_config *config)
{
	for (unsigned i = 0; i < config->services; i++)
		if (config->service[i].source == AGENT_SOURCE_STDIN)
			return true;
	return false;
}

int feed_open(struct feed **out, const struct agent_config *config, struct event_base *base,
	      feed_told *told, void *context, struct config_error *error)
{
	struct feed *feed;

	*out = NULL;
	if (!is_wanted(config))
		return 0;
	if (!can_wait()) {
		snprintf(error->text, sizeof(error->text),
			 "source stdin: standard input is neither a pipe nor a socket; start the "
			 "agent as: PROGRAM | suanlu-agent");
		return -EINVAL;
	}
	feed = calloc(1, sizeof(*feed));
	snprintf(error->text, sizeof(error->text), "out of memory");
	if (!feed)
		return -ENOMEM;
	*feed = (struct feed){.config = config, .told = told, .context = context};
	feed->input = evbuffer_new();
	feed->readable = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, take, feed);
	if (feed->input && feed->readable && event_add(feed->readable, NULL) == 0) {
		*out = feed;
		return 0;
	}
	feed_close(feed);
	return -ENOMEM;
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	if (feed->readable)
		event_free(feed->readable);
	if (feed->input)
		evbuffer_free(feed->input);
	free(feed);
}

bool feed_read(const struct feed *feed, unsigned service, uint64_t now, struct sl_load *out)
{
	const struct said *said = &feed->said[service];

	if (now >= said->until_ns)
		return false;
	*out = said->load;
	return true;
}

bool feed_ended(const struct feed *feed, uint64_t now)
{
	for (unsigned i = 0; i < feed->config->services; i++)
		if (now < feed->said[i].until_ns)
			return false;
	return feed->ended;
}

void feed_summary(const struct feed *feed)
{
	fprintf(stderr, "info: standard input: %lu lines, %lu bad\n", feed->lines, feed->bad);
}
