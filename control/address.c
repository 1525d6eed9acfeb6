/* SPDX-License-Identifier: BSD-3-Clause */
#include "address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

const char *address_text(const struct sockaddr_storage *address, char out[ADDRESS_TEXT])
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
	}
	return out;
}
