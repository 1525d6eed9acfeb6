/* SPDX-License-Identifier: BSD-3-Clause */
#include "cats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCORE_MAX 10.0
#define DELAY_MAX_S 0.1
#define TIMES_MAX 5

static const char measured[] = "directly measured";

struct teller {
	cats_each *each;
	void *context;
};

double cats_score(double value, double best, double worst)
{
	double part = worst > best ? (worst - value) / (worst - best) : value <= best;

	if (isnan(value) || isnan(best))
		return NAN;
	return value < INFINITY ? SCORE_MAX * fmin(fmax(part, 0), 1) : 0; /* also if all are */
}

static void tell(const struct teller *teller, const char *type, const char *unit,
		 const char *source, const char *statistics, double value)
{
	teller->each(teller->context, &(struct cats_metric){.type = type,
							    .format = "float",
							    .unit = unit,
							    .source = source,
							    .statistics = statistics,
							    .value = value});
}

static void tell_latency(const struct teller *teller, const Suanlu__LatencyQuantile *latency)
{
	char type[32];

	snprintf(type, sizeof(type), "latency_p%g", latency->quantile * 100);
	tell(teller, type, "s", measured, "", latency->latency_s);
}

/* The fields that routes are computed from. */
static void tell_load(const struct teller *teller, const Suanlu__ServiceLoad *load)
{
	tell(teller, "servers", "none", "nominal", "cur", load->servers);
	tell(teller, "in_flight", "none", measured, "cur", load->in_flight);
	tell(teller, "queued", "none", measured, "cur", load->queued);
	if (load->service_time_s > 0)
		tell(teller, "service_time", "s", measured, "mean", load->service_time_s);
	if (load->has_service_scv_case == SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV)
		tell(teller, "service_scv", "none", measured, "mean", load->service_scv);
	tell(teller, "arrivals_per_s", "per_s", measured, "mean", load->arrivals_per_s);
	tell(teller, "completions_per_s", "per_s", measured, "mean", load->completions_per_s);
	tell(teller, "arrivals", "none", measured, "cur", (double)load->arrivals);
	tell(teller, "completions", "none", measured, "cur", (double)load->completions);
	if (load->has_cpu_utilisation_case ==
	    SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION)
		tell(teller, "cpu_utilisation", "none", measured, "mean", load->cpu_utilisation);
	for (size_t i = 0; i < load->n_latency; i++)
		tell_latency(teller, load->latency[i]);
}

static bool same_kind(const Suanlu__Metric *a, const Suanlu__Metric *b)
{
	return a->level == b->level && a->window_ms == b->window_ms &&
	       strcmp(a->type, b->type) == 0 && strcmp(a->unit, b->unit) == 0 &&
	       strcmp(a->source, b->source) == 0 && strcmp(a->statistics, b->statistics) == 0;
}

/* Two samples of the same labels would spoil /metrics for whoever reads all of it. */
static bool said_before(const Suanlu__ServiceLoad *load, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (same_kind(load->metric[i], load->metric[index]))
			return true;
	return false;
}

static void tell_said(const struct teller *teller, const Suanlu__ServiceLoad *load)
{
	for (size_t i = 0; i < load->n_metric; i++) {
		const Suanlu__Metric *m = load->metric[i];

		if (m->level > 2 || said_before(load, i))
			continue;
		teller->each(teller->context, &(struct cats_metric){.type = m->type,
								    .format = m->format,
								    .unit = m->unit,
								    .source = m->source,
								    .statistics = m->statistics,
								    .level = m->level,
								    .window_ms = m->window_ms,
								    .value = m->value});
	}
}

static void tell_score(const struct teller *teller, const char *type, unsigned level, double score)
{
	if (isnan(score))
		return;
	teller->each(teller->context, &(struct cats_metric){.type = type,
							    .format = "uint",
							    .unit = "none",
							    .source = "normalization",
							    .statistics = "cur",
							    .level = level,
							    .value = rint(score),
							    .derived = true});
}

static double total_s(const struct routes *routes, unsigned service, unsigned k)
{
	const struct state *state = routes->state;

	return state->site[state->config->service[service].site[k]].delay_s +
	       routes->service[service].response_s[k];
}

static double best_total_s(const struct routes *routes, unsigned service)
{
	double best_s = NAN; /* fmin() takes the other one */

	for (unsigned k = 0; k < routes->state->config->service[service].sites; k++)
		best_s = fmin(best_s, total_s(routes, service, k));
	return best_s;
}

static void tell_scores(const struct teller *teller, const struct routes *routes, unsigned service,
			unsigned k)
{
	const struct config_service *s = &routes->state->config->service[service];
	const struct estimate *e = &routes->state->service[service].member[k].estimate;
	const double delay_s = routes->state->site[s->site[k]].delay_s;
	const double service_s = e->service_time_s > 0 ? e->service_time_s : NAN;
	const double best_s = best_total_s(routes, service);
	const double compute = cats_score(e->arrivals_per_s * service_s / e->servers, 0, 1);
	const double communication =
		cats_score(delay_s, 0, isfinite(s->max_delay_s) ? s->max_delay_s : DELAY_MAX_S);
	const double response = cats_score(routes->service[service].response_s[k], service_s,
					   TIMES_MAX * service_s);

	tell_score(teller, "compute_norm", 1, compute);
	tell_score(teller, "communication_norm", 1, communication);
	tell_score(teller, "service_norm", 1, response);
	tell_score(teller, "composed_norm", 1,
		   cats_score(total_s(routes, service, k), best_s, TIMES_MAX * best_s));
	tell_score(teller, "norm_fi", 2, (compute + communication + response) / 3);
}

void cats_metrics(const struct routes *routes, unsigned service, unsigned k, double now_s,
		  cats_each *each, void *context)
{
	const struct state_member *member = &routes->state->service[service].member[k];
	const struct teller teller = {each, context};

	if (!member->said)
		return;
	tell_load(&teller, member->said);
	tell_said(&teller, member->said);
	if (estimate_state(&member->estimate, now_s) == ESTIMATE_FRESH)
		tell_scores(&teller, routes, service, k);
}
