/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long paths take: `bench-overlay NODES LINKS_EACH [TRIALS]`, one link changed before each
 * trial. Prints milliseconds of processor time, one trial a line. All nodes are transit nodes.
 */
#include "overlay.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

int main(int argc, char **argv)
{
	unsigned nodes = argc > 2 ? (unsigned)atoi(argv[1]) : 0;
	unsigned each = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	unsigned trials = argc > 3 ? (unsigned)atoi(argv[3]) : 1000, links = nodes * each;
	struct overlay_link *link = calloc(links + 1, sizeof(*link));
	struct overlay_path *path = calloc(nodes + 1, sizeof(*path));
	bool *transit = calloc(nodes + 1, sizeof(*transit));
	struct overlay overlay = {nodes, links, link, transit};

	if (links == 0 || !link || !path || !transit) {
		fprintf(stderr, "usage: bench-overlay NODES LINKS_EACH [TRIALS]\n");
		return 1;
	}
	srand48(1);
	for (unsigned i = 0; i < links; i++)
		link[i] = (struct overlay_link){i / each, (unsigned)(drand48() * nodes),
						0.001 + 0.029 * drand48()};
	for (unsigned i = 0; i < nodes; i++)
		transit[i] = true;
	for (unsigned i = 0; i < trials; i++) {
		double began_ms = clock_ms();

		link[(unsigned)(drand48() * links)].delay_s = 0.001 + 0.029 * drand48();
		if (overlay_paths(&overlay, 0, path) < 0)
			return 1;
		printf("%.4f\n", clock_ms() - began_ms);
	}
	return 0;
}
