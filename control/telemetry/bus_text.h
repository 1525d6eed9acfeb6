/* SPDX-License-Identifier: BSD-3-Clause */
/* What the bus says to people: libnats's words without the places in its source, and what to do. */
#pragma once

#include <nats/nats.h>
#include <suanlu/publish.h>

/* why: of libnats, may be NULL or empty; its messages begin with "(file.c:line): ". */
const char *bus_plain(const char *why, natsStatus status);

/* After a connection that failed: "; see ...", or "". */
const char *bus_remedy(natsStatus status);

/* Without scheme, user and password. */
const char *bus_host(const char *url);
void bus_hosts(const struct sl_bus *config, char *out, size_t bytes);
