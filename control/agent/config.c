/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"
#include "../config_bus.h"
#include "../config_value.h"
#include "../telemetry/subject.h"
#include "scrape.h"
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_number(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	char *end;
	double value;

	if (!text)
		return -EINVAL;
	value = strtod(text, &end);
	if (end == text || *end || !isfinite(value) || value < field->min || value > field->max)
		return config_fail(reader, node, "expected a number %g..%g, found '%.64s'",
				   field->min, field->max, text);
	*(double *)out = value;
	return 0;
}

static int set_protocol(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (strcmp(text, "udp") == 0)
		return config_fail(reader, node,
				   "UDP services are not measured yet; publish their load with "
				   "libsuanlu or `suanlu publish`");
	if (strcmp(text, "tcp") != 0)
		return config_fail(reader, node, "expected tcp, found '%.64s'", text);
	*(uint8_t *)out = IPPROTO_TCP;
	return 0;
}

static int set_to(struct config_reader *reader, const struct config_field *field,
		  const yaml_node_t *node, void *out)
{
	struct sockaddr_storage address;

	if (config_set_endpoint(reader, field, node, &address) < 0)
		return -EINVAL;
	return config_set_text(reader, field, node, out);
}

static int set_source(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	static const char *const name[] = {
		[AGENT_SOURCE_AUTO] = "auto",	    [AGENT_SOURCE_KERNEL] = "kernel",
		[AGENT_SOURCE_SOCKETS] = "sockets", [AGENT_SOURCE_METRICS] = "metrics",
		[AGENT_SOURCE_ORCA] = "orca",	    [AGENT_SOURCE_STDIN] = "stdin",
	};
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(name) / sizeof(*name); i++)
		if (strcmp(text, name[i]) == 0) {
			*(enum agent_source *)out = (enum agent_source)i;
			return 0;
		}
	return config_fail(reader, node,
			   "expected auto, kernel, sockets, metrics, orca or stdin, found '%.64s'",
			   text);
}

static int set_mapping(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node), *name;

	(void)field;
	if (!text)
		return -EINVAL;
	name = mapping_ready(text);
	if (!name)
		return config_fail(reader, node,
				   "expected vllm, triton, dcgm, node, envoy or orca, found "
				   "'%.64s'; `map` makes one's own",
				   text);
	*(const char **)out = name;
	return 0;
}

/* Keys that only the exporter knows: names and texts as they are. */
static int read_pairs(struct config_reader *reader, const yaml_node_t *node, unsigned most,
		      struct mapping_own **out, unsigned *count)
{
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return config_fail(reader, node, "expected keys and values");
	pair = node->data.mapping.pairs.start;
	if (node->data.mapping.pairs.top - pair > most)
		return config_fail(reader, node, "expected at most %u", most);
	*out = calloc(most, sizeof(**out));
	if (!*out)
		return config_fail(reader, node, "no memory");
	for (; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
		const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
		struct mapping_own *own = &(*out)[(*count)++];

		if (config_set_text(reader, NULL, key, &own->key) < 0 ||
		    config_set_text(reader, NULL, value, &own->text) < 0)
			return -EINVAL;
	}
	return 0;
}

static int set_map(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	struct agent_service *service = out;

	(void)field;
	return read_pairs(reader, node, MAPPING_LINES_MAX, &service->scrape.own,
			  &service->scrape.owns);
}

static int set_select(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	struct agent_service *service = out;

	(void)field;
	return read_pairs(reader, node, SERIES_LABELS_MAX / 2, &service->scrape.select,
			  &service->scrape.selects);
}

static int set_service(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct agent_service, name),
		CONFIG_FIELD("protocol", set_protocol, struct agent_service, protocol),
		CONFIG_FIELD("port", config_set_port, struct agent_service, port),
		CONFIG_RANGE("servers", config_set_unsigned, struct agent_service, servers, 1,
			     1000000),
		CONFIG_FIELD("source", set_source, struct agent_service, source),
		CONFIG_FIELD("requests", config_set_bool, struct agent_service, requests),
		CONFIG_FIELD("url", config_set_text, struct agent_service, scrape.url),
		CONFIG_FIELD("mapping", set_mapping, struct agent_service, scrape.ready),
		CONFIG_WHOLE("map", set_map),
		CONFIG_WHOLE("select", set_select),
		CONFIG_RANGE("scrape_ms", config_set_unsigned, struct agent_service, scrape_ms, 100,
			     60000),
	};
	struct agent_service *service = out;

	(void)field;
	service->protocol = IPPROTO_TCP;
	service->scrape_ms = 1000;
	return CONFIG_READ(reader, fields, node, service);
}

static int set_edge(struct config_reader *reader, const struct config_field *field,
		    const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("to", set_to, struct agent_edge, to),
		CONFIG_FIELD("key", config_set_key, struct agent_edge, key),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_labels(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	struct agent_config *config = out;

	return config_read_list(reader, field, config_set_name, sizeof(*config->label),
				SL_LABELS_MAX, node, &config->label, &config->labels);
}

static int set_edges(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	struct agent_config *config = out;

	return config_read_list(reader, field, set_edge, sizeof(*config->edge), AGENT_EDGES_MAX,
				node, &config->edge, &config->edges);
}

static int set_services(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	struct agent_config *config = out;

	return config_read_list(reader, field, set_service, sizeof(*config->service),
				AGENT_SERVICES_MAX, node, &config->service, &config->services);
}

static int set_sid(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	struct agent_config *config = out;
	int result = config_set_ipv6(reader, field, node, &config->sid[SL_INNER_IPV4]);

	config->sid[SL_INNER_IPV6] = config->sid[SL_INNER_IPV4];
	return result;
}

static const struct config_field top[] = {
	CONFIG_FIELD("key", config_set_text, struct agent_config, key_file),
	CONFIG_RANGE("interval_ms", config_set_unsigned, struct agent_config, interval_ms, 10,
		     10000),
	CONFIG_RANGE("valid_for_ms", config_set_unsigned, struct agent_config, valid_for_ms, 20,
		     60000),
	CONFIG_RANGE("price_per_hour", set_number, struct agent_config, price_per_hour, 0, 1e9),
	CONFIG_RANGE("pue", set_number, struct agent_config, pue, 1, 100),
	CONFIG_WHOLE("labels", set_labels),
	CONFIG_WHOLE("publish", set_edges),
	CONFIG_FIELD("site", config_set_name, struct agent_config, site),
	CONFIG_FIELD("bus", config_set_bus, struct agent_config, bus),
	CONFIG_FIELD("approval", config_set_text, struct agent_config, approval_file),
	CONFIG_FIELD("sid4", config_set_ipv6, struct agent_config, sid[SL_INNER_IPV4]),
	CONFIG_FIELD("sid6", config_set_ipv6, struct agent_config, sid[SL_INNER_IPV6]),
	CONFIG_WHOLE("sid", set_sid),
	CONFIG_WHOLE("services", set_services),
};

/* ---- what no single value shows ---- */

#define FAIL_ENTRY(reader, list, index, key, ...)                                                  \
	({                                                                                         \
		char path_[64];                                                                    \
		snprintf(path_, sizeof(path_), "%s[%u]%s%s", list, index, *(key) ? "." : "", key); \
		config_fail_at(reader, path_, __VA_ARGS__);                                        \
	})

/* The endpoint of a service: whether there should be one, and whether its expressions are any. */
static int check_scrape(struct config_reader *reader, struct agent_service *service, unsigned i)
{
	struct mapping_config *scrape = &service->scrape;
	struct mapping *mapping;
	char error[240];
	bool has_load;

	if (service->source == AGENT_SOURCE_STDIN && scrape->url)
		return FAIL_ENTRY(reader, "services", i, "url", "not with source: stdin");
	if (service->source == AGENT_SOURCE_STDIN)
		return 0;
	if (!scrape->url && !agent_watches(service))
		return FAIL_ENTRY(reader, "services", i, "url",
				  "required: the endpoint, http://HOST:PORT/PATH");
	if (!scrape->url && (scrape->ready || scrape->owns || scrape->selects))
		return FAIL_ENTRY(reader, "services", i, "url", "required by its mapping");
	if (!scrape->url)
		return 0;
	if (scrape_check_url(scrape->url, error) < 0)
		return FAIL_ENTRY(reader, "services", i, "url", "%s", error);
	if (service->source == AGENT_SOURCE_ORCA && !scrape->ready && !scrape->owns)
		scrape->ready = mapping_ready("orca");
	if (!scrape->ready && !scrape->owns)
		return FAIL_ENTRY(reader, "services", i, "mapping",
				  "required: vllm, triton, dcgm, node, envoy, orca, or a map");
	if (mapping_open(&mapping, scrape, error) < 0)
		return FAIL_ENTRY(reader, "services", i, "map", "%s", error);
	has_load = mapping_has_load(mapping);
	mapping_close(mapping);
	if (!has_load && !agent_watches(service))
		return FAIL_ENTRY(
			reader, "services", i, "mapping",
			"expected in_flight or service_time_s: %s tells of a host, not of "
			"a service; with source: auto it adds to what is measured",
			scrape->ready ?: "this map");
	return 0;
}

static int check_services(struct config_reader *reader, const struct agent_config *config)
{
	if (config->services == 0)
		return config_fail_at(reader, "services", "required: what to measure");
	for (unsigned i = 0; i < config->services; i++) {
		struct agent_service *service = &config->service[i];

		if (!service->name[0])
			return FAIL_ENTRY(reader, "services", i, "name", "required");
		if (!service->port && agent_watches(service))
			return FAIL_ENTRY(reader, "services", i, "port", "required: 1..65535");
		if (!service->servers)
			return FAIL_ENTRY(reader, "services", i, "servers",
					  "required: how many connections the program works on "
					  "at the same time");
		if (check_scrape(reader, service, i) < 0)
			return -EINVAL;
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(config->service[j].name, service->name) == 0)
				return FAIL_ENTRY(reader, "services", i, "name",
						  "expected another name: '%s' is services[%u]",
						  service->name, j);
			if (service->port && config->service[j].port == service->port)
				return FAIL_ENTRY(reader, "services", i, "port",
						  "expected another port: %u is that of '%s'",
						  service->port, config->service[j].name);
		}
	}
	return 0;
}

static int check_edges(struct config_reader *reader, const struct agent_config *config)
{
	static const uint8_t none[SL_KEY_BYTES];

	if (config->edges == 0 && config->bus.servers == 0)
		return config_fail_at(reader, "publish",
				      "required: the edges to publish to, or a bus");
	for (unsigned i = 0; i < config->edges; i++) {
		if (!config->edge[i].to)
			return FAIL_ENTRY(reader, "publish", i, "to",
					  "required: ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\"");
		if (memcmp(config->edge[i].key, none, sizeof(none)) == 0)
			return FAIL_ENTRY(reader, "publish", i, "key",
					  "required: the edge's public key");
		for (unsigned j = 0; j < i; j++)
			if (strcmp(config->edge[j].to, config->edge[i].to) == 0)
				return FAIL_ENTRY(reader, "publish", i, "to",
						  "expected another edge: %s is publish[%u]",
						  config->edge[i].to, j);
	}
	return 0;
}

static int read_approval(struct agent_config *config, struct approval *approval)
{
	FILE *file = fopen(config->approval_file, "re");
	char text[2 * APPROVAL_TEXT_MAX] = "";
	int bytes;

	if (!file)
		return -errno;
	bytes = (int)fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	bytes = approval_scan(text, config->approval);
	if (bytes < 0 || approval_open(config->approval, (size_t)bytes, approval) < 0)
		return -EINVAL;
	config->approval_bytes = (unsigned)bytes;
	return 0;
}

static int check_approval(struct config_reader *reader, struct agent_config *config)
{
	struct approval approval;
	char key[SL_KEY_TEXT];
	int err;

	if (!config->approval_file)
		return 0;
	err = read_approval(config, &approval);
	if (err < 0)
		return config_fail_at(reader, "approval", "'%.128s': %s", config->approval_file,
				      err == -EINVAL ? "not what `suanlu approve` prints"
						     : strerror(-err));
	key_print_public(approval.key, key);
	if (strcmp(key, config->public_key) != 0)
		return config_fail_at(reader, "approval", "it is for another key: %s", key);
	if (strcmp(approval.site, config->site) != 0)
		return config_fail_at(reader, "site", "expected '%s', as the approval says",
				      approval.site);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (!IN6_IS_ADDR_UNSPECIFIED(&config->sid[f]) &&
		    !approval_allows_sid(&approval, &config->sid[f]))
			return config_fail_at(reader, f == SL_INNER_IPV4 ? "sid4" : "sid6",
					      "outside of the prefix that the approval allows");
	if (IN6_IS_ADDR_UNSPECIFIED(&config->sid[0]) && IN6_IS_ADDR_UNSPECIFIED(&config->sid[1]))
		return config_fail_at(reader, "sid",
				      "required with approval: sid4, sid6, or one for both");
	return 0;
}

static int check_bus(struct config_reader *reader, const struct agent_config *config)
{
	if (config->bus.servers && !subject_name_valid(config->site))
		return config_fail_at(
			reader, "site",
			"required with bus: this site's name at the edges, without a dot "
			"at an end or beside another");
	return config_check_bus(reader, &config->bus);
}

static int check(struct config_reader *reader, struct agent_config *config)
{
	if (!config->key_file)
		return config_fail_at(reader, "key",
				      "required: this site's key file (suanlu keygen makes one)");
	if (sl_key_public(config->key_file, config->public_key) < 0)
		return config_fail_at(reader, "key", "%s", sl_publisher_error(NULL));
	if (config->valid_for_ms < 2 * config->interval_ms)
		return config_fail_at(reader, "valid_for_ms",
				      "expected at least twice interval_ms (%u), so that one lost "
				      "report does not matter, found %u",
				      2 * config->interval_ms, config->valid_for_ms);
	if (check_edges(reader, config) < 0 || check_bus(reader, config) < 0 ||
	    check_approval(reader, config) < 0)
		return -EINVAL;
	return check_services(reader, config);
}

static void free_pairs(struct mapping_own *own, unsigned owns)
{
	for (unsigned i = 0; i < owns; i++) {
		free(own[i].key);
		free(own[i].text);
	}
	free(own);
}

void agent_config_clear(struct agent_config *config)
{
	for (unsigned i = 0; i < config->services; i++) {
		struct mapping_config *scrape = &config->service[i].scrape;

		free(scrape->url);
		free_pairs(scrape->own, scrape->owns);
		free_pairs(scrape->select, scrape->selects);
	}
	for (unsigned i = 0; i < config->edges; i++)
		free(config->edge[i].to);
	config_bus_clear(&config->bus);
	free(config->approval_file);
	free(config->edge);
	free(config->service);
	free(config->label);
	free(config->key_file);
	memset(config, 0, sizeof(*config));
}

int agent_config_load(const char *file, struct agent_config *out, struct config_error *error)
{
	struct agent_config config = {.interval_ms = 100, .valid_for_ms = 500};
	struct config_reader reader;
	int err = config_reader_open(&reader, file, error);

	if (err < 0)
		return err;
	err = CONFIG_READ(&reader, top, yaml_document_get_root_node(&reader.document), &config);
	if (!err)
		err = check(&reader, &config);
	config_reader_close(&reader);
	if (err < 0)
		agent_config_clear(&config);
	else
		*out = config;
	return err;
}
