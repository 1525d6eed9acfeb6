/* SPDX-License-Identifier: BSD-3-Clause */
#include "unpack.h"
#include "wire.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 16
#define PIECE_BYTES 8192
#define BLOCK_BYTES(packed) (2048 + 4 * (packed)) /* typical reports fit */

struct unpack_piece {
	struct unpack_piece *next;
	_Alignas(ALIGN) uint8_t data[];
};

struct block {
	unsigned holders;
	struct unpack_arena arena;
	_Alignas(ALIGN) uint8_t first[];
};

static int grow(struct unpack_arena *arena, size_t bytes)
{
	size_t room = bytes > PIECE_BYTES ? bytes : PIECE_BYTES;
	struct unpack_piece *piece = malloc(sizeof(*piece) + room);

	if (!piece)
		return -1;
	piece->next = arena->more;
	arena->more = piece;
	arena->at = piece->data;
	arena->end = piece->data + room;
	return 0;
}

/* Sizes come from protobuf-c, which has bounded them by the bytes that are there. */
static void *take(void *context, size_t bytes)
{
	struct unpack_arena *arena = context;
	uint8_t *at;

	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (bytes > (size_t)(arena->end - arena->at) && grow(arena, bytes) < 0)
		return NULL;
	at = arena->at;
	arena->at += bytes;
	return at;
}

static void leave(void *context, void *memory)
{
	(void)context;
	(void)memory;
}

static void free_pieces(struct unpack_arena *arena)
{
	struct unpack_piece *piece = arena->more;

	while (piece) {
		struct unpack_piece *next = piece->next;

		free(piece);
		piece = next;
	}
	arena->more = NULL;
}

/* protobuf-c allocates a message before all that it is made of. */
static struct block *block_of(Suanlu__Report *report)
{
	return (struct block *)((uint8_t *)report - offsetof(struct block, first));
}

/* --- reports of a site's load, without protobuf-c ------------------------------------------- */

static char *text_of(struct unpack_arena *arena, const struct wire_field *field)
{
	char *text = take(arena, field->value + 1);

	if (text) {
		memcpy(text, field->bytes, field->value);
		text[field->value] = '\0';
	}
	return text;
}

/* False: there is something in it that seldom is. */
static bool take_load(struct unpack_arena *arena, const struct wire_field *from,
		      Suanlu__ServiceLoad *load)
{
	const uint8_t *at = from->bytes, *end = at + from->value;
	struct wire_field field = {};

	*load = (Suanlu__ServiceLoad)SUANLU__SERVICE_LOAD__INIT;
	while (at < end) {
		if (!wire_next(&at, end, &field))
			return false;
		switch (field.tag) {
		case WIRE_TAG(1, WIRE_BYTES):
			load->service = text_of(arena, &field);
			if (!load->service)
				return false;
			break;
		case WIRE_TAG(2, WIRE_VARINT):
			load->servers = (uint32_t)field.value;
			break;
		case WIRE_TAG(3, WIRE_FIXED64):
			load->service_time_s = field.number;
			break;
		case WIRE_TAG(4, WIRE_FIXED64):
			load->has_service_scv_case =
				SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
			load->service_scv = field.number;
			break;
		case WIRE_TAG(5, WIRE_VARINT):
			load->in_flight = (uint32_t)field.value;
			break;
		case WIRE_TAG(6, WIRE_VARINT):
			load->queued = (uint32_t)field.value;
			break;
		case WIRE_TAG(7, WIRE_FIXED64):
			load->arrivals_per_s = field.number;
			break;
		case WIRE_TAG(8, WIRE_FIXED64):
			load->completions_per_s = field.number;
			break;
		case WIRE_TAG(9, WIRE_VARINT):
			load->arrivals = field.value;
			break;
		case WIRE_TAG(10, WIRE_VARINT):
			load->completions = field.value;
			break;
		case WIRE_TAG(12, WIRE_FIXED64):
			load->has_cpu_utilisation_case =
				SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION;
			load->cpu_utilisation = field.number;
			break;
		default:
			return false;
		}
	}
	return true;
}

static bool take_field(struct unpack_arena *arena, const struct wire_field *field,
		       Suanlu__Report *report)
{
	switch (field->tag) {
	case WIRE_TAG(1, WIRE_VARINT):
		report->sequence = field->value;
		return true;
	case WIRE_TAG(2, WIRE_VARINT):
		report->measured_at_us = field->value;
		return true;
	case WIRE_TAG(3, WIRE_VARINT):
		report->valid_for_ms = (uint32_t)field->value;
		return true;
	case WIRE_TAG(4, WIRE_BYTES):
		report->labels[report->n_labels] = text_of(arena, field);
		return report->labels[report->n_labels++];
	case WIRE_TAG(5, WIRE_FIXED64):
		report->price_per_hour = field->number;
		return true;
	case WIRE_TAG(6, WIRE_FIXED64):
		report->pue = field->number;
		return true;
	case WIRE_TAG(7, WIRE_VARINT):
		report->instance = (uint32_t)field->value;
		return true;
	case WIRE_TAG(10, WIRE_BYTES):
		return take_load(arena, field, report->load[report->n_load++]);
	default:
		return false;
	}
}

/* Room for all that it has several of. */
static Suanlu__Report *make_report(struct unpack_arena *arena, size_t labels, size_t loads)
{
	Suanlu__Report *report = take(arena, sizeof(*report)), empty = SUANLU__REPORT__INIT;
	Suanlu__ServiceLoad *load;

	if (!report)
		return NULL;
	*report = empty;
	report->labels = labels ? take(arena, labels * sizeof(*report->labels)) : NULL;
	report->load = loads ? take(arena, loads * sizeof(*report->load)) : NULL;
	load = loads ? take(arena, loads * sizeof(*load)) : NULL;
	if ((labels && !report->labels) || (loads && (!report->load || !load)))
		return NULL;
	for (size_t i = 0; i < loads; i++)
		report->load[i] = &load[i];
	return report;
}

/* NULL: it is not one, or has something in it that seldom is: then protobuf-c says. */
static Suanlu__Report *unpack_load(struct unpack_arena *arena, const uint8_t *packed, size_t bytes)
{
	const uint8_t *at = packed, *end = bytes ? packed + bytes : packed; /* NULL, if empty */
	size_t labels = 0, loads = 0;
	struct wire_field field = {};
	Suanlu__Report *report;

	while (at < end) {
		if (!wire_next(&at, end, &field))
			return NULL;
		labels += field.tag == WIRE_TAG(4, WIRE_BYTES);
		loads += field.tag == WIRE_TAG(10, WIRE_BYTES);
	}
	report = loads ? make_report(arena, labels, loads) : NULL;
	for (at = packed; report && at < end;)
		if (!wire_next(&at, end, &field) || !take_field(arena, &field, report))
			return NULL;
	return report;
}

/* -------------------------------------------------------------------------------------------- */

static struct unpack_arena arena_of(struct block *block, size_t room)
{
	return (struct unpack_arena){block->first, block->first + room, NULL};
}

Suanlu__Report *unpack_report(const uint8_t *packed, size_t bytes)
{
	size_t room = BLOCK_BYTES(bytes);
	struct block *block = malloc(sizeof(*block) + room);
	ProtobufCAllocator allocator = {take, leave, NULL};
	Suanlu__Report *report;

	if (!block)
		return NULL;
	block->holders = 1;
	block->arena = arena_of(block, room);
	report = unpack_load(&block->arena, packed, bytes);
	if (!report) {
		free_pieces(&block->arena);
		block->arena = arena_of(block, room);
		allocator.allocator_data = &block->arena;
		report = suanlu__report__unpack(&allocator, bytes, packed);
	}
	assert(!report || block_of(report) == block);
	if (!report) {
		free_pieces(&block->arena);
		free(block);
	}
	return report;
}

void unpack_hold(Suanlu__Report *report)
{
	block_of(report)->holders++;
}

void unpack_release(Suanlu__Report *report)
{
	struct block *block = report ? block_of(report) : NULL;

	if (!block || --block->holders > 0)
		return;
	free_pieces(&block->arena);
	free(block);
}

Suanlu__SignedReport *unpack_signed(struct unpack_scratch *scratch, const uint8_t *packed,
				    size_t bytes)
{
	ProtobufCAllocator allocator = {take, leave, &scratch->arena};

	scratch->arena = (struct unpack_arena){scratch->first,
					       scratch->first + sizeof(scratch->first), NULL};
	return suanlu__signed_report__unpack(&allocator, bytes, packed);
}

void unpack_clear(struct unpack_scratch *scratch)
{
	free_pieces(&scratch->arena);
}
