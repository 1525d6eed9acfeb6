/* SPDX-License-Identifier: BSD-3-Clause */
/* An approval, as it comes in an announcement; and the text of one, as a file has it. */
#include "control/telemetry/approval.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = fuzz_copy(data, bytes), by[KEY_PUBLIC_BYTES], out[APPROVAL_BYTES_MAX];
	char *text = malloc(bytes + 1), printed[APPROVAL_TEXT_MAX];
	struct approval approval;
	int length;

	(void)approval_signer(copy, bytes, by);
	if (approval_open(copy, bytes, &approval) == 0) {
		assert(approval.services <= APPROVAL_SERVICES_MAX && approval.servers > 0);
		(void)approval_allows_sid(&approval, &approval.prefix);
		(void)approval_allows_service(&approval, approval.site);
	}
	if (bytes)
		memcpy(text, data, bytes);
	text[bytes] = '\0';
	length = approval_scan(text, out);
	if (length > 0) {
		uint8_t again[APPROVAL_BYTES_MAX];

		approval_print(out, (size_t)length, printed);
		assert(approval_scan(printed, again) == length &&
		       memcmp(out, again, (size_t)length) == 0);
	}
	free(text);
	free(copy);
	return 0;
}
