/* SPDX-License-Identifier: BSD-3-Clause */
/* A message on dataplane.sock, as messages.c and routes.c check it before they read it. */
#include "dataplane/route_check.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_msg_header *header = fuzz_copy(data, bytes);
	char field[SL_NAME_MAX] = "";

	if (bytes >= sizeof *header)
		header->bytes = bytes; /* a fuzzer that must find this first finds little else */
	if (route_check_header(header, bytes, field) == SL_ACK_DONE) {
		const struct sl_msg_service *service = (void *)header;
		const struct sl_msg_withdraw *withdraw = (void *)header;
		const struct sl_msg_path *path = (void *)header;
		const struct sl_msg_node *node = (void *)header;
		if (route_check_service(service, bytes, field) == SL_ACK_DONE)
			for (uint32_t i = 0; i < service->candidates; i++)
				assert(strlen(service->candidate[i].site) < SL_NAME_MAX);
		if (route_check_withdraw(withdraw, bytes, field) == SL_ACK_DONE)
			assert(strlen(withdraw->service) < SL_NAME_MAX);
		if (route_check_node(node, bytes, field) == SL_ACK_DONE)
			assert(node->sids <= SL_SIDS_MAX && node->vnis <= SL_VNIS_MAX);
		if (route_check_path(path, bytes, field) == SL_ACK_DONE)
			assert(strlen(path->name.end) < SL_NAME_MAX);
	}
	assert(memchr(field, 0, sizeof field));
	free(header);
	return 0;
}
