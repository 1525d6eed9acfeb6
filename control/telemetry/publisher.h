/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For control, which has read its key already: the rest is sl_publisher_* (suanlu/publish.h).
 */
#pragma once

#include "key.h"

/* As sl_publisher_open, with a copy of `key`. -ENOMEM. */
int publisher_open(struct sl_publisher **out, const struct key *key);
