/* SPDX-License-Identifier: BSD-3-Clause */
/* What a router says about a packet of ours: one byte for the family, then the ICMP message. */
#include "dataplane/outer_error.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct outer_error error;
	uint8_t family, *icmp;

	if (bytes < 1)
		return 0;
	family = data[0] & 1 ? 6 : 4;
	icmp = fuzz_copy(data + 1, bytes - 1);
	if (outer_error_read(family, icmp, bytes - 1, &error)) {
		assert(error.mtu_bytes >=
		       (family == 4 ? OUTER_ERROR_MTU4_MIN : OUTER_ERROR_MTU6_MIN));
		assert(error.flow.family == 4 || error.flow.family == 6);
		assert(error.flow.protocol == IPPROTO_TCP || error.flow.protocol == IPPROTO_UDP);
		outer_error_is_ours(&error, (uint64_t)error.label << 44);
	}
	free(icmp);
	return 0;
}
