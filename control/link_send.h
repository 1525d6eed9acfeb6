/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What link.c says to the dataplane, message by message (suanlu/route.h). Each returns 1: sent,
 * 0: the socket is full (the link's writable event is on), -errno: the connection is lost.
 */
#pragma once

#include "link.h"

union link_message {
	struct sl_msg_header header;
	struct sl_msg_service service;
	struct sl_msg_ack ack;
	char bytes[sizeof(struct sl_msg_service) + SL_CANDIDATES_MAX * sizeof(struct sl_candidate)];
};

int link_send_header(struct link *link, enum sl_msg_type type);
int link_send_node(struct link *link);
int link_send_service(struct link *link, unsigned index);

/* Those that are pending; ended ones are forgotten then. */
int link_send_paths(struct link *link);
