/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to the programs of this node: JSON lines to RUN_DIR/control.sock, messages
 * (route.h) to RUN_DIR/dataplane.sock. Errors come in words, with what the user can do.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <suanlu/route.h>

struct ask_error {
	char text[512];
};

/* Takes over `request`. The answer (the caller's) if it says ok, else NULL. */
json_t *ask_control(const char *run_dir, json_t *request, struct ask_error *error);

/* A connection to the dataplane, or -1. Answers are waited for 5 s at most. */
int ask_dataplane(const char *run_dir, struct ask_error *error);

/* Sends one message; 0 or -1. */
int ask_send(int fd, const void *message, size_t bytes, struct ask_error *error);

/* The size of one answer of this type, at least `least` bytes; -1 on anything else. */
long ask_receive(int fd, void *answer, size_t bytes, enum sl_msg_type type, size_t least,
		 struct ask_error *error);
