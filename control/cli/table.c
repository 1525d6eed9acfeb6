/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct table *table, char *text)
{
	if (!text)
		abort(); /* out of memory while printing a table */
	if (table->cells == table->room) {
		table->room = table->room ? 2 * table->room : 64;
		table->cell = realloc(table->cell, table->room * sizeof(char *));
		if (!table->cell)
			abort();
	}
	for (char *at = text; *at != '\0'; at++)
		if (iscntrl((unsigned char)*at))
			*at = '?';
	table->cell[table->cells++] = text;
}

void table_init(struct table *table, const char *const *header)
{
	*table = (struct table){0};
	for (; header[table->columns]; table->columns++)
		add(table, strdup(header[table->columns]));
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	add(table, text);
}

void table_empty(struct table *table, size_t cells)
{
	while (cells-- > 0)
		table_cell(table, "%s", "");
}

void table_text(struct table *table, const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	table_cell(table, "%s", text && *text ? text : "-");
}

void table_number(struct table *table, const json_t *object, const char *name, double scale,
		  int decimals)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_number(value))
		table_cell(table, "%.*f", decimals, json_number_value(value) * scale);
	else
		table_cell(table, "-");
}

/* Characters, not bytes: UTF-8 continuation bytes take no room. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
	size_t blank = width - width_of(text);

	printf("%*s%s%*s", right ? (int)blank : 0, "", text, right || last ? 0 : (int)blank, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *table)
{
	size_t width[TABLE_COLUMNS_MAX] = {0};
	bool right[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < table->columns; i++) {
		right[i] = table->cell[i][0] == '>';
		if (right[i])
			memmove(table->cell[i], table->cell[i] + 1, strlen(table->cell[i]));
	}
	for (size_t i = 0; i < table->cells; i++) {
		size_t wide = width_of(table->cell[i]);
		if (wide > width[i % table->columns])
			width[i % table->columns] = wide;
	}
	for (size_t i = 0; i < table->cells; i++) {
		size_t column = i % table->columns;
		print_cell(table->cell[i], width[column], right[column],
			   column + 1 == table->columns);
		free(table->cell[i]);
	}
	free(table->cell);
	*table = (struct table){0};
}
