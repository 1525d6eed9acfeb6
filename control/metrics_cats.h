/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the metrics that is CATS: what sites say and what is derived (cats.h), and what this
 * node says as a site. */
#pragma once

#include "control.h"
#include <event2/buffer.h>

void metrics_cats(const struct control *control, struct evbuffer *out);
