/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_publish.h"
#include "config_value.h"
#include "telemetry/subject.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECEIVERS_MAX 64

static int set_receiver(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("to", config_set_endpoint, struct config_receiver, address),
		CONFIG_FIELD("key", config_set_key, struct config_receiver, key),
	};

	(void)field;
	return CONFIG_READ(reader, fields, node, out);
}

int config_set_publish(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	struct config *config = out;

	return config_read_list(reader, field, set_receiver, sizeof(*config->receiver),
				RECEIVERS_MAX, node, &config->receiver, &config->receivers);
}

static int fail(struct config_reader *reader, unsigned i, const char *key, const char *text)
{
	char path[32];

	snprintf(path, sizeof(path), "publish[%u].%s", i, key);
	return config_fail_at(reader, path, "%s", text);
}

int config_check_publish(struct config_reader *reader, const struct config *config)
{
	static const uint8_t none[SL_KEY_BYTES];

	for (unsigned i = 0; i < config->receivers; i++) {
		const struct config_receiver *receiver = &config->receiver[i];

		if (receiver->address.ss_family == 0)
			return fail(reader, i, "to",
				    "required: ADDRESS:PORT or \"[IPV6 ADDRESS]:PORT\"");
		if (memcmp(receiver->key, none, sizeof(none)) == 0)
			return fail(reader, i, "key", "required: the edge's public key");
		for (unsigned k = 0; k < i; k++)
			if (memcmp(&config->receiver[k].address, &receiver->address,
				   sizeof(receiver->address)) == 0)
				return fail(reader, i, "to", "expected another edge: given twice");
	}
	if (!config->site_name[0])
		return 0;
	if (!config->bus.servers)
		return config_fail_at(
			reader, "site",
			"the name under which this site publishes on a bus, but there "
			"is no bus");
	if (!subject_name_valid(config->site_name))
		return config_fail_at(reader, "site",
				      "expected a name without a dot at its start or end");
	return 0;
}
