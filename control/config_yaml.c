/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_yaml.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_text(struct config_reader *reader, size_t line, const char *path,
		     const char *format, va_list arguments)
{
	char what[320];

	vsnprintf(what, sizeof(what), format, arguments);
	snprintf(reader->error->text, sizeof(reader->error->text), "%.100s:%zu: %s%s%s",
		 reader->file, line, path, *path ? ": " : "", what);
	return -EINVAL;
}

int config_fail(struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail_text(reader, node->start_mark.line + 1, reader->path, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int fail_file(struct config_error *error, const char *file, const char *what, int code)
{
	snprintf(error->text, sizeof(error->text), "%.100s: %s", file, what);
	return code;
}

static int read_file(const char *file, char **out, size_t *bytes, struct config_error *error)
{
	FILE *stream = fopen(file, "re");
	char *text = NULL;
	int result;

	if (!stream)
		return fail_file(error, file, strerror(errno), -errno);
	text = malloc(CONFIG_BYTES_MAX);
	result = text ? 0 : fail_file(error, file, "no memory", -ENOMEM);
	if (result == 0) {
		*bytes = fread(text, 1, CONFIG_BYTES_MAX, stream);
		if (ferror(stream))
			result = fail_file(error, file, strerror(errno), -errno);
		else if (*bytes == CONFIG_BYTES_MAX)
			result = fail_file(error, file, "longer than 16 MiB", -EFBIG);
	}
	fclose(stream);
	if (result < 0)
		free(text);
	else
		*out = text;
	return result;
}

static void syntax_error(struct config_reader *reader, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ?: "unreadable";
	/* The trap of our trade: a plain scalar must not end in a colon (YAML 1.1, 9.1.3). */
	bool colon = strstr(problem, "mapping values") || strstr(problem, "unexpected ':'");

	snprintf(reader->error->text, sizeof(reader->error->text),
		 "%.100s:%zu: not valid YAML: %s%s", reader->file, parser->problem_mark.line + 1,
		 problem, colon ? "; an address that ends in :: needs quotes" : "");
}

static int parse(struct config_reader *reader, const char *text, size_t bytes)
{
	yaml_parser_t parser;
	int result = 0;

	if (!yaml_parser_initialize(&parser))
		return fail_file(reader->error, reader->file, "no memory", -ENOMEM);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	if (!yaml_parser_load(&parser, &reader->document)) {
		syntax_error(reader, &parser);
		result = -EINVAL;
	} else if (!yaml_document_get_root_node(&reader->document)) {
		result = fail_file(reader->error, reader->file, "empty: expected keys and values",
				   -EINVAL);
		yaml_document_delete(&reader->document);
	}
	yaml_parser_delete(&parser);
	return result;
}

int config_reader_open(struct config_reader *reader, const char *file, struct config_error *error)
{
	char *text = NULL;
	size_t bytes = 0;
	int result;

	*reader = (struct config_reader){.file = file, .error = error};
	result = read_file(file, &text, &bytes, error);
	if (result < 0)
		return result;
	result = parse(reader, text, bytes);
	free(text);
	return result;
}

void config_reader_close(struct config_reader *reader)
{
	yaml_document_delete(&reader->document);
}

static const char *text_of(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	/* A NUL can come in by an escape; nothing here may contain one. */
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

const char *config_scalar(struct config_reader *reader, const yaml_node_t *node)
{
	const char *text = node->type == YAML_SCALAR_NODE ? text_of(node) : NULL;

	if (!text)
		config_fail(reader, node, "expected one value, found %s",
			    node->type == YAML_SEQUENCE_NODE  ? "a list"
			    : node->type == YAML_MAPPING_NODE ? "keys and values"
							      : "a NUL character");
	return text;
}

static bool is_empty(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static size_t path_push(struct config_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static size_t path_push(struct config_reader *reader, const char *format, ...)
{
	size_t length = strlen(reader->path);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->path + length, sizeof(reader->path) - length, format, arguments);
	va_end(arguments);
	return length;
}

static int read_pair(struct config_reader *reader, const struct config_field *fields,
		     unsigned count, const yaml_node_pair_t *pair, uint64_t *seen, void *out)
{
	const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
	const char *text = config_scalar(reader, key);
	unsigned i;

	if (!text)
		return -EINVAL;
	path_push(reader, "%s%.64s", *reader->path ? "." : "", text);
	for (i = 0; i < count && strcmp(fields[i].key, text) != 0; i++)
		;
	if (i == count)
		return config_fail(reader, key, "unknown key");
	if (*seen & UINT64_C(1) << i)
		return config_fail(reader, key, "given twice");
	*seen |= UINT64_C(1) << i;
	if (is_empty(value))
		return 0;
	return fields[i].set(reader, &fields[i], value, (char *)out + fields[i].offset);
}

int config_read_mapping(struct config_reader *reader, const struct config_field *fields,
			unsigned count, const yaml_node_t *node, void *out)
{
	const yaml_node_pair_t *pair;
	uint64_t seen = 0;

	if (node->type != YAML_MAPPING_NODE)
		return config_fail(reader, node, "expected keys and values, found %s",
				   node->type == YAML_SEQUENCE_NODE ? "a list" : "one value");
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		size_t length = strlen(reader->path);

		if (read_pair(reader, fields, count, pair, &seen, out) < 0)
			return -EINVAL;
		reader->path[length] = '\0';
	}
	return 0;
}

int config_read_list(struct config_reader *reader, const struct config_field *field,
		     config_set *set, size_t bytes, unsigned count_max, const yaml_node_t *node,
		     void *out, unsigned *count)
{
	bool list = node->type == YAML_SEQUENCE_NODE;
	size_t items =
		list ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
		     : 1;
	char *array;

	*count = 0;
	if (items > count_max)
		return config_fail(reader, node, "expected at most %u, found %zu", count_max,
				   items);
	array = items ? calloc(items, bytes) : NULL;
	if (items && !array)
		return config_fail(reader, node, "no memory");
	*(void **)out = array;
	for (; *count < items; (*count)++) {
		const yaml_node_t *item = node;
		size_t length = strlen(reader->path);

		if (list) {
			path_push(reader, "[%u]", *count);
			item = yaml_document_get_node(&reader->document,
						      node->data.sequence.items.start[*count]);
		}
		if (set(reader, field, item, array + *count * bytes) < 0) {
			(*count)++; /* what this entry holds so far is freed with the rest */
			return -EINVAL;
		}
		reader->path[length] = '\0';
	}
	return 0;
}

static const yaml_node_t *child_by_key(struct config_reader *reader, const yaml_node_t *node,
				       const char *key, size_t bytes)
{
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return NULL;
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);

		if (name->type == YAML_SCALAR_NODE && name->data.scalar.length == bytes &&
		    memcmp(name->data.scalar.value, key, bytes) == 0)
			return yaml_document_get_node(&reader->document, pair->value);
	}
	return NULL;
}

static const yaml_node_t *child_by_index(struct config_reader *reader, const yaml_node_t *node,
					 unsigned long index)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return index == 0 ? node : NULL;
	if (index >= (size_t)(node->data.sequence.items.top - node->data.sequence.items.start))
		return NULL;
	return yaml_document_get_node(&reader->document, node->data.sequence.items.start[index]);
}

/* Follows the path as far as it exists; *whole tells whether that is to its end. */
static const yaml_node_t *walk(struct config_reader *reader, const char *path, bool *whole)
{
	const yaml_node_t *node = yaml_document_get_root_node(&reader->document);

	while (*path) {
		const yaml_node_t *child;
		size_t bytes;

		if (*path == '[') {
			char *end;

			child = child_by_index(reader, node, strtoul(path + 1, &end, 10));
			bytes = (size_t)(end - path) + 1;
		} else {
			path += *path == '.';
			bytes = strcspn(path, ".[");
			child = child_by_key(reader, node, path, bytes);
		}
		if (!child)
			break;
		node = child;
		path += bytes;
	}
	*whole = *path == '\0';
	return node;
}

const yaml_node_t *config_find(struct config_reader *reader, const char *path)
{
	bool whole;
	const yaml_node_t *node = walk(reader, path, &whole);

	return whole ? node : NULL;
}

int config_fail_at(struct config_reader *reader, const char *path, const char *format, ...)
{
	bool whole;
	const yaml_node_t *node = walk(reader, path, &whole);
	va_list arguments;

	va_start(arguments, format);
	fail_text(reader, node->start_mark.line + 1, path, format, arguments);
	va_end(arguments);
	return -EINVAL;
}
