/* SPDX-License-Identifier: BSD-3-Clause */
#include "aggregate.h"
#include "telemetry/plausible.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define TIME_LEAST_S 1e-9

typedef Suanlu__ServiceLoad part_load;

static bool completes(const part_load *part)
{
	return part->completions_per_s > 0;
}

static bool any_completes(const part_load *const *part, unsigned parts)
{
	for (unsigned i = 0; i < parts; i++)
		if (completes(part[i]) && part[i]->service_time_s >= TIME_LEAST_S)
			return true;
	return false;
}

static void add(uint32_t *sum, uint32_t more, uint32_t most)
{
	*sum = more < most - *sum ? *sum + more : most;
}

/* Sums stay within what edges believe: one instance that says nonsense must not silence the site.
 */
static void add_up(const part_load *const *part, unsigned parts, struct sl_load *out)
{
	for (unsigned i = 0; i < parts; i++) {
		add(&out->servers, part[i]->servers, PLAUSIBLE_SERVERS_MAX);
		add(&out->in_flight, part[i]->in_flight, PLAUSIBLE_FLOWS_MAX);
		add(&out->queued, part[i]->queued, PLAUSIBLE_FLOWS_MAX);
		out->arrivals_per_s =
			fmin(out->arrivals_per_s + part[i]->arrivals_per_s, PLAUSIBLE_RATE_MAX);
		out->completions_per_s = fmin(out->completions_per_s + part[i]->completions_per_s,
					      PLAUSIBLE_RATE_MAX);
		out->arrivals += part[i]->arrivals;
		out->completions += part[i]->completions;
	}
}

/* Of one that does not know its service time nothing can be said, nor of one that says none. */
static double time_weight(const part_load *part, bool by_completions)
{
	if (!(part->service_time_s >= TIME_LEAST_S))
		return 0;
	return by_completions ? part->completions_per_s : part->servers / part->service_time_s;
}

static void mix_times(const part_load *const *part, unsigned parts, struct sl_load *out)
{
	const bool by_completions = any_completes(part, parts);
	double sum = 0, first = 0, second = 0;
	bool known = true;

	for (unsigned i = 0; i < parts; i++) {
		double weight = time_weight(part[i], by_completions);
		double mean_s = part[i]->service_time_s;

		if (!(weight > 0))
			continue;
		sum += weight;
		first += weight * mean_s;
		second += weight * mean_s * mean_s * (1 + part[i]->service_scv);
		known &= part[i]->has_service_scv_case ==
			 SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
	}
	out->service_scv = -1;
	if (!(sum > 0))
		return;
	out->service_time_s = first / sum;
	if (known)
		out->service_scv = fmin(
			fmax(0, second / sum / (out->service_time_s * out->service_time_s) - 1),
			PLAUSIBLE_SCV_MAX);
}

static void mix_cpu(const part_load *const *part, unsigned parts, struct sl_load *out)
{
	double servers = 0, sum = 0;

	for (unsigned i = 0; i < parts; i++) {
		if (part[i]->has_cpu_utilisation_case !=
		    SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION)
			continue;
		servers += part[i]->servers;
		sum += part[i]->servers * part[i]->cpu_utilisation;
	}
	out->cpu_utilisation = servers > 0 ? sum / servers : -1;
}

/* The part's latency at that quantile; negative: it does not say. */
static double latency_at(const part_load *part, double quantile)
{
	for (size_t i = 0; i < part->n_latency; i++)
		if (part->latency[i]->quantile == quantile)
			return part->latency[i]->latency_s;
	return -1;
}

static double latency_bound(const part_load *const *part, unsigned parts, double quantile)
{
	double most = -1;

	for (unsigned i = 0; i < parts; i++) {
		double latency_s = latency_at(part[i], quantile);

		if (latency_s < 0 && completes(part[i]))
			return -1;
		most = fmax(most, latency_s);
	}
	return most;
}

static bool has_quantile(const struct aggregate *out, double quantile)
{
	for (size_t i = 0; i < out->load.latencies; i++)
		if (out->latency[i].quantile == quantile)
			return true;
	return false;
}

static void bound_latencies(const part_load *const *part, unsigned parts, struct aggregate *out)
{
	for (unsigned i = 0; i < parts; i++)
		for (size_t k = 0; k < part[i]->n_latency; k++) {
			double quantile = part[i]->latency[k]->quantile, bound_s;

			if (out->load.latencies == AGGREGATE_LATENCIES_MAX ||
			    has_quantile(out, quantile))
				continue;
			bound_s = latency_bound(part, parts, quantile);
			if (bound_s >= 0)
				out->latency[out->load.latencies++] =
					(struct sl_latency){quantile, bound_s};
		}
	out->load.latency = out->latency;
}

static const Suanlu__Metric *find_metric(const part_load *part, const Suanlu__Metric *like)
{
	for (size_t i = 0; i < part->n_metric; i++)
		if (strcmp(part->metric[i]->type, like->type) == 0 &&
		    strcmp(part->metric[i]->unit, like->unit) == 0 &&
		    part->metric[i]->level == like->level)
			return part->metric[i];
	return NULL;
}

static bool is_amount(const char *unit)
{
	return strcmp(unit, "per_s") == 0 || strcmp(unit, "byte") == 0 || strcmp(unit, "w") == 0;
}

/* false: not all told it. */
static bool mix_metric(const part_load *const *part, unsigned parts, const Suanlu__Metric *like,
		       double *out)
{
	const bool by_completions = strcmp(like->unit, "s") == 0 && any_completes(part, parts);
	double weights = 0, sum = 0, all = 0;

	for (unsigned i = 0; i < parts; i++) {
		const Suanlu__Metric *metric = find_metric(part[i], like);
		double weight = by_completions ? part[i]->completions_per_s : part[i]->servers;

		if (!metric)
			return false;
		weights += weight;
		sum += weight * metric->value;
		all += metric->value;
	}
	if (!is_amount(like->unit) && !(weights > 0))
		return false;
	*out = is_amount(like->unit) ? all : sum / weights;
	return isfinite(*out);
}

static void mix_metrics(const part_load *const *part, unsigned parts, struct aggregate *out)
{
	for (size_t i = 0; i < part[0]->n_metric; i++) {
		const Suanlu__Metric *like = part[0]->metric[i];
		double value;

		if (out->load.metrics == AGGREGATE_METRICS_MAX || like->level > 2 ||
		    !mix_metric(part, parts, like, &value))
			continue;
		out->metric[out->load.metrics++] = (struct sl_metric){
			.type = like->type,
			.level = like->level,
			.format = "float",
			.unit = like->unit,
			.source = "aggregation",
			.statistics = like->statistics,
			.window_ms = like->window_ms,
			.value = value,
		};
	}
	out->load.metric = out->metric;
}

void aggregate(const part_load *const *part, unsigned parts, struct aggregate *out)
{
	*out = (struct aggregate){.load.service = part[0]->service};
	add_up(part, parts, &out->load);
	mix_times(part, parts, &out->load);
	mix_cpu(part, parts, &out->load);
	bound_latencies(part, parts, out);
	mix_metrics(part, parts, out);
}
