/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a datagram goes on the bus: one subject for each node and part of its report,
 *
 *	$KV.suanlu.site.NAME.PART     reports of a site
 *	$KV.suanlu.edge.NAME.PART     reports of an edge
 *
 * These are the subjects of the JetStream key-value bucket `suanlu`: what is published there
 * reaches who listens, and where there is a bucket it also stays as the last value of its key. A
 * name may have dots in it, so that the part is what follows the last one. Pure.
 */
#pragma once

#include <stdbool.h>
#include <suanlu/config.h>

#define SUBJECT_BUCKET "suanlu"
#define SUBJECT_STREAM "KV_" SUBJECT_BUCKET /* what JetStream calls it */
#define SUBJECT_PREFIX "$KV." SUBJECT_BUCKET "."
#define SUBJECT_ALL SUBJECT_PREFIX ">"
#define SUBJECT_PARTS_MAX 100
#define SUBJECT_TEXT 64 /* the longest is 53 */

enum subject_kind {
	SUBJECT_SITE,
	SUBJECT_EDGE,
};

struct subject {
	enum subject_kind kind;
	unsigned part;
	char name[SL_NAME_MAX];
};

/* Whether a name of ours is one on the bus too: no empty token (NATS: subjects). */
bool subject_name_valid(const char *name);

/* False if the text is none of these subjects, byte for byte; *out is then untouched. */
bool subject_parse(const char *text, struct subject *out);
void subject_print(const struct subject *subject, char text[SUBJECT_TEXT]);
