/* SPDX-License-Identifier: BSD-3-Clause */
#include "via.h"
#include <arpa/inet.h>
#include <stdio.h>

static void address_text(const struct in6_addr *address, char out[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		inet_ntop(AF_INET, &address->s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
}

void via_text(const struct sl_via *via, char *out, size_t bytes)
{
	unsigned segments = via->segments < SL_SEGMENTS_MAX ? via->segments : SL_SEGMENTS_MAX;
	char address[INET6_ADDRSTRLEN];

	if (via->kind == SL_VIA_L2) {
		address_text(&via->segment[0], address);
		snprintf(out, bytes, "link %s", address);
		return;
	}
	if (via->kind == SL_VIA_VXLAN) {
		address_text(&via->segment[0], address);
		snprintf(out, bytes, "VXLAN %s VNI %u", address,
			 (unsigned)via->vni[0] << 16 | via->vni[1] << 8 | via->vni[2]);
		return;
	}
	if (via->kind != SL_VIA_SRV6 || segments == 0) {
		snprintf(out, bytes, "not reachable");
		return;
	}
	size_t used = (size_t)snprintf(out, bytes, "SRv6");
	for (unsigned i = 0; i < segments && used < bytes; i++) {
		address_text(&via->segment[i], address);
		used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? " > " : " ",
					 address);
	}
}
