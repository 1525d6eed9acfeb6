/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "192.0.2.1:80" and "[2001:db8::1]:80": an address and a port as people write them
 * (RFC 3986 section 3.2.2). Pure. Used by `suanlu trace`.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

struct address {
	uint8_t family;	    /* 4 or 6 */
	uint16_t port;	    /* host order, 1..65535 */
	struct in6_addr ip; /* IPv4 in the first four bytes */
};

/* NULL, or what was expected; *out is then untouched. */
const char *address_parse(const char *text, struct address *out);
