/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"
#include "table.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/counters.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The file, mapped, and known to be as large as it says. */
struct mapped {
	const struct sl_counters *counters;
	size_t bytes;
	unsigned workers;
};

static int check(const char *path, struct mapped *mapped)
{
	const struct sl_counters *counters = mapped->counters;

	if (mapped->bytes < sizeof(*counters))
		return cli_fail("%s: too small (%zu bytes) to be a dataplane's counters", path,
				mapped->bytes);
	if (counters->magic != SL_COUNTERS_MAGIC)
		return cli_fail("%s: not a dataplane's counters", path);
	if (counters->version != SL_COUNTERS_VERSION)
		return cli_fail("%s: layout version %" PRIu32 ", this program reads %d: use the "
				"suanlu of the same version as the dataplane",
				path, counters->version, SL_COUNTERS_VERSION);
	mapped->workers = counters->workers; /* read once: the file can change */
	if (mapped->workers > SL_WORKERS_MAX ||
	    mapped->bytes < sizeof(*counters) + mapped->workers * sizeof(struct sl_worker_counters))
		return cli_fail("%s: cut short: %zu bytes for %u workers", path, mapped->bytes,
				mapped->workers);
	return 0;
}

static int map(const struct cli *cli, struct mapped *mapped)
{
	char path[4096];
	struct stat stat_of;

	snprintf(path, sizeof(path), "%s/" SL_COUNTERS_FILE, cli->run_dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return cli_fail("%s: no counters: has suanlu-dataplane run? (systemctl status "
				"suanlu-dataplane; another place: --run-dir)",
				path);
	if (fd < 0)
		return cli_fail("%s: %s%s", path, strerror(errno),
				errno == EACCES ? ": run as root (sudo)" : "");
	if (fstat(fd, &stat_of) < 0 || stat_of.st_size <= 0) {
		close(fd);
		return cli_fail("%s: empty: the dataplane has not filled it yet", path);
	}
	mapped->bytes = (size_t)stat_of.st_size;
	mapped->counters = mmap(NULL, mapped->bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped->counters == MAP_FAILED)
		return cli_fail("%s: %s", path, strerror(errno));
	int status = check(path, mapped);
	if (status != 0)
		munmap((void *)mapped->counters, mapped->bytes);
	return status;
}

/* Sum over workers of the counter at this offset of struct sl_worker_counters. */
static uint64_t sum(const struct mapped *mapped, size_t offset)
{
	uint64_t total = 0;

	for (unsigned w = 0; w < mapped->workers; w++) {
		const char *worker = (const char *)&mapped->counters->worker[w];
		total += __atomic_load_n((const uint64_t *)(worker + offset), __ATOMIC_RELAXED);
	}
	return total;
}

#define SUM(mapped, field) sum(mapped, offsetof(struct sl_worker_counters, field))

struct identity {
	uint64_t received, verdicts;
};

/* Workers go on counting while they are read: look again before calling it a difference. */
static struct identity identity_of(const struct mapped *mapped)
{
	struct identity identity;

	for (unsigned look = 0; look < 5; look++) {
		identity = (struct identity){.received = SUM(mapped, rx_packets)};
		for (unsigned v = 0; v < SL_VERDICT_SLOTS; v++)
			identity.verdicts += SUM(mapped, verdict[v]);
		if (identity.received == identity.verdicts)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return identity;
}

static double heartbeat_age_s(const struct mapped *mapped)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 -
	       (double)mapped->counters->heartbeat_us * 1e-6;
}

static const struct {
	const char *name, *what;
	size_t offset;
} totals[] = {
	{"rx_packets", "packets received", offsetof(struct sl_worker_counters, rx_packets)},
	{"rx_bytes", "bytes received", offsetof(struct sl_worker_counters, rx_bytes)},
	{"rx_missed", "packets that found a port's ring full: too many for the workers' cores",
	 offsetof(struct sl_worker_counters, rx_missed)},
	{"tx_packets", "packets sent", offsetof(struct sl_worker_counters, tx_packets)},
	{"tx_bytes", "bytes sent", offsetof(struct sl_worker_counters, tx_bytes)},
	{"polls", "times a worker looked at its ports", offsetof(struct sl_worker_counters, polls)},
	{"sleeps", "times it slept for want of packets",
	 offsetof(struct sl_worker_counters, sleeps)},
	{"pins_inserted", "flows given to a site",
	 offsetof(struct sl_worker_counters, pins_inserted)},
	{"pins_evicted", "live flows forgotten for want of room",
	 offsetof(struct sl_worker_counters, pins_evicted)},
};

#define TOTALS (sizeof(totals) / sizeof(totals[0]))

/* A member's name as C text, whatever the file holds. */
static const char *name_of(const char name[SL_NAME_MAX], char out[SL_NAME_MAX])
{
	memcpy(out, name, SL_NAME_MAX);
	out[SL_NAME_MAX - 1] = '\0';
	return out;
}

static struct sl_member_counters member_of(const struct mapped *mapped, unsigned slot)
{
	return (struct sl_member_counters){
		.new_flows = SUM(mapped, member[slot].new_flows),
		.packets = SUM(mapped, member[slot].packets),
		.bytes = SUM(mapped, member[slot].bytes),
	};
}

static void print_verdicts(const struct mapped *mapped, bool all)
{
	static const char *const header[] = {"VERDICT", ">PACKETS", "MEANING", NULL};
	struct table table;

	table_init(&table, header);
	for (unsigned v = 0; v < SL_VERDICT_COUNT; v++) {
		uint64_t packets = SUM(mapped, verdict[v]);
		if (packets == 0 && !all)
			continue;
		table_cell(&table, "%s", sl_verdict_text[v].name);
		table_cell(&table, "%" PRIu64, packets);
		table_cell(&table, "%s", sl_verdict_text[v].what);
	}
	table_print(&table);
}

static void print_members(const struct mapped *mapped, bool all)
{
	static const char *const header[] = {"SERVICE",	 "SITE",   ">NEW FLOWS",
					     ">PACKETS", ">BYTES", NULL};
	struct sl_member_counters every = {0};
	char name[SL_NAME_MAX];
	struct table table;

	table_init(&table, header);
	for (unsigned slot = 0; slot < SL_MEMBERS_MAX; slot++) {
		const struct sl_member_slot *member = &mapped->counters->member[slot];
		if (member->service[0] == '\0')
			continue;
		struct sl_member_counters counted = member_of(mapped, slot);
		every.new_flows += counted.new_flows;
		every.packets += counted.packets;
		every.bytes += counted.bytes;
		if (counted.packets == 0 && counted.new_flows == 0 && !all)
			continue;
		table_cell(&table, "%s", name_of(member->service, name));
		table_cell(&table, "%s", name_of(member->site, name));
		table_cell(&table, "%" PRIu64, counted.new_flows);
		table_cell(&table, "%" PRIu64, counted.packets);
		table_cell(&table, "%" PRIu64, counted.bytes);
	}
	table_cell(&table, "total");
	table_cell(&table, "%s", "");
	table_cell(&table, "%" PRIu64, every.new_flows);
	table_cell(&table, "%" PRIu64, every.packets);
	table_cell(&table, "%" PRIu64, every.bytes);
	table_print(&table);
}

static void print_totals(const struct mapped *mapped, bool all)
{
	static const char *const header[] = {"TOTAL", ">COUNT", "MEANING", NULL};
	struct table table;

	table_init(&table, header);
	for (size_t i = 0; i < TOTALS; i++) {
		uint64_t value = sum(mapped, totals[i].offset);
		if (value == 0 && !all)
			continue;
		table_cell(&table, "%s", totals[i].name);
		table_cell(&table, "%" PRIu64, value);
		table_cell(&table, "%s", totals[i].what);
	}
	table_print(&table);
}

static void print_tables(const struct mapped *mapped, bool all)
{
	struct identity identity = identity_of(mapped);
	double age_s = heartbeat_age_s(mapped);

	print_verdicts(mapped, all);
	putchar('\n');
	print_members(mapped, all);
	putchar('\n');
	print_totals(mapped, all);
	if (identity.received == identity.verdicts)
		printf("\nidentity: packets received = sum of verdicts: holds (%" PRIu64 ")\n",
		       identity.received);
	else
		printf("\nidentity: %" PRIu64 " packets received, %" PRIu64
		       " verdicts: differs (packets are on their way, or a fault)\n",
		       identity.received, identity.verdicts);
	printf("%u worker%s, routes of generation %" PRIu64 "\n", mapped->workers,
	       mapped->workers == 1 ? "" : "s", mapped->counters->generation);
	if (age_s > 3)
		printf("no dataplane has counted here for %.0f s: these are the last values\n",
		       age_s);
}

static void print_json(const struct mapped *mapped)
{
	struct identity identity = identity_of(mapped);
	json_t *verdicts = json_object(), *members = json_array(), *total = json_object();
	char service[SL_NAME_MAX], site[SL_NAME_MAX];

	for (unsigned v = 0; v < SL_VERDICT_COUNT; v++)
		json_object_set_new(verdicts, sl_verdict_text[v].name,
				    json_integer((json_int_t)SUM(mapped, verdict[v])));
	for (unsigned slot = 0; slot < SL_MEMBERS_MAX; slot++) {
		const struct sl_member_slot *member = &mapped->counters->member[slot];
		if (member->service[0] == '\0')
			continue;
		struct sl_member_counters counted = member_of(mapped, slot);
		json_array_append_new(members, json_pack("{ss, ss, sI, sI, sI}", "service",
							 name_of(member->service, service), "site",
							 name_of(member->site, site), "new_flows",
							 (json_int_t)counted.new_flows, "packets",
							 (json_int_t)counted.packets, "bytes",
							 (json_int_t)counted.bytes));
	}
	for (size_t i = 0; i < TOTALS; i++)
		json_object_set_new(total, totals[i].name,
				    json_integer((json_int_t)sum(mapped, totals[i].offset)));
	json_t *all = json_pack(
		"{so, so, so, s{sI, sI, sb}, sI, sI, sf}", "verdicts", verdicts, "members", members,
		"totals", total, "identity", "received", (json_int_t)identity.received, "verdicts",
		(json_int_t)identity.verdicts, "holds", identity.received == identity.verdicts,
		"workers", (json_int_t)mapped->workers, "generation",
		(json_int_t)mapped->counters->generation, "heartbeat_age_s",
		heartbeat_age_s(mapped));
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int counters_show(const struct cli *cli, bool json, bool all)
{
	struct mapped mapped;
	int status = map(cli, &mapped);

	if (status != 0)
		return status;
	if (json)
		print_json(&mapped);
	else
		print_tables(&mapped, all);
	munmap((void *)mapped.counters, mapped.bytes);
	return 0;
}
