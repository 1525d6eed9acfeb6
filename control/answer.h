/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUN_DIR/control.sock: one JSON request a line, one JSON answer a line, for the CLI and for
 * programs. {"command": "sites"} -> {"ok": true, "sites": [...]}, or
 * {"ok": false, "error": "..."}. Whoever may open the socket (mode 0660) may drain.
 */
#pragma once

#include "control.h"
#include <event2/listener.h>
#include <sys/un.h>

#define ANSWER_REQUEST_BYTES 4096
#define ANSWER_CLIENTS_MAX 64

struct answer {
	struct control *control;
	struct evconnlistener *listener;
	unsigned clients;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* Replaces a socket that was left over: only the holder of RUN_DIR's lock comes here. */
int answer_open(struct answer *answer, struct control *control, struct config_error *error);
void answer_close(struct answer *answer);
