/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table for people: columns as wide as they must be, numbers to the right. Cells are
 * printed when the table is; a control character in one becomes '?', for names come from
 * elsewhere.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 20

struct table {
	size_t columns, cells, room;
	char **cell; /* row by row, the header first */
};

/* Headers end with NULL; a leading '>' aligns a column to the right. */
void table_init(struct table *table, const char *const *header);
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_empty(struct table *table, size_t cells);

/* A member of a JSON object: text; a number times `scale` with so many decimals; "-" if null or
 * missing. */
void table_text(struct table *table, const json_t *object, const char *name);
void table_number(struct table *table, const json_t *object, const char *name, double scale,
		  int decimals);

/* Prints and frees. */
void table_print(struct table *table);
