/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to NATS that is kept up in the background: a thread of its own connects, again
 * after each loss with jitter, and where there is a `take` subscribes to all reports and reads
 * the last ones out of the bucket. Nobody waits for it: what cannot be sent now is not sent,
 * as a report that comes late is worth nothing.
 *
 * What the bus says is untrusted: verify.h decides. Functions may be called from any thread.
 */
#pragma once

#include "subject.h"
#include <stddef.h>
#include <stdint.h>
#include <suanlu/publish.h>

#define BUS_ERROR_TEXT 256

struct bus;

/*
 * A message, or a last value of the bucket. Called on threads of the bus, also on two at the same
 * time; must not wait. Never called after bus_close.
 */
typedef void bus_take(void *argument, const char *subject, const void *data, size_t bytes);

struct bus_status {
	bool connected;
	bool bucket;		    /* of this connection: there is one */
	bool complete;		    /* all its last values were read, once */
	uint64_t connects, lost;    /* lost: messages that came faster than they were taken */
	char server[96];	    /* "nats://HOST:PORT" without user and password; "": never */
	char error[BUS_ERROR_TEXT]; /* why it is not connected, and what to look at; or the last
				       complaint */
};

/*
 * `name` says to the server who this is. take NULL: it only publishes. Whatever can be wrong with
 * the configuration (a certificate that cannot be read) is said at once: -EINVAL and `error`;
 * that a server cannot be reached is no error.
 */
int bus_open(struct bus **out, const struct sl_bus *config, const char *name, bus_take *take,
	     void *argument, char error[BUS_ERROR_TEXT]);
/*
 * Begins to connect; once. Not before the process has dropped its rights: libnats takes the signals
 * by which that is done in each thread for a fault of the connection.
 */
int bus_start(struct bus *bus);
void bus_close(struct bus *bus);

/* 0: handed on; -ENOTCONN: there is no connection now; -EMSGSIZE, -EIO otherwise. */
int bus_publish(struct bus *bus, const struct subject *subject, const void *data, size_t bytes);

/* Waits until it is connected and the server has all that was published: 0, or -ETIMEDOUT. */
int bus_flush(struct bus *bus, unsigned timeout_ms);

void bus_status(struct bus *bus, struct bus_status *out);
