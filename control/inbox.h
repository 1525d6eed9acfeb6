/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What threads of the bus hand to control's event loop: a ring of copies, bounded in number and
 * bytes, and an eventfd that is readable while there is something in it. A full ring refuses.
 *
 * Once an eighth of it waits, a message takes the place of the last one of its subject: who cannot
 * read all then reads what is new. In order of arrival, all that he reads would be as old as the
 * ring is long, and once that is longer than reports are valid he would never hear anybody again.
 *
 * inbox_put: any thread; the rest: the loop.
 */
#pragma once

#include "telemetry/codec.h"
#include "telemetry/subject.h"

struct inbox;

struct inbox_message {
	uint64_t received_ns; /* CLOCK_MONOTONIC */
	size_t bytes;	      /* as it came; data has them only if it is no more than a datagram */
	char subject[SUBJECT_TEXT]; /* cut if it is longer than any of ours */
	uint8_t data[CODEC_DATAGRAM_MAX];
};

int inbox_open(struct inbox **out, unsigned messages); /* -errno */
void inbox_close(struct inbox *inbox);
int inbox_fd(const struct inbox *inbox);

/* A bus_take (telemetry/bus.h); `inbox` is the argument. */
void inbox_put(void *inbox, const char *subject, const void *data, size_t bytes);

/* False if there is none; the fd is then no longer readable. */
bool inbox_take(struct inbox *inbox, struct inbox_message *out);

bool inbox_empty(struct inbox *inbox);
uint64_t inbox_refused(struct inbox *inbox);
uint64_t inbox_overtaken(struct inbox *inbox);
