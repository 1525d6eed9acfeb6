/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_port.h"
#include "config_value.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* DOMAIN:BUS:DEVICE.FUNCTION as lspci -D prints it; `end` is what follows. */
static bool is_pci(const char *text, const char **end)
{
	unsigned domain, bus, device, function;
	int bytes = 0;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &bytes) != 4 ||
	    strspn(text, "0123456789abcdefABCDEF:.") < (size_t)bytes)
		return false;
	*end = text + bytes;
	return bytes == 12 && device < 32 && function < 8;
}

/* net_NAME, letters, digits and _. */
static bool is_virtual(const char *text, const char **end)
{
	if (strncmp(text, "net_", 4) != 0)
		return false;
	for (*end = text; isalnum((unsigned char)**end) || **end == '_'; (*end)++)
		;
	return *end > text + 4;
}

static int set_device(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node), *end = NULL;

	(void)field;
	if (!text)
		return -EINVAL;
	if ((!is_pci(text, &end) && !is_virtual(text, &end)) || (*end && *end != ','))
		return config_fail(
			reader, node,
			"expected a PCI address (lspci -D shows them: 0000:3b:00.0) or a "
			"virtual device of DPDK (net_...), found '%.64s'",
			text);
	if (strlen(text) >= SL_DEVICE_MAX)
		return config_fail(reader, node, "longer than %d characters", SL_DEVICE_MAX - 1);
	strcpy(out, text);
	return 0;
}

/* Of an interface that we make. */
static int set_new_name(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	(void)field;
	if (!text)
		return -EINVAL;
	if (*text == '\0' || strlen(text) > 15 || *text == '.' || strpbrk(text, "/:%% \t"))
		return config_fail(reader, node,
				   "expected an interface name of at most 15 characters, found "
				   "'%.64s'",
				   text);
	strcpy(out, text);
	return 0;
}

int config_set_port_entry(struct config_reader *reader, const struct config_field *field,
			  const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("name", set_new_name, struct config_port, name),
		CONFIG_FIELD("device", set_device, struct config_port, device),
	};
	struct config_port *port = out;

	if (node->type != YAML_MAPPING_NODE)
		return config_set_interface(reader, field, node, port->name);
	if (CONFIG_READ(reader, fields, node, port) < 0)
		return -EINVAL;
	if (!*port->name || !*port->device)
		return config_fail(reader, node,
				   "needs both: name (of the interface that the kernel gets) and "
				   "device (of the card)");
	return 0;
}
