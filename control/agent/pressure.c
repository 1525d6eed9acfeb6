/* SPDX-License-Identifier: BSD-3-Clause */
#include "pressure.h"
#include <inttypes.h>
#include <stdio.h>

#define WINDOW_NS 1000000000ull

/* "some": at least one task waited. */
static int read_total(const char *file, uint64_t *total_us)
{
	FILE *stream = fopen(file, "re");
	int fields;

	if (!stream)
		return -1;
	fields = fscanf(stream, "some avg10=%*f avg60=%*f avg300=%*f total=%" SCNu64, total_us);
	fclose(stream);
	return fields == 1 ? 0 : -1;
}

void pressure_sample(struct pressure *pressure, uint64_t now_ns)
{
	static const char *const file[PRESSURES] = {"/proc/pressure/cpu", "/proc/pressure/memory"};
	const bool first = pressure->from_ns == 0;
	const uint64_t span_ns = now_ns - pressure->from_ns;

	if (!first && span_ns < WINDOW_NS)
		return;
	for (unsigned i = 0; i < PRESSURES; i++) {
		uint64_t total_us = 0;
		double share = -1;

		if (read_total(file[i], &total_us) == 0 && !first)
			share = (double)(total_us - pressure->total_us[i]) * 1e3 / (double)span_ns;
		pressure->share[i] = share < 1 ? share : 1;
		pressure->total_us[i] = total_us;
	}
	pressure->from_ns = now_ns;
}
