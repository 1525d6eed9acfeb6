/* SPDX-License-Identifier: BSD-3-Clause */
/* What control knows and decided, as JSON. Unknown numbers are null. New references. */
#pragma once

#include "control.h"
#include <jansson.h>

json_t *answer_services(const struct control *control);
json_t *answer_sites(const struct control *control);
json_t *answer_routes(const struct control *control);
json_t *answer_telemetry(const struct control *control);
json_t *answer_reports(const struct control *control);
json_t *answer_announcements(const struct control *control);
json_t *answer_status(const struct control *control); /* a whole answer, "ok" included */
