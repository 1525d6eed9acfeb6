/* SPDX-License-Identifier: BSD-3-Clause */
#include "counters.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_S 0.25 /* looking through all slots takes about a millisecond */

int counters_open(struct counters *counters, const struct config *config)
{
	unsigned members = 0;

	*counters = (struct counters){};
	snprintf(counters->path, sizeof(counters->path), "%s/%s", config->run_dir,
		 SL_COUNTERS_FILE);
	counters->first = calloc(config->services + 1, sizeof(*counters->first));
	if (!counters->first)
		return -ENOMEM;
	for (unsigned i = 0; i < config->services; i++) {
		counters->first[i] = members;
		members += config->service[i].sites;
	}
	counters->first[config->services] = counters->members = members;
	counters->slot = calloc(members + 1, sizeof(*counters->slot));
	return counters->slot ? 0 : -ENOMEM;
}

static void unmap(struct counters *counters)
{
	if (counters->map)
		munmap((void *)counters->map, counters->bytes);
	counters->map = NULL;
	counters->workers = 0;
}

void counters_close(struct counters *counters)
{
	unmap(counters);
	free(counters->first);
	free(counters->slot);
}

/* A worker's counters must lie in the file as it is, whatever its header says. */
static unsigned workers_in(const struct sl_counters *map, size_t bytes)
{
	size_t room = (bytes - sizeof(*map)) / sizeof(map->worker[0]);
	size_t workers = map->workers < room ? map->workers : room;

	return workers < SL_WORKERS_MAX ? (unsigned)workers : SL_WORKERS_MAX;
}

static void forget_slots(struct counters *counters)
{
	counters->unassigned = counters->members;
	counters->scanned_s = 0;
	memset(counters->slot, 0xff, counters->members * sizeof(*counters->slot));
}

void counters_carry(struct counters *counters, struct counters *from)
{
	counters->map = from->map;
	counters->bytes = from->bytes;
	counters->device = from->device;
	counters->inode = from->inode;
	counters->workers = from->workers;
	counters->told = from->told;
	forget_slots(counters);
	from->map = NULL;
}

static void *map_file(const char *path, struct stat *stat)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = MAP_FAILED;

	if (fd < 0)
		return MAP_FAILED;
	if (fstat(fd, stat) == 0 && (size_t)stat->st_size >= sizeof(struct sl_counters))
		map = mmap(NULL, (size_t)stat->st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map;
}

static void remap(struct counters *counters)
{
	struct stat stat = {};
	struct sl_counters *map = map_file(counters->path, &stat);

	unmap(counters);
	if (map == MAP_FAILED)
		return;
	if (map->magic != SL_COUNTERS_MAGIC || map->version != SL_COUNTERS_VERSION) {
		/* The dataplane may still be writing its header: look again next time. */
		munmap(map, (size_t)stat.st_size);
		return;
	}
	counters->map = map;
	counters->bytes = (size_t)stat.st_size;
	counters->device = stat.st_dev;
	counters->inode = stat.st_ino;
	counters->workers = workers_in(map, counters->bytes);
	forget_slots(counters);
}

/* Also true when it was cut or grew: a page past its end would kill us. */
static bool replaced(const struct counters *counters)
{
	struct stat now;

	if (stat(counters->path, &now) < 0)
		return counters->map != NULL;
	return !counters->map || now.st_dev != counters->device || now.st_ino != counters->inode ||
	       (size_t)now.st_size != counters->bytes ||
	       counters->map->magic != SL_COUNTERS_MAGIC ||
	       counters->map->version != SL_COUNTERS_VERSION;
}

/* Both are SL_NAME_MAX bytes, zeros behind the name as a rule: then one comparison of 32 bytes. */
static bool same_name(const char *a, const char *b)
{
	return memcmp(a, b, SL_NAME_MAX) == 0 || strncmp(a, b, SL_NAME_MAX) == 0;
}

/* False if the slot holds another pair, or a name that has no end. */
static bool slot_is(const struct counters *counters, unsigned slot, const char *service,
		    const char *site)
{
	const struct sl_member_slot *member = &counters->map->member[slot];

	return same_name(member->service, service) && same_name(member->site, site);
}

static void assign(struct counters *counters, struct state *state, unsigned slot)
{
	struct sl_member_slot member = counters->map->member[slot];
	const struct config *config = state->config;
	int service, site;

	if (member.service[0] == '\0')
		return;
	member.service[SL_NAME_MAX - 1] = member.site[SL_NAME_MAX - 1] = '\0';
	service = state_find_service(state, member.service);
	site = state_find_site(state, member.site);
	if (service < 0 || site < 0)
		return;
	for (unsigned k = 0; k < config->service[service].sites; k++)
		if (config->service[service].site[k] == (unsigned)site)
			counters->slot[counters->first[service] + k] = (int)slot;
}

static void scan(struct counters *counters, struct state *state)
{
	for (unsigned slot = 0; slot < SL_MEMBERS_MAX; slot++)
		assign(counters, state, slot);
	counters->unassigned = 0;
	for (unsigned i = 0; i < counters->members; i++)
		counters->unassigned += counters->slot[i] < 0;
}

bool counters_refresh(struct counters *counters, struct state *state, double now_s)
{
	bool changed = false;

	if (replaced(counters)) {
		changed = counters->map != NULL;
		remap(counters);
		changed |= counters->map != NULL;
	}
	if (!counters->map)
		return changed;
	counters->workers = workers_in(counters->map, counters->bytes);
	if (counters->unassigned && now_s - counters->scanned_s >= SCAN_S) {
		counters->scanned_s = now_s;
		scan(counters, state);
	}
	return changed;
}

bool counters_member(const struct counters *counters, const struct config *config, unsigned service,
		     unsigned member, struct sl_member_counters *out)
{
	const struct config_service *s = &config->service[service];
	int slot = counters->map ? counters->slot[counters->first[service] + member] : -1;

	*out = (struct sl_member_counters){};
	if (slot < 0 ||
	    !slot_is(counters, (unsigned)slot, s->name, config->site[s->site[member]].name))
		return false;
	for (unsigned w = 0; w < counters->workers; w++) {
		const struct sl_member_counters *m = &counters->map->worker[w].member[slot];

		out->new_flows += __atomic_load_n(&m->new_flows, __ATOMIC_RELAXED);
		out->packets += __atomic_load_n(&m->packets, __ATOMIC_RELAXED);
		out->bytes += __atomic_load_n(&m->bytes, __ATOMIC_RELAXED);
		out->closed_flows += __atomic_load_n(&m->closed_flows, __ATOMIC_RELAXED);
	}
	return true;
}
