/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measures paths: sends STAMP probes by the ways of data, takes the answers, judges (path.h), and
 * shows it all in RUN_DIR/paths (suanlu/paths.h). Main thread only.
 *
 * Probes leave as the frames that a worker would send on the way (the same headers, next hop and
 * interface) through a packet socket, and answers come to a UDP socket of the node's own
 * address, as replies of services come back: past the workers, which so pay nothing, neither
 * time nor wake-ups. Arrival times are the kernel's, at the interface, so that answers can wait
 * until the next probes are due.
 */
#pragma once

#include "path.h"
#include "port.h"
#include "reflect.h"
#include "routes.h"

#define PROBER_SOCKETS_MAX                                                    \
	8 /* paths to one reflector, by themselves if it knows no session ids \
	   */

struct prober_session {
	struct path path;
	bool named; /* since the last HELLO */
	uint8_t socket;
	uint16_t target[SL_INNER_FAMILIES]; /* ways of the path, 0: none */
};

struct prober {
	const struct config *config;
	const struct ports *ports;
	struct routes *routes;
	struct sl_paths *shared;
	struct path_rule rule;
	struct reflect reflect; /* of probes to this node; its key and clock serve for both ends */
	int timer, packets, reflector;
	int socket[PROBER_SOCKETS_MAX];
	uint16_t port[PROBER_SOCKETS_MAX];
	unsigned sockets;
	unsigned slots; /* of session[], used ones and holes */
	struct prober_session *session[SL_PATHS_MAX];
	unsigned next_slot; /* whose turn it is */
	uint64_t due_ns;    /* of the next turn; 0: there is no path */
	uint64_t judge_ns;  /* when a path's state may change next by time alone */
	uint64_t since_ns;  /* we probe without a pause since then */
};

/* 0 or -errno, said on stderr. Without `probes:` in the configuration it does nothing. */
int prober_open(struct prober *prober, const struct config *config, const struct ports *ports,
		struct routes *routes);
void prober_close(struct prober *prober);

/* What to poll for: a timer, and probes of others; each -1 if there is none. */
#define PROBER_FDS 2
void prober_fds(const struct prober *prober, int fd[PROBER_FDS]);
void prober_turn(struct prober *prober);

/* Once a second. */
void prober_tick(struct prober *prober);

/* What control says (suanlu/route.h). */
void prober_hello(struct prober *prober);
void prober_sync(struct prober *prober);
enum sl_ack_status prober_path(struct prober *prober, const struct sl_msg_path *message,
			       size_t bytes, char field[SL_NAME_MAX]);
void prober_path_end(struct prober *prober, const struct sl_msg_path *message, size_t bytes);
