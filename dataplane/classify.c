/* SPDX-License-Identifier: BSD-3-Clause */
#include "classify.h"
#include <stdlib.h>
#include <string.h>

/* Empty: service is CLASSIFY_NONE, so that a match with an empty slot is no match either. */
struct slot {
	uint64_t address[2];
	uint32_t what; /* port, protocol, family as they stand in struct flow_key */
	uint16_t service;
	uint16_t zero;
};
_Static_assert(sizeof(struct slot) == 24, "slot");
_Static_assert(offsetof(struct flow_key, family) - offsetof(struct flow_key, destination_port) == 3,
	       "port, protocol and family are one 32-bit word");

struct classify {
	uint64_t mask; /* slots - 1 */
	struct slot slot[];
};

static inline struct slot slot_of(const void *address, const void *what)
{
	struct slot slot = {.service = CLASSIFY_NONE};

	memcpy(slot.address, address, sizeof slot.address);
	memcpy(&slot.what, what, sizeof slot.what);
	return slot;
}

static inline bool same_key(const struct slot *a, const struct slot *b)
{
	return !((a->address[0] ^ b->address[0]) | (a->address[1] ^ b->address[1]) |
		 (a->what ^ b->what));
}

/* Chooses a place, never an answer; what is in the table comes from the operator alone. */
static inline uint64_t place_of(const struct slot *key)
{
	uint64_t x = key->address[0] * 0x9e3779b97f4a7c15u;

	x ^= (key->address[1] ^ (uint64_t)key->what << 24) * 0xc2b2ae3d27d4eb4fu;
	return x >> 32 ^ x;
}

static bool add(struct classify *table, const struct slot *new)
{
	uint64_t at = place_of(new) & table->mask;

	while (table->slot[at].service != CLASSIFY_NONE) {
		if (same_key(&table->slot[at], new))
			return false;
		at = (at + 1) & table->mask;
	}
	table->slot[at] = *new;
	return true;
}

static bool add_entry(struct classify *table, const struct classify_entry *entry)
{
	uint8_t what[4] = {0, 0, entry->protocol, entry->family};
	struct slot slot;

	memcpy(what, &entry->port, sizeof entry->port);
	slot = slot_of(entry->address, what);
	slot.service = entry->service;
	return add(table, &slot);
}

struct classify *classify_build(const struct classify_entry *entry, unsigned entries)
{
	struct classify *table;
	size_t slots = 2;

	while (slots < (size_t)entries * 2)
		slots *= 2;
	table = malloc(sizeof *table + slots * sizeof table->slot[0]);
	if (table == NULL)
		return NULL;
	table->mask = slots - 1;
	for (size_t i = 0; i < slots; i++)
		table->slot[i] = (struct slot){.service = CLASSIFY_NONE};
	for (unsigned i = 0; i < entries; i++) {
		if (!add_entry(table, &entry[i])) {
			free(table);
			return NULL;
		}
	}
	return table;
}

uint16_t classify_lookup(const struct classify *table, const struct flow_key *key)
{
	const uint8_t *bytes = (const uint8_t *)key;
	const struct slot wanted = slot_of(bytes + offsetof(struct flow_key, destination),
					   bytes + offsetof(struct flow_key, destination_port));
	uint64_t at = place_of(&wanted);

	for (;;) {
		const struct slot *slot = &table->slot[at & table->mask];

		if (same_key(slot, &wanted) || slot->service == CLASSIFY_NONE)
			return slot->service;
		at++;
	}
}
