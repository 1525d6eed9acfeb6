/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu.h"
#include <inttypes.h>
#include <stdio.h>

#define WINDOW_NS 1000000000ull

static int read_ticks(uint64_t *busy, uint64_t *total)
{
	uint64_t user, nice, system, idle, iowait, irq, softirq, steal;
	FILE *file = fopen("/proc/stat", "re");
	int fields;

	if (!file)
		return -1;
	fields = fscanf(file,
			"cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			" %" SCNu64 " %" SCNu64,
			&user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal);
	fclose(file);
	if (fields != 8)
		return -1;
	/* guest time is in user already; stolen time is another's work that we wait for */
	*busy = user + nice + system + irq + softirq + steal;
	*total = *busy + idle + iowait;
	return 0;
}

void cpu_sample(struct cpu *cpu, uint64_t now_ns)
{
	uint64_t busy, total;

	if (cpu->from_ns && now_ns - cpu->from_ns < WINDOW_NS)
		return;
	if (read_ticks(&busy, &total) < 0) {
		cpu->utilisation = -1;
		return;
	}
	cpu->utilisation = -1;
	if (cpu->from_ns && total > cpu->total && busy >= cpu->busy) {
		double share = (double)(busy - cpu->busy) / (double)(total - cpu->total);

		cpu->utilisation = share < 1 ? share : 1; /* iowait can run backwards */
	}
	cpu->busy = busy;
	cpu->total = total;
	cpu->from_ns = now_ns;
}
