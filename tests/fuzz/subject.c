/* SPDX-License-Identifier: BSD-3-Clause */
/* A subject of the bus: what is taken must print as what it was. */
#include "control/telemetry/subject.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1), printed[SUBJECT_TEXT];
	struct subject subject;

	if (bytes)
		memcpy(text, data, bytes);
	text[bytes] = '\0';
	(void)subject_name_valid(text);
	if (subject_parse(text, &subject)) {
		assert(subject_name_valid(subject.name) && subject.part < SUBJECT_PARTS_MAX);
		subject_print(&subject, printed);
		assert(strcmp(text, printed) == 0);
	}
	free(text);
	return 0;
}
