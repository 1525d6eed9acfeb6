/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of /metrics about paths, as the dataplane measures them (suanlu/paths.h). */
#pragma once

#include "control.h"
#include <event2/buffer.h>

void metrics_paths(const struct control *control, struct evbuffer *out);
