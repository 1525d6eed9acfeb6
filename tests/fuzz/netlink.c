/* SPDX-License-Identifier: BSD-3-Clause */
/* What arrives on a netlink socket, run through libmnl as netlink.c does. */
#include "dataplane/netlink_parse.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	void *message = fuzz_copy(data, bytes);
	struct netlink_route route = {};
	struct netlink_neighbour neighbour = {};
	struct netlink_link link = {};

	if (netlink_parse_sound(message, bytes)) {
		mnl_cb_run(message, bytes, 0, 0, netlink_parse_route, &route);
		mnl_cb_run(message, bytes, 0, 0, netlink_parse_neighbour, &neighbour);
		mnl_cb_run(message, bytes, 0, 0, netlink_parse_link, &link);
		if (bytes)
			netlink_parse_change(message);
	}
	free(message);
	return 0;
}
