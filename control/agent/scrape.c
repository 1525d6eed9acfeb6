/* SPDX-License-Identifier: BSD-3-Clause */
#include "scrape.h"
#include "exposition.h"
#include "orca.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define BODY_MAX (8 << 20)
#define HEADERS_MAX (64 << 10)
#define PATIENCE_MS 2000
#define FRESH_INTERVALS 3

struct scrape {
	const struct agent_service *service;
	struct event_base *base;
	struct mapping *mapping;
	struct evhttp_uri *uri;
	char target[512], host[300]; /* of the request line; of the Host header */
	struct event *timer, *deadline;
	struct evhttp_connection *connection; /* of this turn; freed in the next */
	bool asked;			      /* and not answered yet */
	uint64_t good_ns;		      /* last good answer; 0: none yet */
	unsigned long good, failed, bad_lines;
	char trouble[160]; /* what was told; empty: it is well */
	struct series_events told;
	bool told_bad_lines, told_missing;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void fail(struct scrape *scrape, const char *format,
						       ...)
{
	char trouble[sizeof(scrape->trouble)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(trouble, sizeof(trouble), format, arguments);
	va_end(arguments);
	scrape->failed++;
	if (strcmp(trouble, scrape->trouble) == 0)
		return;
	strcpy(scrape->trouble, trouble);
	fprintf(stderr, "warning: %s: %s: %s; its numbers are left out of reports\n",
		scrape->service->name, scrape->service->scrape.url, trouble);
}

/* Each kind once: a counter that falls each time would otherwise fill the log. */
static void tell_events(struct scrape *scrape)
{
	const struct series_events now = mapping_events(scrape->mapping);
	const char *name = scrape->service->name, *url = scrape->service->scrape.url;

	if (now.resets && !scrape->told.resets)
		fprintf(stderr,
			"warning: %s: %s: a counter fell: it started again, rises are "
			"counted from there\n",
			name, url);
	if (now.changes && !scrape->told.changes)
		fprintf(stderr,
			"warning: %s: %s: series came or went, or changed their labels: "
			"new ones count from the next scrape on\n",
			name, url);
	if (now.strange && !scrape->told.strange)
		fprintf(stderr, "warning: %s: %s: a value is NaN, infinite or negative: left out\n",
			name, url);
	scrape->told = now;
}

static void tell_bad_lines(struct scrape *scrape, const struct exposition_result *result)
{
	scrape->bad_lines += result->bad;
	if (result->bad && !scrape->told_bad_lines)
		fprintf(stderr,
			"warning: %s: %s: %lu of %lu lines are not samples (first: line "
			"%lu): skipped\n",
			scrape->service->name, scrape->service->scrape.url, result->bad,
			result->bad + result->samples, result->first_bad);
	scrape->told_bad_lines |= result->bad > 0;
}

static void take(void *context, const struct exposition_sample *sample)
{
	mapping_take(context, sample);
}

static void take_body(struct scrape *scrape, char *text, size_t bytes)
{
	const uint64_t now = now_ns();
	struct exposition_result result;

	mapping_begin(scrape->mapping);
	if (scrape->service->source == AGENT_SOURCE_ORCA)
		result = orca_parse(text, bytes, take, scrape->mapping);
	else
		result = exposition_parse(text, bytes, take, scrape->mapping);
	mapping_end(scrape->mapping, (double)now / 1e9);
	if (result.samples == 0) {
		scrape->bad_lines += result.bad;
		fail(scrape, "no samples in its answer of %zu bytes", bytes);
		return;
	}
	tell_bad_lines(scrape, &result);
	tell_events(scrape);
	if (scrape->trouble[0])
		fprintf(stderr, "info: %s: %s answers again\n", scrape->service->name,
			scrape->service->scrape.url);
	scrape->trouble[0] = '\0';
	scrape->good++;
	scrape->good_ns = now;
}

/* Called by the connection, which must therefore stay; libevent frees the request after it. */
static void done(struct evhttp_request *request, void *context)
{
	struct scrape *scrape = context;
	struct evbuffer *body = request ? evhttp_request_get_input_buffer(request) : NULL;
	int status = request ? evhttp_request_get_response_code(request) : 0;
	size_t bytes = body ? evbuffer_get_length(body) : 0;

	scrape->asked = false;
	event_del(scrape->deadline);
	if (status == 0) {
		fail(scrape, "no answer (%s)",
		     evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	} else if (status != 200) {
		fail(scrape, "HTTP status %d", status);
	} else {
		char *text = malloc(bytes + 1);

		if (!text || evbuffer_remove(body, text, bytes) != (int)bytes)
			fail(scrape, "out of memory");
		else
			take_body(scrape, text, bytes);
		free(text);
	}
}

/* Without a call to done(). */
static void drop_connection(struct scrape *scrape)
{
	if (scrape->connection)
		evhttp_connection_free(scrape->connection);
	scrape->connection = NULL;
	scrape->asked = false;
}

static void too_late(evutil_socket_t fd, short what, void *context)
{
	struct scrape *scrape = context;

	(void)fd, (void)what;
	drop_connection(scrape);
	fail(scrape, "no whole answer in time");
}

static struct timeval to_timeval(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static int send_request(struct scrape *scrape)
{
	int port = evhttp_uri_get_port(scrape->uri);
	struct evhttp_request *request = evhttp_request_new(done, scrape);
	struct evkeyvalq *headers;

	scrape->connection =
		evhttp_connection_base_new(scrape->base, NULL, evhttp_uri_get_host(scrape->uri),
					   (unsigned short)(port < 0 ? 80 : port));
	if (!scrape->connection || !request) {
		if (request)
			evhttp_request_free(request);
		return -ENOMEM;
	}
	evhttp_connection_set_max_body_size(scrape->connection, BODY_MAX);
	evhttp_connection_set_max_headers_size(scrape->connection, HEADERS_MAX);
	headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Host", scrape->host);
	evhttp_add_header(headers, "Accept",
			  scrape->service->source == AGENT_SOURCE_ORCA
				  ? "application/json"
				  : "text/plain; version=0.0.4");
	evhttp_add_header(headers, "Connection", "close");
	/* owns the request, and may call done() at once */
	scrape->asked = true;
	return evhttp_make_request(scrape->connection, request, EVHTTP_REQ_GET, scrape->target);
}

static void ask(evutil_socket_t fd, short what, void *context)
{
	struct scrape *scrape = context;
	uint32_t patience_ms = scrape->service->scrape_ms;
	struct timeval patience;

	(void)fd, (void)what;
	if (scrape->asked) /* held up: the deadline comes first */
		return;
	drop_connection(scrape);
	patience_ms = patience_ms > PATIENCE_MS ? PATIENCE_MS : patience_ms - patience_ms / 10;
	patience = to_timeval(patience_ms);
	event_add(scrape->deadline, &patience);
	if (send_request(scrape) < 0) {
		drop_connection(scrape);
		event_del(scrape->deadline);
		fail(scrape, "no request could be sent");
	}
}

static int parse_url(struct scrape *scrape, char error[240])
{
	const char *url = scrape->service->scrape.url, *path, *query, *host;

	scrape->uri = evhttp_uri_parse(url);
	host = scrape->uri ? evhttp_uri_get_host(scrape->uri) : NULL;
	if (!host || !*host || strcmp(evhttp_uri_get_scheme(scrape->uri) ?: "", "http") != 0) {
		snprintf(error, 240, "url: expected http://HOST:PORT/PATH, found '%.100s'", url);
		return -EINVAL;
	}
	path = evhttp_uri_get_path(scrape->uri);
	query = evhttp_uri_get_query(scrape->uri);
	snprintf(scrape->target, sizeof(scrape->target), "%s%s%s", path && *path ? path : "/",
		 query ? "?" : "", query ?: "");
	snprintf(scrape->host, sizeof(scrape->host), "%s:%d", host,
		 evhttp_uri_get_port(scrape->uri) < 0 ? 80 : evhttp_uri_get_port(scrape->uri));
	return 0;
}

int scrape_open(struct scrape **out, const struct agent_service *service, struct event_base *base,
		char error[240])
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	const struct timeval interval = to_timeval(service->scrape_ms);
	int err;

	snprintf(error, 240, "out of memory");
	if (!scrape)
		return -ENOMEM;
	scrape->service = service;
	scrape->base = base;
	err = parse_url(scrape, error);
	if (!err)
		err = mapping_open(&scrape->mapping, &service->scrape, error);
	if (!err) {
		scrape->timer = event_new(base, -1, EV_PERSIST, ask, scrape);
		scrape->deadline = evtimer_new(base, too_late, scrape);
		err = scrape->timer && scrape->deadline ? 0 : -ENOMEM;
	}
	if (err < 0) {
		scrape_close(scrape);
		return err;
	}
	event_add(scrape->timer, &interval);
	event_active(scrape->timer, EV_TIMEOUT, 0);
	*out = scrape;
	return 0;
}

void scrape_close(struct scrape *scrape)
{
	if (!scrape)
		return;
	drop_connection(scrape);
	if (scrape->timer)
		event_free(scrape->timer);
	if (scrape->deadline)
		event_free(scrape->deadline);
	if (scrape->uri)
		evhttp_uri_free(scrape->uri);
	mapping_close(scrape->mapping);
	free(scrape);
}

bool scrape_read(const struct scrape *scrape, uint64_t now, struct reading *out)
{
	const uint64_t fresh_ns = FRESH_INTERVALS * NS_PER_MS * scrape->service->scrape_ms;

	if (!scrape->good_ns || now > scrape->good_ns + fresh_ns)
		return false;
	mapping_read(scrape->mapping, scrape->service->servers, out);
	return true;
}

void scrape_summary(const struct scrape *scrape)
{
	const struct series_events events = mapping_events(scrape->mapping);

	fprintf(stderr,
		"info: %s: %lu scrapes, %lu failed, %lu bad lines, %lu counter resets, %lu series "
		"changes, %lu strange values\n",
		scrape->service->name, scrape->good, scrape->failed, scrape->bad_lines,
		events.resets, events.changes, events.strange);
}
