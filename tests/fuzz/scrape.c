/* SPDX-License-Identifier: BSD-3-Clause */
/* What an agent reads from a program over HTTP: metrics as text, or an ORCA load report. */
#include "control/agent/orca.h"
#include "fuzz.h"

static void each(void *context, const struct exposition_sample *sample)
{
	assert(sample->name && sample->labels <= EXPOSITION_LABELS_MAX);
	for (unsigned i = 0; i < sample->labels; i++)
		assert(sample->label[i].name && sample->label[i].value);
	++*(unsigned long *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	unsigned long samples = 0;
	struct exposition_result result;
	char *text;

	if (bytes < 1)
		return 0;
	text = malloc(bytes); /* one more than the text, as it asks for */
	memcpy(text, data + 1, bytes - 1);
	text[bytes - 1] = '\0';
	if (data[0] & 1)
		result = orca_parse(text, bytes - 1, each, &samples);
	else
		result = exposition_parse(text, bytes - 1, each, &samples);
	assert(result.samples == samples && (result.bad == 0 || data[0] & 1 || result.first_bad));
	free(text);
	return 0;
}
