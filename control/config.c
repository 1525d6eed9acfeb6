/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>

#include "config_announce.h"
#include "config_bus.h"
#include "config_check.h"
#include "config_port.h"
#include "config_probes.h"
#include "config_publish.h"
#include "config_reload.h"
#include "config_site.h"
#include "config_value.h"

#define SITES_MAX 4096
#define TRANSITS_MAX 1000
#define OPERATORS_MAX 64
#define EDGES_MAX 63 /* with this node 64, SOLVE_EDGES_MAX */

/* One of two words; *out is 0 for the first and 1 for the second, and so on. */
static int set_word(struct config_reader *reader, const yaml_node_t *node, const char *const *words,
		    const char *expected, unsigned *out)
{
	const char *text = config_scalar(reader, node);

	if (!text)
		return -EINVAL;
	for (unsigned i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return 0;
		}
	return config_fail(reader, node, "expected %s, found '%.64s'", expected, text);
}

static int set_protocol(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	unsigned word = 0;

	(void)field;
	if (set_word(reader, node, (const char *[]){"tcp", "udp", NULL}, "tcp or udp", &word) < 0)
		return -EINVAL;
	*(uint8_t *)out = word == 0 ? IPPROTO_TCP : IPPROTO_UDP;
	return 0;
}

static int set_affinity(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	unsigned word = 0;

	(void)field;
	if (set_word(reader, node, (const char *[]){"flow", "client", "none", NULL},
		     "flow, client or none", &word) < 0)
		return -EINVAL;
	*(enum sl_affinity *)out = (enum sl_affinity)word;
	return 0;
}

static int set_steering(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	unsigned word = 0;

	(void)field;
	if (set_word(reader, node, (const char *[]){"optimal", "nearest", NULL},
		     "optimal or nearest", &word) < 0)
		return -EINVAL;
	*(enum config_steering *)out = (enum config_steering)word;
	return 0;
}

static int set_ports(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct config_dataplane *dataplane = out;

	return config_read_list(reader, field, config_set_port_entry, sizeof(*dataplane->port),
				SL_PORTS_MAX, node, &dataplane->port, &dataplane->ports);
}

static int set_cores(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct config_dataplane *dataplane = out;

	return config_read_list(reader, field, config_set_cpu, sizeof(*dataplane->core), 16, node,
				&dataplane->core, &dataplane->cores);
}

static int set_local_sids(struct config_reader *reader, const struct config_field *field,
			  const yaml_node_t *node, void *out)
{
	struct config_dataplane *dataplane = out;

	return config_read_list(reader, field, config_set_prefix, sizeof(*dataplane->sid),
				SL_SIDS_MAX, node, &dataplane->sid, &dataplane->sids);
}

/* One address of each family, IPv4 as ::ffff:a.b.c.d. */
static int set_address(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	struct in6_addr *address = out;

	if (!text)
		return -EINVAL;
	if (strchr(text, ':'))
		return config_set_ipv6(reader, field, node, out);
	*address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	return config_set_ipv4(reader, field, node, &address->s6_addr[12]);
}

static int set_addresses(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	struct config *config = out;
	struct in6_addr *address = NULL;
	unsigned addresses, seen[2] = {0};
	int result = config_read_list(reader, field, set_address, sizeof(*address), 2, node,
				      &address, &addresses);

	for (unsigned i = 0; result == 0 && i < addresses; i++) {
		bool ipv4 = IN6_IS_ADDR_V4MAPPED(&address[i]);

		if (seen[ipv4]++)
			result =
				config_fail(reader, node, "expected one IPv4 and one IPv6 address");
		else if (ipv4)
			memcpy(&config->address4, &address[i].s6_addr[12], 4);
		else
			config->address = address[i];
	}
	free(address);
	return result;
}

static int set_vni(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	static const struct config_field range = {.min = 1, .max = 0xffffff};

	(void)field;
	return config_set_unsigned(reader, &range, node, out);
}

static int set_vnis(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	struct config_dataplane *dataplane = out;

	return config_read_list(reader, field, set_vni, sizeof(*dataplane->vni), SL_VNIS_MAX, node,
				&dataplane->vni, &dataplane->vnis);
}

static int set_dataplane(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_WHOLE("ports", set_ports),
		CONFIG_RANGE("pins", config_set_amount, struct config_dataplane, pins, 1000, 1e9),
		CONFIG_WHOLE("cores", set_cores),
		CONFIG_FIELD("busy_poll", config_set_bool, struct config_dataplane, busy_poll),
		CONFIG_FIELD("huge_pages", config_set_bool, struct config_dataplane, huge_pages),
		CONFIG_WHOLE("sids", set_local_sids),
		CONFIG_WHOLE("vnis", set_vnis),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_telemetry(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("listen", config_set_endpoint, struct config, telemetry_listen),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_metrics(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("listen", config_set_endpoint, struct config, metrics_listen),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_requires(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct config_service *service = out;

	return config_read_list(reader, field, config_set_name, sizeof(*service->require),
				SL_LABELS_MAX, node, &service->require, &service->requires);
}

/* Sites may stand later in the file: only their number is taken, config_check resolves them. */
static int count_sites(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	struct config_service *service = out;

	(void)field;
	if (node->type != YAML_SEQUENCE_NODE)
		return config_fail(reader, node, "expected a list of site names");
	service->sites =
		(unsigned)(node->data.sequence.items.top - node->data.sequence.items.start);
	return service->sites ? 0 : config_fail(reader, node, "expected at least one site");
}

static int set_service(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct config_service, name),
		CONFIG_FIELD("ipv4", config_set_ipv4, struct config_service, ipv4),
		CONFIG_FIELD("ipv6", config_set_ipv6, struct config_service, ipv6),
		CONFIG_FIELD("protocol", set_protocol, struct config_service, protocol),
		CONFIG_FIELD("port", config_set_port, struct config_service, port),
		CONFIG_FIELD("affinity", set_affinity, struct config_service, affinity),
		CONFIG_RANGE("idle_s", config_set_unsigned, struct config_service, idle_s, 1,
			     16383),
		CONFIG_RANGE("max_delay_ms", config_set_ms, struct config_service, max_delay_s, 0,
			     60000),
		CONFIG_WHOLE("requires", set_requires),
		CONFIG_WHOLE("sites", count_sites),
	};

	(void)field;
	*(struct config_service *)out = (struct config_service){
		.protocol = IPPROTO_TCP,
		.affinity = SL_AFFINITY_FLOW,
		.idle_s = 3600,
		.max_delay_s = INFINITY,
	};
	return CONFIG_READ(reader, fields, node, out);
}

static int set_edge(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct config_edge, name),
		CONFIG_FIELD("key", config_set_key, struct config_edge, key),
		CONFIG_FIELD("address", config_set_endpoint, struct config_edge, address),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_operator(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct config_operator, name),
		CONFIG_FIELD("key", config_set_key, struct config_operator, key),
		CONFIG_RANGE("delay_ms", config_set_ms, struct config_operator, delay_s, 0, 60000),
	};

	(void)field;
	((struct config_operator *)out)->delay_s = 0.01;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_operators(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, set_operator, sizeof(*config->operator),
				OPERATORS_MAX, node, &config->operator, & config->operators);
}

static int set_services(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, set_service, sizeof(*config->service),
				SL_SERVICES_MAX, node, &config->service, &config->services);
}

static int set_sites(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, config_set_site, sizeof(*config->site), SITES_MAX,
				node, &config->site, &config->sites);
}

static int set_edges(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, set_edge, sizeof(*config->edge), EDGES_MAX, node,
				&config->edge, &config->edges);
}

static int set_transits(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, config_set_transit, sizeof(*config->transit),
				TRANSITS_MAX, node, &config->transit, &config->transits);
}

static int read_all(struct config_reader *reader, struct config *config)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("node", config_set_name, struct config, node),
		CONFIG_WHOLE("address", set_addresses),
		CONFIG_FIELD("key", config_set_text, struct config, key_file),
		CONFIG_FIELD("run_dir", config_set_text, struct config, run_dir),
		CONFIG_FIELD("user", config_set_user, struct config, user),
		CONFIG_FIELD("steering", set_steering, struct config, steering),
		CONFIG_RANGE("interval_ms", config_set_unsigned, struct config, interval_ms, 10,
			     10000),
		CONFIG_FIELD("dataplane", set_dataplane, struct config, dataplane),
		CONFIG_WHOLE("telemetry", set_telemetry),
		CONFIG_FIELD("bus", config_set_bus, struct config, bus),
		CONFIG_WHOLE("metrics", set_metrics),
		CONFIG_FIELD("announce", config_set_announce, struct config, announce),
		CONFIG_FIELD("probes", config_set_probes, struct config, probes),
		CONFIG_WHOLE("services", set_services),
		CONFIG_WHOLE("sites", set_sites),
		CONFIG_WHOLE("edges", set_edges),
		CONFIG_WHOLE("transits", set_transits),
		CONFIG_WHOLE("operators", set_operators),
		CONFIG_WHOLE("publish", config_set_publish),
		CONFIG_FIELD("site", config_set_name, struct config, site_name),
	};
	int result =
		CONFIG_READ(reader, fields, yaml_document_get_root_node(&reader->document), config);

	if (result == 0 && !config->run_dir)
		config->run_dir = strdup(SL_RUN_DIR);
	return result < 0 || config->run_dir ? result : -ENOMEM;
}

static int fill(struct config_reader *reader, struct config *config)
{
	int result;

	config->interval_ms = 20;
	config->dataplane.pins = 1000000;
	config->dataplane.huge_pages = true;
	config->probes = (struct config_probes)CONFIG_PROBES_DEFAULT;
	result = read_all(reader, config);
	if (result == 0)
		result = config_resolve_sites(reader, config);
	if (result == 0)
		result = config_check(reader, config);
	return result < 0 ? result : config_check_probes(reader, config);
}

static int load(const char *file, const struct config *running, struct config **out,
		struct config_error *error)
{
	struct config_reader reader;
	struct config *config;
	int result;

	snprintf(error->text, sizeof(error->text), "%.100s: no memory", file);
	if (sodium_init() < 0)
		return -ENOMEM;
	result = config_reader_open(&reader, file, error);
	if (result < 0)
		return result;
	config = calloc(1, sizeof(*config));
	result = config ? fill(&reader, config) : -ENOMEM;
	if (result == 0 && running)
		result = config_reload_check(&reader, running, config);
	config_reader_close(&reader);
	if (result < 0) {
		config_free(config);
		return result;
	}
	error->text[0] = '\0';
	*out = config;
	return 0;
}

int config_load(const char *file, struct config **out, struct config_error *error)
{
	return load(file, NULL, out, error);
}

int config_reload(const char *file, const struct config *running, struct config **out,
		  struct config_error *error)
{
	return load(file, running, out, error);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (unsigned i = 0; i < config->sites; i++)
		free(config->site[i].label);
	for (unsigned i = 0; i < config->services; i++) {
		free(config->service[i].require);
		free(config->service[i].site);
	}
	config_bus_clear(&config->bus);
	free(config->dataplane.port);
	free(config->dataplane.core);
	free(config->dataplane.sid);
	free(config->dataplane.vni);
	free(config->site);
	free(config->service);
	free(config->edge);
	free(config->transit);
	free(config->receiver);
	free(config->operator);
	free(config->key_file);
	free(config->probes.key_file);
	free(config->run_dir);
	free(config->user);
	free(config);
}
