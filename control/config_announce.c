/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_announce.h"
#include "config_value.h"
#include <errno.h>
#include <glob.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One for both families: the kernel's own defaults differ (0 and 1,024), and BGP makes the
 * metric its MED. */
#define METRIC_DEFAULT 1024

static bool find_in_file(const char *file, const char *name, uint32_t *table)
{
	FILE *stream = fopen(file, "re");
	char line[256], found[128];
	bool result = false;

	while (stream && !result && fgets(line, sizeof(line), stream))
		result = sscanf(line, " %u %127[^# \t\n]", table, found) == 2 &&
			 strcmp(found, name) == 0;
	if (stream)
		fclose(stream);
	return result;
}

static bool find_table(const char *name, uint32_t *table)
{
	static const char *const patterns[] = {
		"/etc/iproute2/rt_tables", "/etc/iproute2/rt_tables.d/*.conf",
		"/usr/share/iproute2/rt_tables", "/usr/share/iproute2/rt_tables.d/*.conf"};
	bool result = false;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		glob_t files;

		if (result || glob(patterns[i], 0, NULL, &files) != 0)
			continue;
		for (size_t k = 0; !result && k < files.gl_pathc; k++)
			result = find_in_file(files.gl_pathv[k], name, table);
		globfree(&files);
	}
	return result;
}

static int set_table(struct config_reader *reader, const struct config_field *field,
		     const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);
	unsigned long long number;
	uint32_t table;
	char *end;

	(void)field;
	if (!text)
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > UINT32_MAX) {
		if (!find_table(text, &table))
			return config_fail(reader, node,
					   "expected a number or a name in "
					   "/etc/iproute2/rt_tables, found '%.64s'",
					   text);
		number = table;
	}
	if (number == RT_TABLE_UNSPEC || number == RT_TABLE_LOCAL)
		return config_fail(reader, node,
				   "expected a table that a routing daemon reads (254, main), "
				   "found '%.64s'",
				   text);
	*(uint32_t *)out = (uint32_t)number;
	return 0;
}

/* Routed to the loopback a packet goes round until its hop limit ends, and is answered. */
static bool is_loopback(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};
	bool result;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	result = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
		 (request.ifr_flags & IFF_LOOPBACK);
	if (fd >= 0)
		close(fd);
	return result;
}

static int set_interface(struct config_reader *reader, const struct config_field *field,
			 const yaml_node_t *node, void *out)
{
	if (config_set_interface(reader, field, node, out) < 0)
		return -EINVAL;
	if (is_loopback(out))
		return config_fail(reader, node,
				   "expected an interface that swallows packets (a dummy), found "
				   "the loopback '%s'",
				   (const char *)out);
	return 0;
}

int config_set_announce(struct config_reader *reader, const struct config_field *field,
			const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_FIELD("table", set_table, struct config_announce, table),
		CONFIG_RANGE("metric", config_set_unsigned, struct config_announce, metric, 1,
			     UINT32_MAX),
		CONFIG_FIELD("interface", set_interface, struct config_announce, interface),
	};

	(void)field;
	*(struct config_announce *)out = (struct config_announce){
		.on = true, .table = RT_TABLE_MAIN, .metric = METRIC_DEFAULT};
	return CONFIG_READ(reader, fields, node, out);
}

int config_check_announce(struct config_reader *reader, const struct config *config)
{
	if (!config->announce.on && config_find(reader, "announce"))
		return config_fail_at(reader, "announce",
				      "empty: expected keys, or {} for all defaults");
	for (unsigned i = 0; config->announce.on && i < config->dataplane.ports; i++)
		if (strcmp(config->announce.interface, config->dataplane.port[i].name) == 0)
			return config_fail_at(reader, "announce.interface",
					      "'%s' is one of dataplane.ports",
					      config->announce.interface);
	return 0;
}
