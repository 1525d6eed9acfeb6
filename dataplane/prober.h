/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which paths are measured, and what becomes of flows when one dies or is alive again: main thread
 * only. Probes and answers are worker 0's (probes.h), which wakes us when a path's state has
 * changed; all of it is shown in RUN_DIR/paths (suanlu/paths.h).
 */
#pragma once

#include "probes.h"
#include "reflect.h"

struct prober {
	const struct config *config;
	struct routes *routes;
	struct reflect reflect; /* of probes to this node; its key and clock serve for both ends */
	int reflector;
	int socket[PROBES_PORTS]; /* hold our UDP ports, so that nobody else gets them */
	struct probes probes;
};

/* Before the workers start. 0 or -errno, said on stderr. Without `probes:` in the configuration it
 * does nothing. */
int prober_open(struct prober *prober, const struct config *config, const struct ports *ports,
		struct routes *routes);
void prober_close(struct prober *prober);

/* What worker 0 has its turns of; NULL: nothing is measured. */
struct probes *prober_probes(struct prober *prober);

/* What to poll for: changed states, and probes of others; each -1 if there is none. */
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
