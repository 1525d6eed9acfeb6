/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer.h"
#include "answer_show.h"
#include "log.h"
#include "reload.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IDLE_S 60

static json_t *fail(const char *format, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), format, what);
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static json_t *drain(struct control *control, const json_t *request, bool drained)
{
	const char *name = json_string_value(json_object_get(request, "site"));
	int site = name ? state_find_site(&control->state, name) : -1;
	int result;

	if (!name)
		return fail("%s", "expected \"site\"");
	if (site < 0)
		return fail("no site '%.64s' in the configuration", name);
	bool before = control->state.site[site].drained;
	control->state.site[site].drained = drained;
	result = rundir_write_drained(&control->rundir, &control->state);
	if (result < 0) {
		control->state.site[site].drained = before;
		return fail("cannot remember it: %s", strerror(-result));
	}
	if (before != drained)
		log_info("site %s: %s", name,
			 drained ? "drained, takes no new flows" : "undrained");
	for (unsigned i = 0; i < control->config->services; i++)
		control_update(control, i);
	control_announce(control);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *count_json(const struct reload_count *count)
{
	return json_pack("{s:i, s:i, s:i}", "added", (int)count->added, "removed",
			 (int)count->removed, "changed", (int)count->changed);
}

static json_t *read_again(struct control *control)
{
	struct reload_summary summary;
	struct config_error error;

	if (reload(control, &summary, &error) < 0)
		return json_pack("{s:b, s:s}", "ok", 0, "error", error.text);
	return json_pack("{s:b, s:s, s:o, s:o, s:o}", "ok", 1, "file", control->file, "services",
			 count_json(&summary.services), "sites", count_json(&summary.sites),
			 "edges", count_json(&summary.edges));
}

static json_t *show(const char *name, json_t *what)
{
	json_t *answer = json_pack("{s:b}", "ok", 1);

	/* takes the reference to `what`, also if it fails */
	if (!answer || json_object_set_new(answer, name, what) < 0) {
		json_decref(answer);
		return fail("%s", "no memory");
	}
	return answer;
}

static json_t *respond(struct control *control, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	if (!command)
		return fail("%s", "expected {\"command\": \"...\"}");
	if (strcmp(command, "services") == 0)
		return show("services", answer_services(control));
	if (strcmp(command, "sites") == 0)
		return show("sites", answer_sites(control));
	if (strcmp(command, "routes") == 0)
		return show("routes", answer_routes(control));
	if (strcmp(command, "telemetry") == 0)
		return show("telemetry", answer_telemetry(control));
	if (strcmp(command, "reports") == 0)
		return show("reports", answer_reports(control));
	if (strcmp(command, "announcements") == 0)
		return show("announcements", answer_announcements(control));
	if (strcmp(command, "status") == 0)
		return answer_status(control);
	if (strcmp(command, "drain") == 0)
		return drain(control, request, true);
	if (strcmp(command, "undrain") == 0)
		return drain(control, request, false);
	if (strcmp(command, "reload") == 0)
		return read_again(control);
	return fail("unknown command '%.64s'", command);
}

static void answer_line(struct answer *answer, struct bufferevent *client, const char *line,
			size_t bytes)
{
	json_error_t error;
	json_t *request = json_loadb(line, bytes, 0, &error);
	json_t *response = json_is_object(request) ? respond(answer->control, request)
						   : fail("not a JSON object: %s",
							  request ? "another type" : error.text);
	char *text = response ? json_dumps(response, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	if (text)
		evbuffer_add_printf(bufferevent_get_output(client), "%s\n", text);
	free(text);
	json_decref(response);
	json_decref(request);
}

static void hang_up(struct bufferevent *client, short what, void *argument)
{
	struct answer *answer = argument;

	(void)what;
	answer->clients--;
	bufferevent_free(client);
}

static void hang_up_written(struct bufferevent *client, void *argument)
{
	hang_up(client, 0, argument);
}

static void on_readable(struct bufferevent *client, void *argument)
{
	struct evbuffer *input = bufferevent_get_input(client);
	char *line;
	size_t bytes;

	while ((line = evbuffer_readln(input, &bytes, EVBUFFER_EOL_LF))) {
		answer_line(argument, client, line, bytes);
		free(line);
	}
	if (evbuffer_get_length(input) >= ANSWER_REQUEST_BYTES)
		hang_up(client, 0, argument);
}

/* After its last request a client may close its half and still read the answer. */
static void on_event(struct bufferevent *client, short what, void *argument)
{
	if ((what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(client)) > 0) {
		bufferevent_disable(client, EV_READ);
		bufferevent_setcb(client, NULL, hang_up_written, hang_up, argument);
		return;
	}
	hang_up(client, what, argument);
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int bytes, void *argument)
{
	struct answer *answer = argument;
	struct event_base *base = evconnlistener_get_base(listener);
	struct bufferevent *client;
	struct timeval idle = {.tv_sec = IDLE_S};

	(void)address;
	(void)bytes;
	client = answer->clients < ANSWER_CLIENTS_MAX
			 ? bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE)
			 : NULL;
	if (!client) {
		close(fd);
		return;
	}
	answer->clients++;
	bufferevent_setcb(client, on_readable, NULL, on_event, answer);
	bufferevent_setwatermark(client, EV_READ, 0, ANSWER_REQUEST_BYTES);
	bufferevent_set_timeouts(client, &idle, &idle);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

static int listen_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int result;

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, path, sizeof(address.sun_path));
	unlink(path);
	mask = umask(0117); /* 0660 from its first moment */
	result = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : fd;
	umask(mask);
	if (result < 0)
		close(fd);
	return result;
}

int answer_open(struct answer *answer, struct control *control, struct config_error *error)
{
	int fd;

	*answer = (struct answer){.control = control};
	snprintf(answer->path, sizeof(answer->path), "%s/control.sock", control->config->run_dir);
	fd = listen_socket(answer->path);
	if (fd < 0) {
		snprintf(error->text, sizeof(error->text), "%s: %s", answer->path, strerror(-fd));
		return fd;
	}
	answer->listener =
		evconnlistener_new(control->base, on_client, answer,
				   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, fd);
	if (!answer->listener) {
		snprintf(error->text, sizeof(error->text), "%s: cannot listen", answer->path);
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

void answer_close(struct answer *answer)
{
	if (!answer->listener)
		return;
	evconnlistener_free(answer->listener);
	answer->listener = NULL;
	unlink(answer->path);
}
