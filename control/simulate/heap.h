/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events in the order of their time: a heap of four children a node, which fit a cache line.
 * The array doubles when it is full; nothing is allocated per event. Events of one time come
 * in an order that depends on what was pushed alone, so a run repeats.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct event {
	double at_s;
	uint32_t kind; /* the engine's */
	uint32_t index;
};

struct heap {
	struct event *event;
	uint32_t count, room;
};

static inline bool heap_push(struct heap *heap, double at_s, uint32_t kind, uint32_t index)
{
	if (heap->count == heap->room) {
		uint32_t room = heap->room ? 2 * heap->room : 4096;
		void *grown = realloc(heap->event, room * sizeof(*heap->event));
		if (!grown)
			return false;
		heap->event = grown;
		heap->room = room;
	}
	uint32_t at = heap->count++;
	while (at > 0 && heap->event[(at - 1) / 4].at_s > at_s) {
		heap->event[at] = heap->event[(at - 1) / 4];
		at = (at - 1) / 4;
	}
	heap->event[at] = (struct event){at_s, kind, index};
	return true;
}

/* The earliest of four children, the first of those alike; without a branch, as chance decides. */
static inline uint32_t heap_least(const struct event *event, uint32_t child)
{
	uint32_t a = child + (event[child + 1].at_s < event[child].at_s);
	uint32_t b = child + 2 + (event[child + 3].at_s < event[child + 2].at_s);
	uint32_t second = -(uint32_t)(event[b].at_s < event[a].at_s);

	return a ^ ((a ^ b) & second);
}

/* The earliest; there must be one. */
static inline struct event heap_pop(struct heap *heap)
{
	struct event first = heap->event[0], last = heap->event[--heap->count];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 4 * at + 1, least = child;
		if (child >= heap->count)
			break;
		if (child + 4 <= heap->count)
			least = heap_least(heap->event, child);
		else
			for (uint32_t i = child + 1; i < heap->count; i++)
				least = heap->event[i].at_s < heap->event[least].at_s ? i : least;
		if (heap->event[least].at_s >= last.at_s)
			break;
		heap->event[at] = heap->event[least];
		at = least;
	}
	heap->event[at] = last;
	return first;
}
