/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_probes.h"
#include "config_value.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEAD_INTERVALS 4

static int set_clocks(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (strcmp(text, "synchronised") != 0 && strcmp(text, "independent") != 0)
		return config_fail(reader, node,
				   "expected synchronised or independent, found '%.64s'", text);
	*(bool *)out = text[0] == 's';
	return 0;
}

int config_set_probes(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_RANGE("interval_ms", config_set_unsigned, struct config_probes, interval_ms,
			     5, 10000),
		CONFIG_RANGE("dead_ms", config_set_unsigned, struct config_probes, dead_ms, 10,
			     60000),
		CONFIG_RANGE("hold_ms", config_set_unsigned, struct config_probes, hold_ms, 1,
			     3600000),
		CONFIG_RANGE("hold_max_ms", config_set_unsigned, struct config_probes, hold_max_ms,
			     1, 3600000),
		CONFIG_FIELD("clocks", set_clocks, struct config_probes, synchronised),
		CONFIG_FIELD("key", config_set_text, struct config_probes, key_file),
	};

	(void)field;
	((struct config_probes *)out)->on = true;
	return CONFIG_READ(reader, fields, node, out);
}

static int set_transit_key(struct config_reader *reader, const struct config_field *field,
			   const yaml_node_t *node, void *out)
{
	struct config_transit *transit = out;

	transit->has_key = true;
	return config_set_key(reader, field, node, transit->key);
}

int config_set_transit(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", config_set_name, struct config_transit, name),
		CONFIG_WHOLE("key", set_transit_key),
		CONFIG_FIELD("sid", config_set_ipv6, struct config_transit, sid),
		CONFIG_FIELD("reflector", config_set_ipv6, struct config_transit, reflector),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

static int check_transit(struct config_reader *reader, const struct config *config, unsigned i)
{
	const struct config_transit *transit = &config->transit[i];
	char path[64];

	snprintf(path, sizeof(path), "transits[%u]", i);
	if (!*transit->name)
		return config_fail_at(reader, path, "name: required");
	if (IN6_IS_ADDR_UNSPECIFIED(&transit->sid))
		return config_fail_at(reader, path, "sid: required, its End SID");
	if (transit->has_key && IN6_IS_ADDR_UNSPECIFIED(&transit->reflector))
		return config_fail_at(reader, path,
				      "reflector: required with a key: it tells its links, and "
				      "the one to it is measured from here");
	for (unsigned k = 0; k < i; k++)
		if (strcmp(transit->name, config->transit[k].name) == 0)
			return config_fail_at(reader, path, "'%s' is the name of transits[%u] too",
					      transit->name, k);
	for (unsigned k = 0; k < config->sites; k++)
		if (strcmp(transit->name, config->site[k].name) == 0)
			return config_fail_at(reader, path, "'%s' is the name of sites[%u] too",
					      transit->name, k);
	return 0;
}

static int check_key(struct config_reader *reader, const struct config_probes *probes)
{
	uint8_t secret[SL_PROBE_KEY_MAX];
	char why[256];
	int bytes = config_probe_key(probes->key_file, secret, why, sizeof(why));

	sodium_memzero(secret, sizeof(secret));
	return bytes < 0 ? config_fail_at(reader, "probes.key", "%.200s", why) : 0;
}

int config_check_probes(struct config_reader *reader, struct config *config)
{
	struct config_probes *probes = &config->probes;

	if (!probes->on && config_find(reader, "probes"))
		return config_fail_at(reader, "probes",
				      "empty: expected keys, or {} for all defaults");
	for (unsigned i = 0; i < config->sites; i++)
		probes->on |= !IN6_IS_ADDR_UNSPECIFIED(&config->site[i].reflector);
	for (unsigned i = 0; i < config->transits; i++) {
		if (check_transit(reader, config, i) < 0)
			return -EINVAL;
		probes->on = true;
	}
	if (!probes->on)
		return 0;
	if (IN6_IS_ADDR_UNSPECIFIED(&config->address))
		return config_fail_at(reader, "address",
				      "required: probes are sent from it and answered at it");
	if (probes->dead_ms == 0)
		probes->dead_ms = DEAD_INTERVALS * probes->interval_ms;
	if (probes->dead_ms < 2 * probes->interval_ms)
		return config_fail_at(reader, "probes.dead_ms",
				      "expected at least two intervals (%u ms), found %u",
				      2 * probes->interval_ms, probes->dead_ms);
	if (probes->hold_max_ms < probes->hold_ms)
		return config_fail_at(reader, "probes.hold_max_ms",
				      "expected at least hold_ms (%u), found %u", probes->hold_ms,
				      probes->hold_max_ms);
	return probes->key_file ? check_key(reader, probes) : 0;
}
