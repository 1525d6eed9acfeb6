/* SPDX-License-Identifier: BSD-3-Clause */
#include "slots.h"

#include <errno.h>
#include <rte_jhash.h>
#include <string.h>

struct service_name {
	char service[SL_NAME_MAX];
};

struct member_name {
	char service[SL_NAME_MAX];
	char site[SL_NAME_MAX];
};

struct rte_hash *slots_create(const char *name, uint32_t entries, uint32_t key_bytes)
{
	return rte_hash_create(&(struct rte_hash_parameters){
		.name = name,
		.entries = entries,
		.key_len = key_bytes,
		.hash_func = rte_jhash,
		.socket_id = SOCKET_ID_ANY,
	});
}

void slots_destroy(struct rte_hash *hash)
{
	rte_hash_free(hash);
}

int slots_find(const struct rte_hash *hash, const void *key)
{
	void *data;
	return rte_hash_lookup_data(hash, key, &data) < 0 ? -1 : (int)(uintptr_t)data;
}

int slots_keep(struct rte_hash *hash, const void *key, unsigned slot)
{
	return rte_hash_add_key_data(hash, key, (void *)(uintptr_t)slot);
}

void slots_forget(struct rte_hash *hash, const void *key)
{
	rte_hash_del_key(hash, key);
}

static struct service_name service_key(const char *service)
{
	struct service_name key = {0};
	strcpy(key.service, service);
	return key;
}

static struct member_name member_key(const char *service, const char *site)
{
	struct member_name key = {0};
	strcpy(key.service, service);
	strcpy(key.site, site);
	return key;
}

/* A slot without a name, else one that is not in use. */
static int service_unused(struct slots *slots)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned n = 0; n < SL_SERVICES_MAX; n++) {
			unsigned i = (slots->next_service + n) % SL_SERVICES_MAX;
			if (!slots->counters->service[i].name[0] ||
			    (pass && !slots->service_in_use(slots->context, i))) {
				slots->next_service = i + 1;
				return i;
			}
		}
	return -1;
}

static int member_unused(struct slots *slots)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned n = 0; n < SL_MEMBERS_MAX; n++) {
			unsigned i = (slots->next_member + n) % SL_MEMBERS_MAX;
			if (!slots->counters->member[i].service[0] ||
			    (pass && !slots->member_in_use(slots->context, i))) {
				slots->next_member = i + 1;
				return i;
			}
		}
	return -1;
}

int slots_service(struct slots *slots, const char *service)
{
	struct service_name key = service_key(service);
	struct sl_service_slot *names = slots->counters->service;
	int slot = slots_find(slots->service, &key);

	if (slot >= 0)
		return slot;
	slot = service_unused(slots);
	if (slot < 0)
		return -1;
	if (names[slot].name[0])
		slots_forget(slots->service, &names[slot]);
	if (slots_keep(slots->service, &key, slot) < 0)
		return -1;
	memcpy(&names[slot], &key, sizeof(key));
	return slot;
}

int slots_member(struct slots *slots, const char *service, const char *site)
{
	struct member_name key = member_key(service, site);
	struct sl_member_slot *names = slots->counters->member;
	int slot = slots_find(slots->member, &key);

	if (slot >= 0)
		return slot;
	slot = member_unused(slots);
	if (slot < 0)
		return -1;
	if (names[slot].service[0])
		slots_forget(slots->member, &names[slot]);
	if (slots_keep(slots->member, &key, slot) < 0)
		return -1;
	memcpy(&names[slot], &key, sizeof(key));
	return slot;
}

int slots_known_service(const struct slots *slots, const char *service)
{
	struct service_name key = service_key(service);
	return slots_find(slots->service, &key);
}

/* Names in the file are padded with zeros by us; made so again, whoever wrote it. */
static int restore(struct slots *slots)
{
	struct sl_counters *counters = slots->counters;

	for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
		struct sl_service_slot *name = &counters->service[i];
		struct service_name key = service_key(name->name);
		if (!name->name[0])
			continue;
		memcpy(name, &key, sizeof(key));
		if (slots_keep(slots->service, &key, i) < 0)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < SL_MEMBERS_MAX; i++) {
		struct sl_member_slot *name = &counters->member[i];
		struct member_name key = member_key(name->service, name->site);
		if (!name->service[0])
			continue;
		memcpy(name, &key, sizeof(key));
		if (slots_keep(slots->member, &key, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

int slots_open(struct slots *slots, struct sl_counters *counters,
	       bool (*service_in_use)(const void *, unsigned),
	       bool (*member_in_use)(const void *, unsigned), const void *context)
{
	*slots = (struct slots){
		.counters = counters,
		.service =
			slots_create("services", SL_SERVICES_MAX * 2, sizeof(struct service_name)),
		.member = slots_create("members", SL_MEMBERS_MAX * 2, sizeof(struct member_name)),
		.service_in_use = service_in_use,
		.member_in_use = member_in_use,
		.context = context,
	};
	return slots->service && slots->member ? restore(slots) : -ENOMEM;
}

void slots_close(struct slots *slots)
{
	rte_hash_free(slots->member);
	rte_hash_free(slots->service);
}
