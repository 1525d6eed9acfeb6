/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_reload.h"
#include <errno.h>
#include <string.h>

typedef bool same(const struct config *a, const struct config *b);

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return memcmp(a, b, sizeof(*a)) == 0; /* both were zeroed before they were set */
}

static bool same_run_dir(const struct config *a, const struct config *b)
{
	return same_text(a->run_dir, b->run_dir);
}

static bool same_user(const struct config *a, const struct config *b)
{
	return same_text(a->user, b->user);
}

static bool same_announce(const struct config *a, const struct config *b)
{
	const struct config_announce *one = &a->announce, *two = &b->announce;

	return one->on == two->on && one->table == two->table && one->metric == two->metric &&
	       same_text(one->interface, two->interface);
}

static bool same_bus(const struct config *a, const struct config *b)
{
	const struct sl_bus *one = &a->bus, *two = &b->bus;

	if (one->servers != two->servers)
		return false;
	for (size_t i = 0; i < one->servers; i++)
		if (!same_text(one->server[i], two->server[i]))
			return false;
	return same_text(one->ca_file, two->ca_file) &&
	       same_text(one->certificate_file, two->certificate_file) &&
	       same_text(one->certificate_key_file, two->certificate_key_file) &&
	       same_text(one->server_name, two->server_name) &&
	       same_text(one->credentials_file, two->credentials_file);
}

/* Its sockets are the node's address'. */
static bool same_probe_address(const struct config *a, const struct config *b)
{
	return !a->probes.on || IN6_ARE_ADDR_EQUAL(&a->address, &b->address);
}

static bool same_probes(const struct config *a, const struct config *b)
{
	const struct config_probes *one = &a->probes, *two = &b->probes;

	return one->on == two->on && one->interval_ms == two->interval_ms &&
	       one->dead_ms == two->dead_ms && one->hold_ms == two->hold_ms &&
	       one->hold_max_ms == two->hold_max_ms && one->synchronised == two->synchronised &&
	       same_text(one->key_file, two->key_file);
}

static bool same_ports(const struct config *a, const struct config *b)
{
	const struct config_dataplane *one = &a->dataplane, *two = &b->dataplane;

	if (one->ports != two->ports)
		return false;
	for (unsigned i = 0; i < one->ports; i++)
		if (!same_text(one->port[i].name, two->port[i].name) ||
		    !same_text(one->port[i].device, two->port[i].device))
			return false;
	return true;
}

static bool same_cores(const struct config *a, const struct config *b)
{
	const struct config_dataplane *one = &a->dataplane, *two = &b->dataplane;

	return one->cores == two->cores &&
	       (one->cores == 0 ||
		memcmp(one->core, two->core, one->cores * sizeof(*one->core)) == 0);
}

#define MEMBER(m) offsetof(struct config, m), sizeof(((struct config *)0)->m)
#define CONTROL "restart suanlu-control (packets are forwarded meanwhile)"
#define BOTH "restart suanlu-dataplane, then suanlu-control"

int config_reload_check(struct config_reader *reader, const struct config *running,
			const struct config *next)
{
	static const struct {
		const char *path;
		size_t offset, bytes; /* of a member that memcmp can compare, or */
		same *same;
		const char *remedy;
	} fixed[] = {
		{"node", MEMBER(node), NULL, BOTH},
		{"run_dir", 0, 0, same_run_dir, BOTH},
		{"user", 0, 0, same_user, CONTROL},
		{"telemetry.listen", MEMBER(telemetry_listen), NULL, CONTROL},
		{"bus", 0, 0, same_bus, CONTROL},
		{"metrics.listen", MEMBER(metrics_listen), NULL, CONTROL},
		{"announce", 0, 0, same_announce, CONTROL},
		{"probes", 0, 0, same_probes, BOTH},
		{"address", 0, 0, same_probe_address, BOTH},
		{"dataplane.ports", 0, 0, same_ports, BOTH},
		{"dataplane.cores", 0, 0, same_cores, BOTH},
		{"dataplane.pins", MEMBER(dataplane.pins), NULL, BOTH},
		{"dataplane.busy_poll", MEMBER(dataplane.busy_poll), NULL, BOTH},
		{"dataplane.huge_pages", MEMBER(dataplane.huge_pages), NULL, BOTH},
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		const char *a = (const char *)running + fixed[i].offset;
		const char *b = (const char *)next + fixed[i].offset;

		if (fixed[i].same ? fixed[i].same(running, next)
				  : memcmp(a, b, fixed[i].bytes) == 0)
			continue;
		config_fail_at(reader, fixed[i].path, "cannot change while it runs: %s",
			       fixed[i].remedy);
		return -EBUSY;
	}
	return 0;
}

/* --- what may change ------------------------------------------------------------------------ */

static bool same_names(char (*a)[SL_NAME_MAX], unsigned count_a, char (*b)[SL_NAME_MAX],
		       unsigned count_b)
{
	if (count_a != count_b)
		return false;
	for (unsigned i = 0; i < count_a; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return true;
}

bool config_same_site(const struct config_site *a, const struct config_site *b)
{
	return same_text(a->name, b->name) && a->has_key == b->has_key &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->via, b->via, sizeof(a->via)) == 0 && a->delay_s == b->delay_s &&
	       a->delay_fixed == b->delay_fixed &&
	       IN6_ARE_ADDR_EQUAL(&a->reflector, &b->reflector) && a->servers == b->servers &&
	       a->flows_per_s == b->flows_per_s &&
	       same_names(a->label, a->labels, b->label, b->labels);
}

static bool same_service_alone(const struct config_service *a, const struct config_service *b)
{
	return same_text(a->name, b->name) && a->ipv4.s_addr == b->ipv4.s_addr &&
	       IN6_ARE_ADDR_EQUAL(&a->ipv6, &b->ipv6) && a->port == b->port &&
	       a->protocol == b->protocol && a->affinity == b->affinity && a->idle_s == b->idle_s &&
	       a->max_delay_s == b->max_delay_s && a->sites == b->sites &&
	       same_names(a->require, a->requires, b->require, b->requires);
}

bool config_same_service(const struct config *a, unsigned i, const struct config *b, unsigned k)
{
	const struct config_service *one = &a->service[i], *two = &b->service[k];

	if (!same_service_alone(one, two))
		return false;
	for (unsigned m = 0; m < one->sites; m++)
		if (!config_same_site(&a->site[one->site[m]], &b->site[two->site[m]]))
			return false;
	return true;
}

bool config_same_edge(const struct config_edge *a, const struct config_edge *b)
{
	return same_text(a->name, b->name) && memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       same_address(&a->address, &b->address);
}
