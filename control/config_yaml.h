/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML file read by tables: each mapping has a table of its keys, each key a setter that
 * checks the value and writes it. Keys not in the table, keys given twice and values of the
 * wrong kind are refused; every error names FILE:LINE: PATH: what was expected.
 *
 * It stands on libyaml and not on libcyaml, which can neither take "one value or a list of
 * them" nor tell the line of an unknown key.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <suanlu/config.h>
#include <yaml.h>

#define CONFIG_PATH_MAX 160
#define CONFIG_BYTES_MAX (16 << 20)

struct config_reader {
	const char *file;
	yaml_document_t document;
	struct config_error *error;
	char path[CONFIG_PATH_MAX]; /* of the value being read: "services[0].port" */
};

struct config_field;

/* Writes the checked value of `node` to `out`; 0, or -EINVAL after config_fail. */
typedef int config_set(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out);

struct config_field {
	const char *key;
	config_set *set;
	size_t offset;	 /* of the member in the mapping's struct */
	double min, max; /* for numbers */
};

#define CONFIG_FIELD(key_, set_, type, member)                                 \
	{                                                                      \
		.key = (key_), .set = (set_), .offset = offsetof(type, member) \
	}
#define CONFIG_RANGE(key_, set_, type, member, min_, max_)                                     \
	{                                                                                      \
		.key = (key_), .set = (set_), .offset = offsetof(type, member), .min = (min_), \
		.max = (max_)                                                                  \
	}
/* The setter gets the whole struct: it fills an array and its count, or more members. */
#define CONFIG_WHOLE(key_, set_)             \
	{                                    \
		.key = (key_), .set = (set_) \
	}

#define CONFIG_READ(reader, fields, node, out) \
	config_read_mapping(reader, fields, sizeof(fields) / sizeof(*(fields)), node, out)

/* 0 with reader ready (close it), or -errno with error->text set. */
int config_reader_open(struct config_reader *reader, const char *file, struct config_error *error);
void config_reader_close(struct config_reader *reader);

/* Reads a mapping into *out, field by field; empty values count as not given. */
int config_read_mapping(struct config_reader *reader, const struct config_field *fields,
			unsigned count, const yaml_node_t *node, void *out);

/*
 * Reads a sequence, or one value in its place, into a new array *out (calloc, NULL if empty) of
 * *count elements of `bytes` each. An entry's setter gets the element as `out`.
 */
int config_read_list(struct config_reader *reader, const struct config_field *field,
		     config_set *set, size_t bytes, unsigned count_max, const yaml_node_t *node,
		     void *out, unsigned *count);

/* The text of a scalar; NULL after config_fail if it is none. */
const char *config_scalar(struct config_reader *reader, const yaml_node_t *node);

/* The node at a path such as "services[0].port"; NULL if there is none. */
const yaml_node_t *config_find(struct config_reader *reader, const char *path);

/* Sets the error's text, at `node`'s line and the reader's path; returns -EINVAL. */
int config_fail(struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a path; the line is that of the nearest thing on the way that exists. */
int config_fail_at(struct config_reader *reader, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
