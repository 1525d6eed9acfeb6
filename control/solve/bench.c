/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the solver takes: `bench-solver SERVICES SITES EDGES [ROUNDS]` prints one line of JSON.
 * From nothing: all services, none known before. After one report: one service, whose one site now
 * reports another backlog, from the weights it had. One thread; processor time, as other programs
 * may run.
 */
#include "solve.h"
#include "spread.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct service {
	struct solve_edge *edge;
	struct solve_site *site;
	solve_row *x;
	struct solve_problem problem;
};

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Paths of 1 to 30 ms, sites of 4 to 64 servers, demand at 30 to 90 % of what there is. */
static int invent(struct service *service, unsigned sites, unsigned edges)
{
	double capacity = 0;

	service->edge = calloc(edges, sizeof(*service->edge));
	service->site = calloc(sites, sizeof(*service->site));
	service->x = calloc(edges, sizeof(solve_row));
	if (!service->edge || !service->site || !service->x)
		return -1;
	for (unsigned j = 0; j < sites; j++) {
		service->site[j].queue = (struct queue){
			.servers = 4 + floor(60 * drand48()),
			.service_time_s = 0.005 + 0.02 * drand48(),
			.scv = 0.3 + drand48(),
			.cap = QUEUE_CAP,
		};
		capacity += queue_capacity_per_s(&service->site[j].queue);
	}
	explicit_bzero(service->x,
		       edges * sizeof(solve_row)); /* pages are there, as control's are */
	double utilisation = 0.3 + 0.6 * drand48();
	for (unsigned i = 0; i < edges; i++) {
		service->edge[i].demand_per_s = capacity * utilisation / edges;
		for (unsigned j = 0; j < sites; j++)
			service->edge[i].delay_s[j] = 0.001 + 0.029 * drand48();
	}
	service->problem = (struct solve_problem){edges, sites, service->edge, service->site};
	return 0;
}

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned services = argc > 3 ? (unsigned)atoi(argv[1]) : 0;
	unsigned sites = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
	unsigned edges = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	unsigned rounds = argc > 4 ? (unsigned)atoi(argv[4]) : 1000;
	struct service *service = calloc(services + 1, sizeof(*service));
	double *took_s = calloc(rounds + 1, sizeof(*took_s)), gap_s = 0;
	struct solve_result result;
	solve_row shares[SOLVE_EDGES_MAX];

	if (services == 0 || sites == 0 || edges == 0 || rounds == 0 || sites > SL_CANDIDATES_MAX ||
	    edges > SOLVE_EDGES_MAX || !service || !took_s) {
		fprintf(stderr, "usage: bench-solver SERVICES SITES EDGES [ROUNDS]\n");
		return 1;
	}
	srand48(1);
	for (unsigned k = 0; k < services; k++)
		if (invent(&service[k], sites, edges) < 0)
			return 1;
	double began_s = clock_s();
	for (unsigned k = 0; k < services; k++) {
		if (solve(&service[k].problem, service[k].x, &result) < 0)
			return 1;
		gap_s = fmax(gap_s, result.gap_s);
		memcpy(shares, service[k].x, edges * sizeof(solve_row));
		spread(&service[k].problem, shares);
	}
	double nothing_s = clock_s() - began_s;
	for (unsigned k = 0; k < rounds; k++) {
		struct service *s = &service[k % services];
		s->site[k % sites].queue.backlog_s = 0.01 * drand48();
		began_s = clock_s();
		if (solve(&s->problem, s->x, &result) < 0)
			return 1;
		memcpy(shares, s->x, edges * sizeof(solve_row));
		spread(&s->problem, shares);
		took_s[k] = clock_s() - began_s;
	}
	qsort(took_s, rounds, sizeof(*took_s), rising);
	printf("{\"services\": %u, \"candidates\": %u, \"edges\": %u, \"from_nothing_ms\": %.3f, "
	       "\"report_p50_us\": %.1f, \"report_p99_us\": %.1f, \"gap_us\": %.3g}\n",
	       services, sites, edges, 1e3 * nothing_s, 1e6 * took_s[rounds / 2],
	       1e6 * took_s[(unsigned)(0.99 * rounds)], 1e6 * gap_s);
	return 0;
}
