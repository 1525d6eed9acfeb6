/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus_text.h"
#include <stdio.h>
#include <string.h>

const char *bus_plain(const char *why, natsStatus status)
{
	const char *end = why && *why == '(' ? strstr(why, "): ") : NULL;

	if (!why || !*why)
		return natsStatus_GetText(status);
	return end ? end + 3 : why;
}

const char *bus_remedy(natsStatus status)
{
	switch (status) {
	case NATS_NO_SERVER:
		return "; see that nats-server runs, and address and port";
	case NATS_TIMEOUT:
		return "; something takes connections there and does not answer";
	case NATS_PROTOCOL_ERROR:
	case NATS_CONNECTION_CLOSED:
	case NATS_IO_ERROR:
		return "; is that port a NATS server's, and does it ask for tls:// ?";
	case NATS_CONNECTION_AUTH_FAILED:
	case NATS_NOT_PERMITTED:
		return "; see user and password, or credentials";
	case NATS_SSL_ERROR:
	case NATS_SECURE_CONNECTION_REQUIRED:
	case NATS_SECURE_CONNECTION_WANTED:
		return "; see ca, certificate, server_name, and tls:// or nats://";
	default:
		return "";
	}
}

const char *bus_host(const char *url)
{
	const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");

	return at ? at + 1 : scheme ? scheme + 3 : url;
}

void bus_hosts(const struct sl_bus *config, char *out, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < config->servers && used < bytes; i++)
		used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? ", " : "",
					 bus_host(config->server[i]));
}
