/* SPDX-License-Identifier: BSD-3-Clause */
#include "address.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

/* Digits only: strtoul would take signs, spaces and 0x. */
static const char *port_parse(const char *text, uint16_t *port)
{
	unsigned long value = 0;

	if (*text == '\0')
		return "expected a port after the ':'";
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return "expected a port number, digits only";
		value = value * 10 + (unsigned long)(*text - '0');
		if (value > 65535)
			return "expected a port of 1..65535";
	}
	if (value == 0)
		return "expected a port of 1..65535";
	*port = (uint16_t)value;
	return NULL;
}

const char *address_parse(const char *text, struct address *out)
{
	struct address address = {0};
	char host[INET6_ADDRSTRLEN];
	bool bracket = *text == '[';
	const char *start = text + bracket;
	const char *end = bracket ? strchr(start, ']') : strrchr(start, ':');

	if (!end)
		return bracket ? "expected a ']' after the address"
			       : "expected ADDRESS:PORT or [IPV6]:PORT";
	if ((size_t)(end - start) >= sizeof(host))
		return "expected an IP address, this is too long";
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	if (bracket && end[1] != ':')
		return "expected ':' and a port after the ']'";
	if (!bracket && strchr(host, ':'))
		return "expected an IPv6 address in brackets: [ADDRESS]:PORT";
	address.family = bracket ? 6 : 4;
	if (inet_pton(bracket ? AF_INET6 : AF_INET, host, &address.ip) != 1)
		return bracket ? "expected an IPv6 address in the brackets"
			       : "expected an IPv4 address before the ':'";
	const char *wrong = port_parse(end + 1 + bracket, &address.port);
	if (!wrong)
		*out = address;
	return wrong;
}
