/* SPDX-License-Identifier: BSD-3-Clause */
#include "scrape.h"
#include "../clock.h"
#include "exposition.h"
#include "gather.h"
#include "orca.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/http.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define BODY_MAX (8 << 20)
#define HEADERS_MAX (64 << 10)
#define PATIENCE_MS 2000
#define FRESH_INTERVALS 3
#define URL_MAX 255
#define TELLS_MAX 16 /* changes that are told at once; then one a minute */
#define TELL_NS 60000000000ull
#define FIRST_READS 2 /* rates want two scrapes */

struct scrape {
	const struct agent_service *service;
	struct event_base *base;
	struct mapping *mapping;
	struct evhttp_uri *uri;
	struct evdns_base *dns;			       /* NULL: the host is an address */
	char target[512], host_header[300], host[256]; /* host: without brackets */
	struct evdns_getaddrinfo_request *lookup;      /* on its way; at most one */
	char address[INET6_ADDRSTRLEN];		       /* of the host; empty: not known yet */
	unsigned turn; /* among its addresses; the next one when nobody listens there */
	struct event *timer, *deadline;
	struct evhttp_connection *connection; /* of this turn; freed in the next */
	bool asked;			      /* and not answered yet */
	int failure;			      /* enum evhttp_request_error of it; -1: none */
	uint64_t good_ns;		      /* last good answer; 0: none yet */
	unsigned long good, failed, bad_lines, loadless;
	char trouble[160], told_trouble[160]; /* now; what was told. Empty: it is well */
	unsigned tells;			      /* left */
	uint64_t tells_ns;
	struct series_events told;
	bool told_bad_lines;
};

/* Each change, but of one that comes and goes for ever some at first, then one a minute. */
static void tell_trouble(struct scrape *scrape)
{
	const uint64_t minutes = (clock_ns() - scrape->tells_ns) / TELL_NS;

	if (strcmp(scrape->trouble, scrape->told_trouble) == 0)
		return;
	if (minutes) {
		scrape->tells = TELLS_MAX < scrape->tells + minutes
					? TELLS_MAX
					: scrape->tells + (unsigned)minutes;
		scrape->tells_ns += minutes * TELL_NS;
	}
	if (scrape->tells == 0)
		return;
	scrape->tells--;
	strcpy(scrape->told_trouble, scrape->trouble);
	if (scrape->trouble[0])
		fprintf(stderr, "warning: %s: %s: %s; its numbers are left out of reports\n",
			scrape->service->name, scrape->service->scrape.url, scrape->trouble);
	else
		fprintf(stderr, "info: %s: %s answers again\n", scrape->service->name,
			scrape->service->scrape.url);
}

__attribute__((format(printf, 2, 3))) static void fail(struct scrape *scrape, const char *format,
						       ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(scrape->trouble, sizeof(scrape->trouble), format, arguments);
	va_end(arguments);
	for (char *c = scrape->trouble; *c; c++) /* headers in it may be anything */
		if (!isprint((unsigned char)*c))
			*c = '?';
	tell_trouble(scrape);
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
		fprintf(stderr,
			"warning: %s: %s: a value is NaN, infinite, negative or far beyond the "
			"one before: left out\n",
			name, url);
	if (now.twice && !scrape->told.twice)
		fprintf(stderr,
			"warning: %s: %s: a series is there twice in one answer: the first "
			"counts\n",
			name, url);
	scrape->told = now;
}

static void tell_bad_lines(struct scrape *scrape, const struct exposition_result *result)
{
	const char *name = scrape->service->name, *url = scrape->service->scrape.url;

	scrape->bad_lines += result->bad;
	if (result->bad && !scrape->told_bad_lines) {
		if (scrape->service->source == AGENT_SOURCE_ORCA)
			fprintf(stderr,
				"warning: %s: %s: %lu of %lu values are not numbers: skipped\n",
				name, url, result->bad, result->bad + result->samples);
		else
			fprintf(stderr,
				"warning: %s: %s: %lu of %lu lines are not samples (first: line "
				"%lu): skipped\n",
				name, url, result->bad, result->bad + result->samples,
				result->first_bad);
	}
	scrape->told_bad_lines |= result->bad > 0;
}

static void take(void *context, const struct exposition_sample *sample)
{
	mapping_take(context, sample);
}

/* A wrong mapping must not end in silence. Beside connections anything it tells is welcome. */
static bool tells_load(const struct scrape *scrape)
{
	const struct agent_service *service = scrape->service;
	struct report_load load;
	struct reading reading;

	mapping_read(scrape->mapping, service->servers, &reading);
	if (!agent_watches(service))
		return gather_scraped(&load, &reading, service->servers);
	for (unsigned i = 0; i < FIELDS; i++)
		if (!isnan(reading.field[i]))
			return true;
	return reading.metrics > 0;
}

static const char *header(struct evhttp_request *request, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request), name);
}

static void take_body(struct scrape *scrape, struct evhttp_request *request, char *text,
		      size_t bytes)
{
	const uint64_t now = clock_ns();
	const char *type = header(request, "Content-Type");
	const char *encoding = header(request, "Content-Encoding");
	struct exposition_result result;

	mapping_begin(scrape->mapping);
	if (scrape->service->source == AGENT_SOURCE_ORCA)
		result = orca_parse(text, bytes, take, scrape->mapping);
	else
		result = exposition_parse(text, bytes, take, scrape->mapping);
	mapping_end(scrape->mapping, (double)now / 1e9);
	if (result.samples == 0) {
		scrape->failed++;
		scrape->bad_lines += result.bad;
		fail(scrape, "no samples in its answer (%s%.40s%s%.20s)", bytes ? "" : "empty ",
		     type ?: "no Content-Type", encoding ? ", " : "", encoding ?: "");
		return;
	}
	scrape->good++;
	scrape->good_ns = now;
	tell_bad_lines(scrape, &result);
	tell_events(scrape);
	if (tells_load(scrape)) {
		scrape->trouble[0] = '\0';
		tell_trouble(scrape);
		return;
	}
	scrape->loadless++;
	if (scrape->good >= FIRST_READS)
		fail(scrape,
		     "it answers, but nothing in it tells %s (mapping: %s; a wrong endpoint, "
		     "mapping or select?)",
		     agent_watches(scrape->service) ? "anything" : "in_flight or service_time_s",
		     scrape->service->scrape.ready ?: "map");
}

static void failed(enum evhttp_request_error error, void *context)
{
	struct scrape *scrape = context;

	scrape->failure = (int)error;
}

static void fail_request(struct scrape *scrape)
{
	static const char *const why[] = {
		[EVREQ_HTTP_TIMEOUT] = "no answer (in time)",
		[EVREQ_HTTP_EOF] = "no whole answer (it hung up)",
		[EVREQ_HTTP_INVALID_HEADER] = "no answer (what came is not HTTP; is it https?)",
		[EVREQ_HTTP_BUFFER_ERROR] = "no whole answer (the connection broke)",
		[EVREQ_HTTP_REQUEST_CANCEL] = "no answer (given up)",
		[EVREQ_HTTP_DATA_TOO_LONG] = "no answer (longer than 8 MiB; url may take a filter)",
	};

	if (scrape->failure >= 0) {
		fail(scrape, "%s", why[scrape->failure]);
		return;
	}
	scrape->turn++;
	fail(scrape, "no answer (nobody listens there, or no route)");
}

static void fail_status(struct scrape *scrape, struct evhttp_request *request, int status)
{
	const char *location = header(request, "Location");

	if (status / 100 == 3 && location)
		fail(scrape, "HTTP status %d: it is at %.80s now, ask there", status, location);
	else if (status == 401 || status == 403)
		fail(scrape, "HTTP status %d: it wants a login, which the agent has none of",
		     status);
	else if (status == 404)
		fail(scrape, "HTTP status 404: nothing at that path");
	else
		fail(scrape, "HTTP status %d", status);
}

/* Called by the connection, which must therefore stay; libevent frees the request after it. */
static void done(struct evhttp_request *request, void *context)
{
	struct scrape *scrape = context;
	struct evbuffer *body = request ? evhttp_request_get_input_buffer(request) : NULL;
	int status = request ? evhttp_request_get_response_code(request) : 0;
	size_t bytes = body ? evbuffer_get_length(body) : 0;
	char *text;

	scrape->asked = false;
	event_del(scrape->deadline);
	scrape->failed += status != 200;
	if (status == 0) {
		fail_request(scrape);
		return;
	}
	if (status != 200) {
		fail_status(scrape, request, status);
		return;
	}
	text = malloc(bytes + 1);
	if (!text || evbuffer_remove(body, text, bytes) != (int)bytes)
		fail(scrape, "out of memory");
	else
		take_body(scrape, request, text, bytes);
	free(text);
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
	scrape->failed++;
	if (scrape->lookup && !scrape->connection)
		fail(scrape, "no name server tells the address of its host in time "
			     "(/etc/resolv.conf)");
	else
		fail(scrape, "no whole answer in time");
	drop_connection(scrape);
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

	scrape->connection = evhttp_connection_base_new(scrape->base, NULL, scrape->address,
							(unsigned short)(port < 0 ? 80 : port));
	if (!scrape->connection || !request) {
		if (request)
			evhttp_request_free(request);
		return -ENOMEM;
	}
	scrape->failure = -1;
	evhttp_request_set_error_cb(request, failed);
	evhttp_connection_set_max_body_size(scrape->connection, BODY_MAX);
	evhttp_connection_set_max_headers_size(scrape->connection, HEADERS_MAX);
	headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Host", scrape->host_header);
	evhttp_add_header(headers, "Accept",
			  scrape->service->source == AGENT_SOURCE_ORCA
				  ? "application/json"
				  : "text/plain; version=0.0.4");
	evhttp_add_header(headers, "Connection", "close");
	/* owns the request, and may call done() at once */
	return evhttp_make_request(scrape->connection, request, EVHTTP_REQ_GET, scrape->target);
}

static void send_or_fail(struct scrape *scrape)
{
	if (send_request(scrape) == 0)
		return;
	drop_connection(scrape);
	event_del(scrape->deadline);
	scrape->failed++;
	fail(scrape, "no request could be sent");
}

static void take_address(struct scrape *scrape, const struct evutil_addrinfo *list)
{
	const struct evutil_addrinfo *one = list;

	for (unsigned i = 0; i < scrape->turn && one; i++)
		one = one->ai_next;
	if (!one) {
		scrape->turn = 0;
		one = list;
	}
	evutil_inet_ntop(one->ai_family,
			 one->ai_family == AF_INET6
				 ? (void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr
				 : (void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr,
			 scrape->address, sizeof(scrape->address));
}

/* Also much later than it was asked for, then it is for the next turn. */
static void resolved(int result, struct evutil_addrinfo *list, void *context)
{
	struct scrape *scrape = context;

	scrape->lookup = NULL;
	if (result == 0 && list)
		take_address(scrape, list);
	if (list)
		evutil_freeaddrinfo(list);
	if (!scrape->asked || scrape->connection)
		return;
	if (scrape->address[0]) { /* an old one, if there is no other */
		send_or_fail(scrape);
		return;
	}
	scrape->asked = false;
	event_del(scrape->deadline);
	scrape->failed++;
	fail(scrape, "no answer (no address of its host: %s)", evutil_gai_strerror(result));
}

/* May call resolved() at once. */
static void look_up(struct scrape *scrape)
{
	const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct evdns_getaddrinfo_request *lookup =
		evdns_getaddrinfo(scrape->dns, scrape->host, NULL, &hints, resolved, scrape);

	scrape->lookup = lookup;
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
	scrape->asked = true;
	if (scrape->dns && !scrape->lookup)
		look_up(scrape);
	else if (scrape->address[0])
		send_or_fail(scrape);
}

static int check_uri(const struct evhttp_uri *uri, const char *url, char error[240])
{
	const char *host = uri ? evhttp_uri_get_host(uri) : NULL;
	const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;

	if (!host || !*host || !scheme || strcmp(scheme, "http") != 0 ||
	    evhttp_uri_get_port(uri) == 0 || evhttp_uri_get_port(uri) > 65535)
		snprintf(error, 240, "expected http://HOST:PORT/PATH, found '%.100s'", url);
	else if (evhttp_uri_get_userinfo(uri))
		snprintf(error, 240, "expected no user and password: the agent cannot log in");
	else if (strlen(url) > URL_MAX)
		snprintf(error, 240, "expected at most %d characters, found %zu", URL_MAX,
			 strlen(url));
	else
		return 0;
	return -EINVAL;
}

int scrape_check_url(const char *url, char error[240])
{
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	int err = check_uri(uri, url, error);

	if (uri)
		evhttp_uri_free(uri);
	return err;
}

static int parse_url(struct scrape *scrape, char error[240])
{
	const char *url = scrape->service->scrape.url, *path, *query, *host;

	scrape->uri = evhttp_uri_parse(url);
	if (check_uri(scrape->uri, url, error) < 0)
		return -EINVAL;
	host = evhttp_uri_get_host(scrape->uri);
	path = evhttp_uri_get_path(scrape->uri);
	query = evhttp_uri_get_query(scrape->uri);
	snprintf(scrape->target, sizeof(scrape->target), "%s%s%s", path && *path ? path : "/",
		 query ? "?" : "", query ?: "");
	snprintf(scrape->host_header, sizeof(scrape->host_header), "%s:%d", host,
		 evhttp_uri_get_port(scrape->uri) < 0 ? 80 : evhttp_uri_get_port(scrape->uri));
	snprintf(scrape->host, sizeof(scrape->host), "%s", host + (*host == '['));
	scrape->host[strcspn(scrape->host, "]")] = '\0';
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* What it has to say of name servers, fail() says of the endpoint. */
static void log_nothing(int is_warning, const char *text)
{
	(void)is_warning, (void)text;
}

/* The resolver of the C library would block: without its answer nobody's load was reported. */
static int open_dns(struct scrape *scrape)
{
	if (is_address(scrape->host)) {
		strcpy(scrape->address, scrape->host); /* so short are all of them */
		return 0;
	}
	evdns_set_log_fn(log_nothing);
	scrape->dns = evdns_base_new(scrape->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!scrape->dns)
		return -ENOMEM;
	/* what it cannot read, it does without; /etc/hosts too */
	evdns_base_resolv_conf_parse(scrape->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
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
	scrape->tells = TELLS_MAX;
	scrape->tells_ns = clock_ns();
	err = parse_url(scrape, error);
	if (!err)
		err = open_dns(scrape);
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
	if (scrape->dns) /* and what is being looked up, without a call to resolved() */
		evdns_base_free(scrape->dns, 0);
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
		"changes, %lu strange values, %lu series twice, %lu answers without load\n",
		scrape->service->name, scrape->good, scrape->failed, scrape->bad_lines,
		events.resets, events.changes, events.strange, events.twice, scrape->loadless);
}
