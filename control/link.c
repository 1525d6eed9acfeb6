/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"
#include "clock.h"
#include "link_send.h"
#include "log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 10
#define BACKOFF_MAX_MS 200

static void connect_now(int fd, short what, void *argument);
static void on_readable(int fd, short what, void *argument);
static void on_writable(int fd, short what, void *argument);

int link_open(struct link *link, struct event_base *base, const struct config *config)
{
	*link = (struct link){
		.base = base, .config = config, .fd = -1, .backoff_ms = BACKOFF_MIN_MS};
	/* Above all generations of an earlier control, as the dataplane outlives us. */
	link->generation = clock_unix_us();
	link->address.sun_family = AF_UNIX;
	snprintf(link->address.sun_path, sizeof(link->address.sun_path), "%s/dataplane.sock",
		 config->run_dir);
	link->service = calloc(config->services + 1, sizeof(*link->service));
	link->ways = calloc(config->sites + 1, sizeof(*link->ways));
	link->queue = calloc(config->services + 1, sizeof(*link->queue));
	link->retry = evtimer_new(base, connect_now, link);
	if (!link->ways || !link->service || !link->queue || !link->retry) {
		link_close(link);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < config->services; i++)
		link->service[i].draws = 1;
	for (unsigned i = 0; i < config->sites; i++)
		memcpy(link->ways[i].via, config->site[i].via, sizeof(link->ways[i].via));
	return 0;
}

static void disconnect(struct link *link)
{
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	link->readable = link->writable = NULL;
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->phase = LINK_DOWN;
}

void link_close(struct link *link)
{
	disconnect(link);
	if (link->retry)
		event_free(link->retry);
	free(link->path);
	free(link->ways);
	free(link->queue);
	free(link->service);
	*link = (struct link){.fd = -1};
}

static void retry_later(struct link *link)
{
	struct timeval delay = {.tv_usec = link->backoff_ms * 1000};

	event_add(link->retry, &delay);
	link->backoff_ms *= 2;
	if (link->backoff_ms > BACKOFF_MAX_MS)
		link->backoff_ms = BACKOFF_MAX_MS;
}

static void lost(struct link *link, const char *why)
{
	if (link->told_up || !link->told_lost)
		log_warning("no dataplane at %s (%s); routes are kept ready for it",
			    link->address.sun_path, why);
	link->told_lost = true;
	link->told_up = false;
	disconnect(link);
	retry_later(link);
}

static void enqueue(struct link *link, unsigned service)
{
	struct link_service *s = &link->service[service];

	if (s->pending)
		return;
	s->pending = true;
	link->queue[(link->first + link->queued++) % link->config->services] = service;
}

static unsigned dequeue(struct link *link)
{
	unsigned service = link->queue[link->first];

	link->first = (link->first + 1) % link->config->services;
	link->queued--;
	link->service[service].pending = false;
	return service;
}

static int send_queue(struct link *link)
{
	while (link->queued > 0) {
		int result = link_send_service(link, link->queue[link->first]);

		if (result <= 0)
			return result;
		dequeue(link);
	}
	return 1;
}

static void flush(struct link *link)
{
	int result = 1;

	if (link->phase == LINK_HELLO) {
		result = link_send_header(link, SL_MSG_HELLO);
		link->phase = result == 1 ? LINK_NODE : LINK_HELLO;
	}
	if (result == 1 && link->phase == LINK_NODE) {
		result = link_send_node(link);
		link->phase = result == 1 ? LINK_FILLING : LINK_NODE;
	}
	if (result == 1 && link->phase != LINK_DOWN)
		result = link_send_paths(link);
	if (result == 1 && link->phase != LINK_DOWN)
		result = send_queue(link);
	if (result == 1 && link->phase == LINK_FILLING) {
		result = link_send_header(link, SL_MSG_SYNC);
		link->phase = result == 1 ? LINK_UP : LINK_FILLING;
	}
	if (result < 0)
		lost(link, strerror(-result));
}

/* Nothing that the dataplane was told before counts. */
static void begin_update(struct link *link)
{
	link->phase = LINK_HELLO;
	link->node = 0;
	link->queued = 0;
	for (unsigned i = 0; i < link->config->services; i++) {
		struct link_service *s = &link->service[i];

		s->pending = s->unanswered = s->again = s->refused = false;
		s->acknowledged = 0;
		enqueue(link, i);
	}
	for (unsigned i = 0; i < link->paths; i++)
		link->path[i].pending = true;
	flush(link);
}

static void connected(struct link *link)
{
	link->readable = event_new(link->base, link->fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->base, link->fd, EV_WRITE, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL) < 0) {
		lost(link, "no memory");
		return;
	}
	link->connects++;
	link->stale = 0;
	begin_update(link);
}

static void connect_now(int fd, short what, void *argument)
{
	struct link *link = argument;

	(void)fd;
	(void)what;
	link->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd < 0 ||
	    connect(link->fd, (struct sockaddr *)&link->address, sizeof(link->address)) < 0) {
		lost(link, strerror(errno));
		return;
	}
	connected(link);
}

static void on_writable(int fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	flush(argument);
}

static struct link_service *find_unanswered(struct link *link, uint64_t generation)
{
	for (unsigned i = 0; i < link->config->services; i++)
		if (link->service[i].unanswered && link->service[i].generation == generation)
			return &link->service[i];
	return NULL;
}

static void note_refusal(struct link *link, const struct sl_msg_ack *ack, const char *what,
			 const char *name)
{
	static const char *const reason[] = {
		"", "it does not understand our messages", "a field is out of range",
		"another service has its address, protocol and port", "its tables are full"};
	unsigned status = ack->status < sizeof(reason) / sizeof(*reason) ? ack->status : 1;

	link->refused++;
	log_warning("dataplane refuses %s %s: %s%s%.*s; it goes on with what it has", what, name,
		    reason[status], ack->field[0] ? ": " : "", SL_NAME_MAX, ack->field);
}

/* Only an answer shows that the other end is a dataplane that works. */
static void note_up(struct link *link)
{
	link->backoff_ms = BACKOFF_MIN_MS;
	if (!link->told_up)
		log_info("dataplane connected");
	link->told_up = true;
}

static int take_node_ack(struct link *link, const struct sl_msg_ack *ack)
{
	link->node = 0;
	if (ack->status != SL_ACK_DONE)
		note_refusal(link, ack, "node", link->config->node);
	return 0;
}

static void note_reaction(struct link *link, const struct reaction_cause *cause)
{
	uint64_t now_ns = clock_ns();

	if (cause->arrived_ns == 0)
		return;
	reaction_add(&link->reaction, now_ns - cause->arrived_ns);
	reaction_add(&link->whole, now_ns - cause->measured_ns);
}

static int take_service_ack(struct link *link, const struct sl_msg_ack *ack)
{
	struct link_service *s = find_unanswered(link, ack->header.generation);
	unsigned index = s ? (unsigned)(s - link->service) : 0;

	if (!s)
		return -EPROTO;
	s->unanswered = false;
	note_up(link);
	if (ack->status == SL_ACK_DONE) {
		link->acknowledged++;
		s->acknowledged = s->generation;
		s->refused = false;
		note_reaction(link, &s->sent_cause);
	} else if (!s->refused) {
		s->refused = true;
		note_refusal(link, ack, "service", link->config->service[index].name);
	}
	if (s->again)
		enqueue(link, index);
	return 0;
}

static int take_ack(struct link *link, const struct sl_msg_ack *ack)
{
	if (ack->header.generation <= link->stale)
		return 0;
	if (link->node && ack->header.generation == link->node)
		return take_node_ack(link, ack);
	return take_service_ack(link, ack);
}

static int take(struct link *link, const union link_message *message, size_t bytes)
{
	if (bytes < sizeof(message->header) || message->header.bytes != bytes ||
	    message->header.version != SL_ROUTE_VERSION || message->header.type != SL_MSG_ACK ||
	    bytes != sizeof(message->ack))
		return -EPROTO;
	return take_ack(link, &message->ack);
}

void link_take(struct link *link)
{
	union link_message message;
	bool any = false;

	while (link->phase != LINK_DOWN) {
		ssize_t bytes = recv(link->fd, &message, sizeof(message), MSG_DONTWAIT);
		int result;

		if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (bytes <= 0) {
			lost(link, bytes < 0 ? strerror(errno) : "it closed the connection");
			return;
		}
		result = take(link, &message, (size_t)bytes);
		if (result < 0) {
			lost(link, "it answered what we did not ask");
			return;
		}
		any = true;
	}
	if (any)
		flush(link);
}

static void on_readable(int fd, short what, void *argument)
{
	(void)fd, (void)what;
	link_take(argument);
}

void link_start(struct link *link)
{
	connect_now(-1, 0, link);
}

void link_know(struct link *link, unsigned service, const float *wait_s, const float *step_s,
	       unsigned draws)
{
	struct link_service *s = &link->service[service];
	size_t bytes = link->config->service[service].sites * sizeof(float);

	memcpy(s->wait_s, wait_s, bytes);
	memcpy(s->step_s, step_s, bytes);
	s->draws = (uint16_t)draws;
}

/* As link_set has it: a change waits for the answer to what was sent before. */
static void send_again(struct link *link, unsigned service)
{
	struct link_service *s = &link->service[service];

	if (link->phase == LINK_DOWN)
		return;
	if (s->unanswered) {
		s->again = true;
		return;
	}
	enqueue(link, service);
	flush(link);
}

static bool uses(const struct config_service *service, unsigned site)
{
	for (unsigned k = 0; k < service->sites; k++)
		if (service->site[k] == site)
			return true;
	return false;
}

void link_ways(struct link *link, unsigned site, const struct sl_via *via,
	       const struct sl_via *second)
{
	struct link_ways ways;

	memcpy(ways.via, via, sizeof(ways.via));
	memcpy(ways.second, second, sizeof(ways.second));
	if (memcmp(&ways, &link->ways[site], sizeof(ways)) == 0)
		return;
	link->ways[site] = ways;
	for (unsigned i = 0; i < link->config->services; i++)
		if (uses(&link->config->service[i], site))
			send_again(link, i);
}

void link_standby(struct link *link, unsigned service, const uint32_t *standby)
{
	memcpy(link->service[service].standby, standby,
	       link->config->service[service].sites * sizeof(*standby));
}

void link_set(struct link *link, unsigned service, const uint32_t *weight,
	      struct reaction_cause cause)
{
	struct link_service *s = &link->service[service];

	memcpy(s->weight, weight, link->config->service[service].sites * sizeof(*weight));
	if (s->cause.arrived_ns == 0)
		s->cause = cause;
	if (link->phase == LINK_DOWN)
		s->cause = (struct reaction_cause){};
	send_again(link, service);
}

void link_reload(struct link *link, struct link *next)
{
	struct link old = *link;

	link->config = next->config;
	link->service = next->service;
	link->queue = next->queue;
	link->queued = link->first = 0;
	link->stale = link->generation;
	next->config = old.config;
	next->service = old.service;
	next->queue = old.queue;
	link->ways = next->ways;
	next->ways = old.ways;
	link->path = next->path;
	link->paths = next->paths;
	next->path = old.path;
	next->paths = old.paths;
	if (link->phase != LINK_DOWN)
		begin_update(link);
}

static struct link_path *find_path(const struct link *link, const struct sl_path_name *name)
{
	for (unsigned i = 0; i < link->paths; i++)
		if (memcmp(&link->path[i].message.name, name, sizeof(*name)) == 0)
			return &link->path[i];
	return NULL;
}

int link_path(struct link *link, const struct sl_msg_path *message)
{
	struct link_path *path = find_path(link, &message->name), *more;

	if (!path) {
		more = reallocarray(link->path, link->paths + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		link->path = more;
		path = &more[link->paths++];
	}
	*path = (struct link_path){.message = *message, .pending = true};
	if (link->phase != LINK_DOWN)
		flush(link);
	return 0;
}

void link_path_end(struct link *link, const struct sl_path_name *name)
{
	struct link_path *path = find_path(link, name);

	if (!path)
		return;
	path->ended = path->pending = true;
	if (link->phase != LINK_DOWN)
		flush(link);
}
