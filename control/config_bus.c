/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_bus.h"
#include "config_value.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVERS_MAX 32
#define HOST_MAX 200

/* After the host: nothing, or a port. */
static bool port_valid(const char *text)
{
	size_t digits = *text == ':' ? strspn(text + 1, "0123456789") : 0;

	return *text == '\0' || (digits > 0 && digits <= 5 && text[1 + digits] == '\0' &&
				 atoi(text + 1) >= 1 && atoi(text + 1) <= 65535);
}

/* What libnats takes: the address of an IPv6 server is in brackets. */
static bool url_valid(const char *text)
{
	const char *host = strstr(text, "://"), *at, *end;
	size_t bytes;

	if (!host || (strncmp(text, "nats://", 7) != 0 && strncmp(text, "tls://", 6) != 0))
		return false;
	host += 3;
	at = strrchr(host, '@');
	if (at)
		host = at + 1;
	bytes = strlen(host);
	if (bytes == 0 || bytes > HOST_MAX || strpbrk(host, " \t/,"))
		return false;
	end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");
	return end && end > host && port_valid(*host == '[' ? end + 1 : end);
}

/* Not shown if it is wrong: it may have a password in it. */
static int set_server(struct config_reader *reader, const struct config_field *field,
		      const yaml_node_t *node, void *out)
{
	const char *text = config_scalar(reader, node);

	if (!text)
		return -EINVAL;
	if (!url_valid(text))
		return config_fail(
			reader, node,
			"expected nats://HOST:PORT or tls://HOST:PORT, an IPv6 address in "
			"[brackets]");
	return config_set_text(reader, field, node, out);
}

static int set_servers(struct config_reader *reader, const struct config_field *field,
		       const yaml_node_t *node, void *out)
{
	struct sl_bus *bus = out;
	char **server = NULL;
	unsigned servers = 0;
	int result = config_read_list(reader, field, set_server, sizeof(*server), SERVERS_MAX, node,
				      &server, &servers);

	bus->server = (const char *const *)server;
	bus->servers = servers;
	return result;
}

int config_set_bus(struct config_reader *reader, const struct config_field *field,
		   const yaml_node_t *node, void *out)
{
	static const struct config_field fields[] = {
		CONFIG_WHOLE("servers", set_servers),
		CONFIG_FIELD("ca", config_set_text, struct sl_bus, ca_file),
		CONFIG_FIELD("certificate", config_set_text, struct sl_bus, certificate_file),
		CONFIG_FIELD("certificate_key", config_set_text, struct sl_bus,
			     certificate_key_file),
		CONFIG_FIELD("server_name", config_set_text, struct sl_bus, server_name),
		CONFIG_FIELD("credentials", config_set_text, struct sl_bus, credentials_file),
	};

	if (node->type != YAML_MAPPING_NODE)
		return set_servers(reader, field, node, out);
	return CONFIG_READ(reader, fields, node, out);
}

void config_bus_clear(struct sl_bus *bus)
{
	for (size_t i = 0; i < bus->servers; i++)
		free((char *)bus->server[i]);
	free((char **)bus->server);
	free((char *)bus->ca_file);
	free((char *)bus->certificate_file);
	free((char *)bus->certificate_key_file);
	free((char *)bus->server_name);
	free((char *)bus->credentials_file);
	*bus = (struct sl_bus){};
}

static int check_file(struct config_reader *reader, const char *path, const char *file)
{
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : 0;

	if (fd < 0)
		return config_fail_at(reader, path, "cannot read '%.128s': %s", file,
				      strerror(errno));
	if (file)
		close(fd);
	return 0;
}

int config_check_bus(struct config_reader *reader, const struct sl_bus *bus)
{
	if (!config_find(reader, "bus"))
		return 0;
	if (bus->servers == 0)
		return config_fail_at(reader, "bus.servers",
				      "required: nats://HOST:PORT, one or a list");
	if (!bus->certificate_file != !bus->certificate_key_file)
		return config_fail_at(reader, "bus.certificate",
				      "certificate and certificate_key want each other");
	if (check_file(reader, "bus.ca", bus->ca_file) < 0 ||
	    check_file(reader, "bus.certificate", bus->certificate_file) < 0 ||
	    check_file(reader, "bus.certificate_key", bus->certificate_key_file) < 0 ||
	    check_file(reader, "bus.credentials", bus->credentials_file) < 0)
		return -EINVAL;
	return 0;
}
