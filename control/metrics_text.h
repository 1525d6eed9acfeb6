/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text of /metrics: https://prometheus.io/docs/specs/om/open_metrics_spec/. Names in labels
 * need no escapes: config.c lets only A-Z a-z 0-9 . _ - into them.
 */
#pragma once

#include "control.h"
#include <event2/buffer.h>

void metrics_text(const struct control *control, struct evbuffer *out);
