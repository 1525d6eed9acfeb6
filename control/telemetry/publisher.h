/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For control, which has read its key already and receives and publishes over one connection to
 * the bus: the rest is sl_publisher_* (suanlu/publish.h).
 */
#pragma once

#include "bus.h"
#include "key.h"

/* As sl_publisher_open, with a copy of `key`. -ENOMEM. */
int publisher_open(struct sl_publisher **out, const struct key *key);

/*
 * On a bus that the caller has opened, and closes after the publisher. -EINVAL: no name for a bus,
 * -EEXIST: there is a bus already.
 */
int publisher_use_bus(struct sl_publisher *publisher, struct bus *bus, enum subject_kind kind,
		      const char *name);
