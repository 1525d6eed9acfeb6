/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields of a serialised protobuf message, one after the other, where protobuf-c takes 180
 * instructions for each: for what comes with every report. Who meets a field that he does not know
 * leaves the message to protobuf-c.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Numbers up to 15, so that a tag is one byte: number << 3 | type. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };
#define WIRE_TAG(number, type) ((number) << 3 | (type))

struct wire_field {
	uint8_t tag;
	uint64_t value;	      /* of a varint; of bytes their number */
	double number;	      /* of a fixed64 */
	const uint8_t *bytes; /* within the message */
};

static inline bool wire_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		value |= (uint64_t)(**at & 0x7f) << shift;
		if (*(*at)++ < 0x80) {
			*out = value;
			return true;
		}
	}
	return false;
}

/* False: cut off, or of a type that is none of these. */
static inline bool wire_next(const uint8_t **at, const uint8_t *end, struct wire_field *field)
{
	uint64_t bits;

	if (*at == end)
		return false;
	field->tag = *(*at)++;
	switch (field->tag & 7) {
	case WIRE_VARINT:
		return wire_varint(at, end, &field->value);
	case WIRE_FIXED64:
		if (end - *at < (ptrdiff_t)sizeof(bits))
			return false;
		memcpy(&bits, *at, sizeof(bits));
		bits = le64toh(bits);
		memcpy(&field->number, &bits, sizeof(bits));
		*at += sizeof(bits);
		return true;
	case WIRE_BYTES:
		if (!wire_varint(at, end, &field->value) || field->value > (size_t)(end - *at))
			return false;
		field->bytes = *at;
		*at += field->value;
		return true;
	default:
		return false;
	}
}
