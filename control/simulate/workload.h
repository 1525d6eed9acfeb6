/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of one edge: when they come and how much work they are (mean 1).
 *
 * Arrivals are a Poisson process whose rate moves (a sinusoid, bursts that come and go: an MMPP,
 * events of the scenario), by the time change e = integral of the rate, e ~ Exp(1); or a trace,
 * replayed. They depend on the seed and the edge alone, not on what is done with them.
 */
#pragma once

#include "random.h"
#include "scenario.h"

struct workload {
	const struct scenario *scenario;
	unsigned edge;
	struct random random;
	double at_s;	   /* of the last request */
	double base_per_s; /* mean rate */
	double rate_per_s; /* until until_s */
	double until_s;
	double burst_flip_s; /* when a burst begins or ends next */
	bool bursting;
	double calm; /* rate outside bursts, of the mean */
	/* traces */
	unsigned next;
	double origin_s, stretch; /* simulated = origin + stretch x trace's */
	double sigma, mu;	  /* of the logarithm of log-normal work */
};

void workload_open(struct workload *workload, const struct scenario *scenario, unsigned edge,
		   uint64_t seed);

/* The next request: returns its time, rising. */
double workload_next(struct workload *workload, double *work);
