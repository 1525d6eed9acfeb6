/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics.h"
#include "address.h"
#include "metrics_text.h"
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

static void on_metrics(struct evhttp_request *request, void *argument)
{
	struct metrics *metrics = argument;
	struct evbuffer *body = evbuffer_new();

	if (!body) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	metrics_text(metrics->control, body);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", CONTENT_TYPE);
	evhttp_send_reply(request, HTTP_OK, "OK", body);
	evbuffer_free(body);
}

static int listen_socket(const struct sockaddr_storage *address)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, result;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    listen(fd, 16) < 0) {
		result = -errno;
		close(fd);
		return result;
	}
	return fd;
}

static int fail(struct metrics *metrics, int code, struct config_error *error)
{
	char text[ADDRESS_TEXT];

	snprintf(error->text, sizeof(error->text), "metrics.listen: %s: %s",
		 address_text(&metrics->control->config->metrics_listen, text), strerror(-code));
	metrics_close(metrics);
	return code;
}

int metrics_open(struct metrics *metrics, struct control *control, struct config_error *error)
{
	const struct sockaddr_storage *address = &control->config->metrics_listen;
	int fd;

	*metrics = (struct metrics){.control = control};
	if (!address->ss_family)
		return 0;
	metrics->http = evhttp_new(control->base);
	if (!metrics->http)
		return fail(metrics, -ENOMEM, error);
	evhttp_set_allowed_methods(metrics->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_timeout(metrics->http, 10);
	evhttp_set_max_headers_size(metrics->http, 8192);
	evhttp_set_max_body_size(metrics->http, 1024);
	evhttp_set_cb(metrics->http, "/metrics", on_metrics, metrics);
	fd = listen_socket(address);
	if (fd < 0)
		return fail(metrics, fd, error);
	if (evhttp_accept_socket(metrics->http, fd) < 0) {
		close(fd);
		return fail(metrics, -ENOMEM, error);
	}
	return 0;
}

void metrics_close(struct metrics *metrics)
{
	if (metrics->http)
		evhttp_free(metrics->http);
	metrics->http = NULL;
}
