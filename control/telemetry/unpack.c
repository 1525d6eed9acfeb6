/* SPDX-License-Identifier: BSD-3-Clause */
#include "unpack.h"
#include <assert.h>
#include <stdlib.h>

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

Suanlu__Report *unpack_report(const uint8_t *packed, size_t bytes)
{
	size_t room = BLOCK_BYTES(bytes);
	struct block *block = malloc(sizeof(*block) + room);
	ProtobufCAllocator allocator = {take, leave, NULL};
	Suanlu__Report *report;

	if (!block)
		return NULL;
	block->holders = 1;
	block->arena = (struct unpack_arena){block->first, block->first + room, NULL};
	allocator.allocator_data = &block->arena;
	report = suanlu__report__unpack(&allocator, bytes, packed);
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
