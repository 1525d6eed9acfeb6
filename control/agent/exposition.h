/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text in which Prometheus exporters answer (exposition format 0.0.4, and OpenMetrics 1.0 as
 * far as samples go): one sample a line,
 *
 *	name{label="value",...} value [timestamp] [# exemplar]
 *
 * Tolerant: a line that is none of that is counted and skipped, comments and timestamps
 * are passed over, NaN and infinities are handed on for the caller to judge. Pure.
 */
#pragma once

#include <stddef.h>

#define EXPOSITION_LABELS_MAX 32

struct exposition_label {
	const char *name, *value; /* unescaped */
};

struct exposition_sample {
	const char *name;
	struct exposition_label label[EXPOSITION_LABELS_MAX];
	unsigned labels;
	double value;
};

typedef void exposition_each(void *context, const struct exposition_sample *sample);

struct exposition_result {
	unsigned long samples, bad;
	unsigned long first_bad; /* line number, 0: none */
};

/* Cuts `text` into strings in place; text[bytes] must be writable. */
struct exposition_result exposition_parse(char *text, size_t bytes, exposition_each *each,
					  void *context);
