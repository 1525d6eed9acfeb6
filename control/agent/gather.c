/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"
#include "../telemetry/plausible.h"
#include <math.h>

#define TOTAL_MAX 0x1p62
#define METRIC_MAX 1e300

static void add_metric(struct report_load *out, struct sl_metric metric)
{
	if (out->metrics == REPORT_METRICS_MAX || !(fabs(metric.value) <= METRIC_MAX))
		return;
	metric.format = "float";
	out->metric[out->metrics++] = metric;
}

static void add_measured(struct report_load *out, const char *type, const char *unit,
			 const char *source, double value)
{
	if (value >= 0)
		add_metric(out, (struct sl_metric){.type = type,
						   .unit = unit,
						   .source = source,
						   .statistics = "mean",
						   .window_ms = 1000,
						   .value = value});
}

void gather_watched(struct report_load *out, const struct meter_load *load, uint32_t servers,
		    bool timed, const struct gathered_host *host)
{
	static const char measured[] = "directly measured", estimated[] = "estimation";

	*out = (struct report_load){
		.load = *load, .servers = servers, .cpu_utilisation = host->cpu_utilisation};
	/* thousands of connections that stay for days: nobody knows how long they are served */
	if (!(load->service_time_s <= PLAUSIBLE_TIME_S_MAX))
		out->load.service_time_s = 0;
	if (!(load->service_scv <= PLAUSIBLE_SCV_MAX))
		out->load.service_scv = PLAUSIBLE_SCV_MAX;
	if (load->sojourn_s > 0)
		add_measured(out, "delay_raw", "s", measured, load->sojourn_s);
	if (out->load.service_time_s > 0)
		add_measured(out, "compute_delay", "s", timed ? measured : estimated,
			     out->load.service_time_s);
	if (load->requests_per_s > 0)
		add_measured(out, "requests_per_s", "per_s", measured, load->requests_per_s);
	add_measured(out, "compute_cpu", "none", measured, host->cpu_utilisation);
	add_measured(out, "compute_cpu_pressure", "none", measured,
		     host->pressure->share[PRESSURE_CPU]);
	add_measured(out, "memory_pressure", "none", measured,
		     host->pressure->share[PRESSURE_MEMORY]);
	add_measured(out, "compute_runqueue_delay", "s", measured, host->runqueue_s);
}

/* The value, if there is one and it can be; else `unknown`. */
static double known(const struct reading *reading, enum mapping_field field, double most,
		    double unknown)
{
	double value = reading->field[field];

	return value >= 0 && value <= most ? value : unknown; /* NaN is neither */
}

/*
 * NaN: not known, and an endpoint that should tell must not pass for idle. Where none should, or it
 * does not now, it is the rate times the service time (Little 1961).
 */
static double in_flight_of(const struct reading *reading)
{
	double told = known(reading, FIELD_IN_FLIGHT, PLAUSIBLE_FLOWS_MAX, NAN);
	double by_rate = known(reading, FIELD_SERVICE_TIME_S, PLAUSIBLE_TIME_S_MAX, NAN) *
			 known(reading, FIELD_COMPLETIONS_PER_S, PLAUSIBLE_RATE_MAX, NAN);

	if (!isnan(told))
		return told;
	if (by_rate <= PLAUSIBLE_FLOWS_MAX)
		return by_rate;
	return reading->wants_in_flight || isnan(reading->field[FIELD_SERVICE_TIME_S]) ? NAN : 0;
}

void gather_more(struct report_load *out, const struct reading *reading)
{
	double cpu = known(reading, FIELD_CPU_UTILISATION, INFINITY, -1);

	/* ORCA's and cgroups' may exceed 1 */
	if (cpu >= 0)
		out->cpu_utilisation = fmin(cpu, 1);
	for (unsigned i = 0; i < reading->metrics; i++)
		add_metric(out, reading->metric[i]);
}

void gather_said(struct report_load *out, const struct sl_load *said)
{
	*out = (struct report_load){
		.load =
			{
				.in_flight = said->in_flight,
				.queued = said->queued,
				.service_time_s = said->service_time_s,
				.service_scv = said->service_scv,
				.arrivals_per_s = said->arrivals_per_s,
				.completions_per_s = said->completions_per_s,
				.arrivals = said->arrivals,
				.completions = said->completions,
			},
		.servers = said->servers,
		.cpu_utilisation = said->cpu_utilisation,
	};
}

bool gather_scraped(struct report_load *out, const struct reading *reading, uint32_t servers)
{
	double in_flight = in_flight_of(reading);
	double queued = known(reading, FIELD_QUEUED, PLAUSIBLE_FLOWS_MAX, 0);

	*out = (struct report_load){.cpu_utilisation = -1};
	out->servers = (uint32_t)fmax(
		1, rint(known(reading, FIELD_SERVERS, PLAUSIBLE_SERVERS_MAX, servers)));
	if (isnan(in_flight))
		return false;
	/* what it calls running beyond what it can work on at the same time, waits */
	if (in_flight > out->servers) {
		queued += in_flight - out->servers;
		in_flight = out->servers;
	}
	out->load = (struct meter_load){
		.in_flight = (uint32_t)lrint(in_flight),
		.queued = (uint32_t)lrint(fmin(queued, PLAUSIBLE_FLOWS_MAX)),
		.service_time_s = known(reading, FIELD_SERVICE_TIME_S, PLAUSIBLE_TIME_S_MAX, 0),
		.service_scv = known(reading, FIELD_SERVICE_SCV, PLAUSIBLE_SCV_MAX, -1),
		.arrivals_per_s = known(reading, FIELD_ARRIVALS_PER_S, PLAUSIBLE_RATE_MAX, 0),
		.completions_per_s = known(reading, FIELD_COMPLETIONS_PER_S, PLAUSIBLE_RATE_MAX, 0),
		.arrivals = (uint64_t)known(reading, FIELD_ARRIVALS, TOTAL_MAX, 0),
		.completions = (uint64_t)known(reading, FIELD_COMPLETIONS, TOTAL_MAX, 0),
	};
	if (out->load.service_time_s > 0)
		add_metric(out, (struct sl_metric){.type = "compute_delay",
						   .unit = "s",
						   .source = "directly measured",
						   .statistics = "mean",
						   .window_ms = 10000,
						   .value = out->load.service_time_s});
	gather_more(out, reading);
	return true;
}
