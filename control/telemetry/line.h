/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One JSON object -> one report: what `suanlu publish` sends, from a line of its input or
 * from its options. Fields are those of struct sl_load (service is required, the rest 0 or
 * unknown), and of struct sl_report labels, price_per_hour, pue, valid_for_ms, measured_at_us.
 * An unknown field, a wrong type, a value that cannot be is refused by name. Pure.
 */
#pragma once

#include <jansson.h>
#include <suanlu/config.h>
#include <suanlu/publish.h>

/* Points into the object that it was made of, and into itself: do not copy. */
struct line {
	struct sl_report report;
	struct sl_load load;
	const char *label[SL_LABELS_MAX];
};

/* 0, or -EINVAL with the reason in `error`; *out is then not to be used. */
int line_parse(const json_t *object, struct line *out, char error[256]);
