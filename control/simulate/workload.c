/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"
#include <stddef.h>

#define PIECE_S 0.01 /* the rate is taken as constant for so long */

static const struct scenario_trace *trace_of(const struct workload *workload)
{
	const struct scenario *scenario = workload->scenario;

	return scenario->traces ? &scenario->trace[workload->edge % scenario->traces] : NULL;
}

static double mean_work(const struct scenario *scenario, unsigned edge)
{
	const struct scenario_trace *trace;
	double sum = 0;

	if (scenario->traces == 0)
		return 1;
	trace = &scenario->trace[edge % scenario->traces];
	for (unsigned k = 0; k < trace->count; k++)
		sum += trace->work[k];
	return sum / trace->count;
}

/* Edges replay a trace from places spread over it. */
static void open_trace(struct workload *workload)
{
	const struct scenario_trace *trace = trace_of(workload);
	unsigned edges = workload->scenario->edges;

	workload->stretch = trace->count / (workload->base_per_s * trace->span_s);
	workload->next = trace->count / edges * workload->edge;
	workload->origin_s = -workload->stretch * trace->at_s[workload->next];
}

void workload_open(struct workload *workload, const struct scenario *scenario, unsigned edge,
		   uint64_t seed)
{
	double mean = 0, every_s = scenario->demand.burst_every_s;
	double bursty = scenario->demand.burst_for_s / (scenario->demand.burst_for_s + every_s);

	*workload = (struct workload){.scenario = scenario, .edge = edge};
	random_seed(&workload->random, seed, 1000 + edge);
	for (unsigned i = 0; i < scenario->edges; i++)
		mean += scenario->edge[i].weight * mean_work(scenario, i);
	workload->base_per_s = scenario->edge[edge].weight * scenario->demand.utilisation *
			       scenario_capacity_per_s(scenario) / mean;
	workload->calm = 1 / (1 + bursty * (scenario->demand.burst - 1));
	workload->burst_flip_s = every_s * random_exponential(&workload->random);
	/* scv = exp(sigma^2) - 1, mean = exp(mu + sigma^2 / 2) = 1 */
	workload->sigma = sqrt(log1p(scenario->work.scv));
	workload->mu = -workload->sigma * workload->sigma / 2;
	if (trace_of(workload) && workload->base_per_s > 0)
		open_trace(workload);
}

static double event_factor(const struct scenario *scenario, double at_s)
{
	double factor = 1, from_s = at_s - scenario->warmup_s;

	for (unsigned i = 0; i < scenario->events; i++) {
		const struct scenario_event *event = &scenario->event[i];
		if (event->site < 0 && from_s >= event->at_s && from_s < event->at_s + event->for_s)
			factor *= event->demand;
	}
	return factor;
}

static void next_piece(struct workload *workload)
{
	const struct scenario *scenario = workload->scenario;
	double at_s = workload->until_s;
	double phase = (double)workload->edge / scenario->edges;

	while (scenario->demand.burst > 1 && workload->burst_flip_s <= at_s) {
		workload->bursting = !workload->bursting;
		workload->burst_flip_s += random_exponential(&workload->random) *
					  (workload->bursting ? scenario->demand.burst_for_s
							      : scenario->demand.burst_every_s);
	}
	double wave = sin(2 * M_PI * (at_s / scenario->demand.period_s + phase));
	workload->rate_per_s = workload->base_per_s * workload->calm *
			       (workload->bursting ? scenario->demand.burst : 1) *
			       (1 + scenario->demand.swing * wave) * event_factor(scenario, at_s);
	workload->until_s = at_s + PIECE_S;
}

static double next_poisson(struct workload *workload)
{
	double left = random_exponential(&workload->random);

	for (;;) {
		double whole = workload->rate_per_s * (workload->until_s - workload->at_s);
		if (left < whole)
			break;
		left -= whole;
		workload->at_s = workload->until_s;
		next_piece(workload);
	}
	workload->at_s += left / workload->rate_per_s;
	return workload->at_s;
}

static double next_traced(struct workload *workload, double *work)
{
	const struct scenario_trace *trace = trace_of(workload);

	workload->at_s = workload->origin_s + workload->stretch * trace->at_s[workload->next];
	*work = trace->work[workload->next];
	if (++workload->next == trace->count) {
		workload->next = 0;
		workload->origin_s += workload->stretch * trace->span_s;
	}
	return workload->at_s;
}

static double draw_work(struct workload *workload)
{
	const struct scenario *scenario = workload->scenario;
	double shape = scenario->work.shape;

	switch (scenario->work.kind) {
	case WORK_LOGNORMAL:
		return exp(workload->mu + workload->sigma * random_normal(&workload->random));
	case WORK_PARETO:
		return (shape - 1) / shape * pow(random_uniform(&workload->random), -1 / shape);
	case WORK_EXPONENTIAL:
		return random_exponential(&workload->random);
	default:
		return 1;
	}
}

double workload_next(struct workload *workload, double *work)
{
	if (!(workload->base_per_s > 0))
		return INFINITY;
	if (trace_of(workload))
		return next_traced(workload, work);
	*work = draw_work(workload);
	return next_poisson(workload);
}
