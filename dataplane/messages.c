/* SPDX-License-Identifier: BSD-3-Clause */
#include "messages.h"
#include "route_check.h"
#include "trace.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX \
	(sizeof(struct sl_msg_service) + SL_CANDIDATES_MAX * sizeof(struct sl_candidate))
/* Messages of one peer before the others have their turn. */
#define TURN 64

int messages_open(struct messages *messages, const char *run_dir, struct routes *routes,
		  const struct workers *workers, struct prober *prober)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	messages->routes = routes;
	messages->workers = workers;
	messages->prober = prober;
	if (snprintf(messages->path, sizeof(messages->path), "%s/dataplane.sock", run_dir) >=
	    (int)sizeof(messages->path)) {
		warnx("run_dir '%s' is too long for a socket's path", run_dir);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, messages->path, sizeof(messages->path));
	unlink(messages->path); /* ours: main holds the lock of run_dir */
	messages->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (messages->listen < 0 || bind(messages->listen, (void *)&address, sizeof(address)) < 0 ||
	    chmod(messages->path, 0660) < 0 || listen(messages->listen, MESSAGES_PEERS_MAX) < 0) {
		int ret = -errno;
		warn("%s", messages->path);
		return ret;
	}
	return 0;
}

void messages_close(struct messages *messages)
{
	while (messages->peers)
		close(messages->peer[--messages->peers]);
	if (messages->listen >= 0) {
		close(messages->listen);
		unlink(messages->path);
	}
}

static void reply(int fd, const void *message, size_t bytes)
{
	/* A peer that does not read its answers loses them; it notices the gap and reconnects. */
	if (send(fd, message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
		shutdown(fd, SHUT_RDWR);
}

static void acknowledge(int fd, const struct sl_msg_header *to, enum sl_ack_status status,
			const char field[SL_NAME_MAX])
{
	struct sl_msg_ack ack = {
		.header = {SL_ROUTE_VERSION, SL_MSG_ACK, sizeof(ack), to->generation},
		.status = status,
	};

	if (status != SL_ACK_DONE)
		memcpy(ack.field, field, sizeof(ack.field));
	reply(fd, &ack, sizeof(ack));
}

static void answer_trace(const struct messages *messages, int fd, const void *message, size_t bytes)
{
	struct sl_msg_traced traced;
	char field[SL_NAME_MAX];

	if (bytes != sizeof(struct sl_msg_trace)) {
		snprintf(field, sizeof(field), "length");
		acknowledge(fd, message, SL_ACK_FIELD, field);
		return;
	}
	trace(messages->routes, messages->workers, message, &traced);
	reply(fd, &traced, sizeof(traced));
}

static void answer_state(const struct messages *messages, int fd, const struct sl_msg_header *asked)
{
	static struct {
		struct sl_msg_targets head;
		struct sl_target_state target[TRACE_TARGETS_PER_MESSAGE];
	} message;
	unsigned total = messages->routes->targets - 1, done = 0;

	do {
		unsigned n = trace_targets(messages->routes, done + 1, message.target);
		message.head.total = total;
		message.head.targets = n;
		message.head.header = (struct sl_msg_header){
			SL_ROUTE_VERSION, SL_MSG_TARGETS,
			sizeof(message.head) + n * sizeof(message.target[0]), asked->generation};
		reply(fd, &message, message.head.header.bytes);
		done += n;
	} while (done < total);
}

static void take(struct messages *messages, int fd, const void *message, size_t bytes)
{
	const struct sl_msg_header *header = message;
	char field[SL_NAME_MAX] = "type";
	enum sl_ack_status status = route_check_header(header, bytes, field);

	if (status != SL_ACK_DONE) {
		static const struct sl_msg_header unknown;
		acknowledge(fd, bytes < sizeof(*header) ? &unknown : header, status, field);
		return;
	}
	switch (header->type) {
	case SL_MSG_HELLO:
		routes_hello(messages->routes);
		prober_hello(messages->prober);
		return;
	case SL_MSG_SYNC:
		routes_sync(messages->routes);
		prober_sync(messages->prober);
		return;
	case SL_MSG_PATH:
		if (prober_path(messages->prober, message, bytes, field) != SL_ACK_DONE)
			warnx("warning: a path is refused: %s", field);
		return;
	case SL_MSG_PATH_END:
		prober_path_end(messages->prober, message, bytes);
		return;
	case SL_MSG_TRACE:
		answer_trace(messages, fd, message, bytes);
		return;
	case SL_MSG_STATE:
		answer_state(messages, fd, header);
		return;
	case SL_MSG_SERVICE:
		status = routes_service(messages->routes, message, bytes, field);
		break;
	case SL_MSG_NODE:
		status = routes_node(messages->routes, message, bytes, field);
		break;
	case SL_MSG_WITHDRAW:
		status = routes_withdraw(messages->routes, message, bytes, field);
		break;
	default:
		status = SL_ACK_FIELD;
	}
	if (status == SL_ACK_DONE)
		messages->routes->counters->generation = header->generation;
	acknowledge(fd, header, status, field);
}

/* False once the peer is gone. */
static bool receive(struct messages *messages, int fd)
{
	_Alignas(8) static uint8_t buffer[MESSAGE_MAX + 1]; /* one more, so that too long shows */

	for (unsigned i = 0; i < TURN; i++) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		take(messages, fd, buffer, (size_t)n < sizeof(buffer) ? (size_t)n : sizeof(buffer));
	}
	return true;
}

unsigned messages_poll(const struct messages *messages, struct pollfd *fds)
{
	fds[0] = (struct pollfd){.fd = messages->listen, .events = POLLIN};
	for (unsigned i = 0; i < messages->peers; i++)
		fds[i + 1] = (struct pollfd){.fd = messages->peer[i], .events = POLLIN};
	return messages->peers + 1;
}

void messages_ready(struct messages *messages, const struct pollfd *fds, unsigned n)
{
	for (unsigned i = n; i-- > 1;)
		if (fds[i].revents && !receive(messages, fds[i].fd)) {
			close(fds[i].fd);
			messages->peer[i - 1] = messages->peer[--messages->peers];
		}
	if (fds[0].revents) {
		int fd = accept4(messages->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0 && messages->peers < MESSAGES_PEERS_MAX)
			messages->peer[messages->peers++] = fd;
		else if (fd >= 0)
			close(fd);
	}
}
