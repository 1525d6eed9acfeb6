/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUN_DIR/dataplane.sock: route messages of control in, acknowledgements out; traces and
 * next-hop states for the CLI. Main thread only; never waits for a peer.
 */
#pragma once

#include "prober.h"
#include "routes.h"
#include "workers.h"
#include <poll.h>

#define MESSAGES_PEERS_MAX 16

struct messages {
	int listen;
	unsigned peers;
	int peer[MESSAGES_PEERS_MAX];
	char path[108];
	struct routes *routes;
	const struct workers *workers;
	struct prober *prober;
};

/* 0 or -errno, said on stderr. Replaces the socket that a killed dataplane left. */
int messages_open(struct messages *messages, const char *run_dir, struct routes *routes,
		  const struct workers *workers, struct prober *prober);
void messages_close(struct messages *messages);

/* Fills in what to poll for, at most 1 + MESSAGES_PEERS_MAX; messages_ready takes the same array.
 */
unsigned messages_poll(const struct messages *messages, struct pollfd *fds);
void messages_ready(struct messages *messages, const struct pollfd *fds, unsigned n);
