/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_check.h"
#include "config_announce.h"
#include "config_bus.h"
#include "config_publish.h"
#include "telemetry/subject.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/counters.h>
#include <sys/un.h>
#include <unistd.h>

static const char *at(struct config_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static const char *at(struct config_reader *reader, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->path, sizeof(reader->path), format, arguments);
	va_end(arguments);
	return reader->path;
}

static int resolve_one(struct config_reader *reader, const struct config *config, unsigned service,
		       unsigned entry, unsigned *out)
{
	struct config_service *s = &config->service[service];
	const char *path = at(reader, "services[%u].sites[%u]", service, entry);
	const char *name;
	unsigned i;

	name = config_scalar(reader, config_find(reader, path));
	if (!name)
		return -EINVAL;
	for (i = 0; i < config->sites && strcmp(config->site[i].name, name) != 0; i++)
		;
	if (i == config->sites)
		return config_fail_at(reader, path, "no site '%.64s' under sites", name);
	for (unsigned k = 0; k < entry; k++)
		if (s->site[k] == i)
			return config_fail_at(reader, path, "site '%s' given twice", name);
	*out = i;
	return 0;
}

static int resolve_service(struct config_reader *reader, const struct config *config, unsigned i)
{
	struct config_service *service = &config->service[i];
	unsigned count = service->sites ?: config->sites;
	bool named = service->sites > 0;

	if (count == 0 && config->operators == 0)
		return config_fail_at(reader, "sites",
				      "required, but there are no sites to serve it");
	if (count > SL_CANDIDATES_MAX)
		return config_fail_at(reader, at(reader, "services[%u].sites", i),
				      "expected at most %d sites for a service, found %u",
				      SL_CANDIDATES_MAX, count);
	service->site = calloc(count + 1, sizeof(*service->site));
	if (!service->site)
		return config_fail_at(reader, at(reader, "services[%u].sites", i), "no memory");
	service->sites = count;
	for (unsigned k = 0; k < count; k++) {
		service->site[k] = k;
		if (named && resolve_one(reader, config, i, k, &service->site[k]) < 0)
			return -EINVAL;
	}
	return 0;
}

int config_resolve_sites(struct config_reader *reader, struct config *config)
{
	for (unsigned i = 0; i < config->services; i++)
		if (resolve_service(reader, config, i) < 0)
			return -EINVAL;
	return 0;
}

static int check_key_file(struct config_reader *reader, const struct config *config)
{
	int fd;

	if (!config->key_file) {
		if (config->telemetry_listen.ss_family)
			return config_fail_at(
				reader, "key",
				"required with telemetry.listen (suanlu keygen makes one)");
		if (config->bus.servers)
			return config_fail_at(reader, "key",
					      "required with bus (suanlu keygen makes one)");
		if (config->edges || config->receivers)
			return config_fail_at(reader, "key",
					      "required with %s: it signs what they are told",
					      config->edges ? "edges" : "publish");
		return 0;
	}
	/* Who needs the key reads it; whoever checks, or has dropped its rights, need not. */
	fd = open(config->key_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		return 0;
	if (fd < 0)
		return config_fail_at(reader, "key", "cannot read '%.128s': %s", config->key_file,
				      strerror(errno));
	close(fd);
	return 0;
}

static int check_vnis(struct config_reader *reader, const struct config *config)
{
	const struct config_dataplane *dataplane = &config->dataplane;

	if (dataplane->vnis && !config->address4.s_addr)
		return config_fail_at(reader, "address",
				      "an IPv4 address is required: dataplane.vnis end there");
	for (unsigned i = 0; i < dataplane->vnis; i++)
		for (unsigned k = 0; k < i; k++)
			if (dataplane->vni[i] == dataplane->vni[k])
				return config_fail_at(reader, at(reader, "dataplane.vnis[%u]", i),
						      "%u given twice", dataplane->vni[i]);
	return 0;
}

static int check_node(struct config_reader *reader, const struct config *config)
{
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/dataplane.sock");

	if (!*config->node)
		return config_fail_at(reader, "node", "required: this node's name");
	if (config->run_dir[0] != '/' || strlen(config->run_dir) > room)
		return config_fail_at(
			reader, "run_dir",
			"expected an absolute path of at most %zu bytes, found '%.64s'", room,
			config->run_dir);
	if (config->dataplane.ports == 0)
		return config_fail_at(reader, "dataplane.ports",
				      "required: the interfaces to forward on");
	for (unsigned i = 0; i < config->dataplane.ports; i++)
		for (unsigned k = 0; k < i; k++)
			if (strcmp(config->dataplane.port[i].name,
				   config->dataplane.port[k].name) == 0)
				return config_fail_at(reader, at(reader, "dataplane.ports[%u]", i),
						      "'%s' given twice",
						      config->dataplane.port[i].name);
	for (unsigned i = 0; i < config->dataplane.cores; i++)
		for (unsigned k = 0; k < i; k++)
			if (config->dataplane.core[i] == config->dataplane.core[k])
				return config_fail_at(reader, at(reader, "dataplane.cores[%u]", i),
						      "%u given twice", config->dataplane.core[i]);
	return check_vnis(reader, config) < 0 ? -EINVAL : check_key_file(reader, config);
}

/* Where a key stands in the file: sites first, then edges, then transit nodes. */
static const uint8_t *key_of(const struct config *config, unsigned i, char *path, size_t bytes)
{
	if (i < config->sites) {
		snprintf(path, bytes, "sites[%u].key", i);
		return config->site[i].has_key ? config->site[i].key : NULL;
	}
	i -= config->sites;
	if (i < config->edges) {
		snprintf(path, bytes, "edges[%u].key", i);
		return config->edge[i].key;
	}
	i -= config->edges;
	snprintf(path, bytes, "transits[%u].key", i);
	return config->transit[i].has_key ? config->transit[i].key : NULL;
}

static int check_keys(struct config_reader *reader, const struct config *config)
{
	char path[64], other[64];

	for (unsigned i = 0; i < config->sites + config->edges + config->transits; i++) {
		const uint8_t *key = key_of(config, i, path, sizeof(path));

		for (unsigned k = 0; key && k < i; k++) {
			const uint8_t *earlier = key_of(config, k, other, sizeof(other));

			/* Datagrams name their key by its first 8 bytes (telemetry.proto). */
			if (earlier && memcmp(key, earlier, 8) == 0)
				return config_fail_at(reader, path, "the same key as %s", other);
		}
	}
	return 0;
}

static bool is_in(const struct sl_sid *sid, const struct in6_addr *address)
{
	unsigned whole = sid->bits / 8, rest = sid->bits % 8;

	return memcmp(&sid->prefix, address, whole) == 0 &&
	       (rest == 0 ||
		(sid->prefix.s6_addr[whole] ^ address->s6_addr[whole]) >> (8 - rest) == 0);
}

static bool is_service(const struct config_service *service, const struct in6_addr *address)
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		return memcmp(&address->s6_addr[12], &service->ipv4, 4) == 0;
	return IN6_ARE_ADDR_EQUAL(&service->ipv6, address);
}

bool config_is_here(const struct config *config, const struct in6_addr *address)
{
	for (unsigned k = 0; k < config->services; k++)
		if (is_service(&config->service[k], address))
			return true;
	for (unsigned k = 0; k < config->dataplane.sids; k++)
		if (is_in(&config->dataplane.sid[k], address))
			return true;
	return IN6_ARE_ADDR_EQUAL(&config->address, address);
}

/* What goes to one of our own addresses comes back, until its hop limit ends it. */
static int check_loop(struct config_reader *reader, const struct config *config, unsigned i,
		      const struct in6_addr *address)
{
	for (unsigned k = 0; k < config->services; k++)
		if (is_service(&config->service[k], address))
			return config_fail_at(reader, at(reader, "sites[%u]", i),
					      "its way leads to the address of service '%s', that "
					      "is, back to here: give the site's own address",
					      config->service[k].name);
	if (IN6_IS_ADDR_V4MAPPED(address) && config->address4.s_addr &&
	    memcmp(&address->s6_addr[12], &config->address4, 4) == 0)
		return config_fail_at(reader, at(reader, "sites[%u]", i),
				      "its way leads to this node's own address: give the site's");
	for (unsigned k = 0; k < config->dataplane.sids; k++)
		if (is_in(&config->dataplane.sid[k], address))
			return config_fail_at(reader, at(reader, "sites[%u]", i),
					      "its way leads into dataplane.sids[%u], that is, "
					      "back to here: give the site's own SID",
					      k);
	return 0;
}

static int check_loops(struct config_reader *reader, const struct config *config, unsigned i)
{
	const struct config_site *site = &config->site[i];

	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		for (unsigned s = 0; s < site->via[f].segments; s++)
			if (check_loop(reader, config, i, &site->via[f].segment[s]) < 0)
				return -EINVAL;
	return 0;
}

static int check_site(struct config_reader *reader, const struct config *config, unsigned i)
{
	const struct config_site *site = &config->site[i];

	if (!*site->name)
		return config_fail_at(reader, at(reader, "sites[%u].name", i), "required");
	for (unsigned k = 0; k < i; k++)
		if (strcmp(site->name, config->site[k].name) == 0)
			return config_fail_at(reader, at(reader, "sites[%u].name", i),
					      "'%s' is the name of sites[%u] too", site->name, k);
	if (site->vni && !config->address4.s_addr)
		return config_fail_at(
			reader, "address",
			"an IPv4 address is required: site '%s' has a vxlan, and this "
			"is the outer source address ([IPV6, IPV4] gives both)",
			site->name);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (site->via[f].kind == SL_VIA_SRV6 && IN6_IS_ADDR_UNSPECIFIED(&config->address))
			return config_fail_at(
				reader, "address",
				"required: site '%s' has a SID, and this is the outer "
				"source address",
				site->name);
	return check_loops(reader, config, i);
}

static int check_edge(struct config_reader *reader, const struct config *config, unsigned i)
{
	static const uint8_t no_key[SL_KEY_BYTES];
	const struct config_edge *edge = &config->edge[i];

	if (!*edge->name)
		return config_fail_at(reader, at(reader, "edges[%u].name", i), "required");
	if (strcmp(edge->name, config->node) == 0)
		return config_fail_at(reader, at(reader, "edges[%u].name", i),
				      "'%s' is this node's own name", edge->name);
	for (unsigned k = 0; k < i; k++)
		if (strcmp(edge->name, config->edge[k].name) == 0)
			return config_fail_at(reader, at(reader, "edges[%u].name", i),
					      "'%s' is the name of edges[%u] too", edge->name, k);
	if (memcmp(edge->key, no_key, sizeof(no_key)) == 0)
		return config_fail_at(reader, at(reader, "edges[%u].key", i),
				      "required: the public key of that edge");
	if (edge->address.ss_family == 0 && config->bus.servers == 0)
		return config_fail_at(reader, at(reader, "edges[%u].address", i),
				      "required: where its telemetry.listen is (not with bus)");
	return 0;
}

static int check_operator(struct config_reader *reader, const struct config *config, unsigned i)
{
	static const uint8_t no_key[SL_KEY_BYTES];
	const struct config_operator *operator= & config->operator[i];

	if (!*operator->name)
		return config_fail_at(reader, at(reader, "operators[%u].name", i), "required");
	if (memcmp(operator->key, no_key, sizeof(no_key)) == 0)
		return config_fail_at(reader, at(reader, "operators[%u].key", i),
				      "required: the key that signs its approvals (suanlu keygen)");
	if (!config->telemetry_listen.ss_family && config->bus.servers == 0)
		return config_fail_at(reader, "operators",
				      "their sites are heard by telemetry.listen or bus: give one");
	if (IN6_IS_ADDR_UNSPECIFIED(&config->address))
		return config_fail_at(reader, "address",
				      "required with operators: the outer source towards SIDs");
	return 0;
}

static bool same_address(const struct config_service *a, const struct config_service *b)
{
	bool v4 = a->ipv4.s_addr && a->ipv4.s_addr == b->ipv4.s_addr;
	bool v6 = !IN6_IS_ADDR_UNSPECIFIED(&a->ipv6) && IN6_ARE_ADDR_EQUAL(&a->ipv6, &b->ipv6);

	return (v4 || v6) && a->protocol == b->protocol && a->port == b->port;
}

/* One weight vector serves both families, so each of its sites must be reachable in both. */
static int check_ways(struct config_reader *reader, const struct config *config, unsigned i)
{
	const struct config_service *service = &config->service[i];

	for (unsigned k = 0; k < service->sites; k++) {
		const struct config_site *site = &config->site[service->site[k]];

		if (service->ipv4.s_addr && site->via[SL_INNER_IPV4].kind == SL_VIA_NONE)
			return config_fail_at(
				reader, at(reader, "sites[%u]", service->site[k]),
				"needs sid4, sid, vxlan or deliver4: service '%s' has an ipv4",
				service->name);
		if (!IN6_IS_ADDR_UNSPECIFIED(&service->ipv6) &&
		    site->via[SL_INNER_IPV6].kind == SL_VIA_NONE)
			return config_fail_at(
				reader, at(reader, "sites[%u]", service->site[k]),
				"needs sid6, sid, vxlan or deliver6: service '%s' has an ipv6",
				service->name);
	}
	return 0;
}

static int check_service(struct config_reader *reader, const struct config *config, unsigned i)
{
	const struct config_service *service = &config->service[i];

	if (!*service->name)
		return config_fail_at(reader, at(reader, "services[%u].name", i), "required");
	if (!service->ipv4.s_addr && IN6_IS_ADDR_UNSPECIFIED(&service->ipv6))
		return config_fail_at(reader, at(reader, "services[%u]", i),
				      "needs ipv4, ipv6 or both");
	if (service->port == 0)
		return config_fail_at(reader, at(reader, "services[%u].port", i), "required");
	for (unsigned k = 0; k < i; k++) {
		if (strcmp(service->name, config->service[k].name) == 0)
			return config_fail_at(reader, at(reader, "services[%u].name", i),
					      "'%s' is the name of services[%u] too", service->name,
					      k);
		if (same_address(service, &config->service[k]))
			return config_fail_at(reader, at(reader, "services[%u].port", i),
					      "the same address, protocol and port as services[%u] "
					      "('%s')",
					      k, config->service[k].name);
	}
	return check_ways(reader, config, i);
}

/* Names of the nodes that are heard on the bus are parts of its subjects. */
static int check_bus_names(struct config_reader *reader, const struct config *config)
{
	static const char expected[] = "with bus: no dot at an end or beside another";

	if (config->bus.servers == 0)
		return 0;
	if (!subject_name_valid(config->node))
		return config_fail_at(reader, "node", expected);
	for (unsigned i = 0; i < config->sites; i++)
		if (!subject_name_valid(config->site[i].name))
			return config_fail_at(reader, at(reader, "sites[%u].name", i), expected);
	for (unsigned i = 0; i < config->edges; i++)
		if (!subject_name_valid(config->edge[i].name))
			return config_fail_at(reader, at(reader, "edges[%u].name", i), expected);
	return 0;
}

int config_check(struct config_reader *reader, const struct config *config)
{
	unsigned members = 0;
	int result = check_node(reader, config);

	for (unsigned i = 0; result == 0 && i < config->sites; i++)
		result = check_site(reader, config, i);
	for (unsigned i = 0; result == 0 && i < config->services; i++) {
		result = check_service(reader, config, i);
		members += config->service[i].sites;
	}
	for (unsigned i = 0; result == 0 && i < config->edges; i++)
		result = check_edge(reader, config, i);
	for (unsigned i = 0; result == 0 && i < config->operators; i++)
		result = check_operator(reader, config, i);
	if (result == 0 && members > SL_MEMBERS_MAX)
		return config_fail_at(reader, "services",
				      "expected at most %d pairs of service and site, found %u",
				      SL_MEMBERS_MAX, members);
	if (result == 0)
		result = config_check_announce(reader, config);
	if (result == 0)
		result = config_check_bus(reader, &config->bus);
	if (result == 0)
		result = config_check_publish(reader, config);
	if (result == 0)
		result = check_bus_names(reader, config);
	return result < 0 ? result : check_keys(reader, config);
}
