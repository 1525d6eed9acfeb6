/* SPDX-License-Identifier: BSD-3-Clause */
/* The ready mappings. Names are those that the exporters document; tests/data/scrapes shows them.
 */
#include "mapping_ready.h"
#include <stddef.h>
#include <string.h>

/*
 * vLLM, docs/usage/metrics: V1 names first, then those of V0. Early ones (0.5 as it was recorded)
 * tell the whole latency only: of it requests run for as large a part as they are of all (Little
 * 1961).
 */
static const struct mapping_line vllm[] = {
	{"in_flight", "vllm:num_requests_running"},
	{"queued", "vllm:num_requests_waiting"},
	{"service_time_s", "rate(vllm:request_inference_time_seconds_sum) / "
			   "rate(vllm:request_inference_time_seconds_count) or "
			   "(rate(vllm:e2e_request_latency_seconds_sum) - "
			   "rate(vllm:time_in_queue_requests_sum)) / "
			   "rate(vllm:e2e_request_latency_seconds_count) or "
			   "(rate(vllm:e2e_request_latency_seconds_sum) - "
			   "rate(vllm:request_queue_time_seconds_sum)) / "
			   "rate(vllm:e2e_request_latency_seconds_count) or "
			   "rate(vllm:e2e_request_latency_seconds_sum) / "
			   "rate(vllm:e2e_request_latency_seconds_count) * "
			   "vllm:num_requests_running / "
			   "(vllm:num_requests_running + vllm:num_requests_waiting) or "
			   "rate(vllm:e2e_request_latency_seconds_sum) / "
			   "rate(vllm:e2e_request_latency_seconds_count)"},
	{"completions", "total(vllm:request_success_total)"},
	{"completions_per_s", "rate(vllm:request_success_total)"},
	{"arrivals", "total(vllm:request_success_total) + vllm:num_requests_running + "
		     "vllm:num_requests_waiting"},
	{"kv_cache_usage", "max(vllm:kv_cache_usage_perc) or max(vllm:gpu_cache_usage_perc)"},
	{"generation_tokens_per_s", "rate(vllm:generation_tokens_total)"},
	{"time_to_first_token_s", "rate(vllm:time_to_first_token_seconds_sum) / "
				  "rate(vllm:time_to_first_token_seconds_count)"},
	{NULL, NULL},
};

/*
 * Triton, user_guide/metrics: durations add up over requests, so their rise per second is how
 * many are there (Little 1961)
 */
static const struct mapping_line triton[] = {
	{"in_flight", "(rate(nv_inference_request_duration_us) - "
		      "rate(nv_inference_queue_duration_us)) / 1000000"},
	{"queued", "nv_inference_pending_request_count or "
		   "rate(nv_inference_queue_duration_us) / 1000000"},
	{"service_time_s", "(rate(nv_inference_request_duration_us) - "
			   "rate(nv_inference_queue_duration_us)) / 1000000 / "
			   "rate(nv_inference_request_success)"},
	{"completions", "total(nv_inference_request_success) + total(nv_inference_request_failure) "
			"or total(nv_inference_request_success)"},
	{"completions_per_s", "rate(nv_inference_request_success)"},
	{"gpu_utilisation", "avg(nv_gpu_utilization)"},
	{"gpu_memory_used", "nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes"},
	{NULL, NULL},
};

/* dcgm-exporter, etc/default-counters.csv: utilisation is in percent, memory in MiB */
static const struct mapping_line dcgm[] = {
	{"gpu_utilisation", "avg(DCGM_FI_DEV_GPU_UTIL) / 100"},
	{"gpu_engine_active", "avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE)"},
	{"gpu_memory_used", "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"},
	{"gpu_power_w", "DCGM_FI_DEV_POWER_USAGE"},
	{"gpu_temperature_max_c", "max(DCGM_FI_DEV_GPU_TEMP)"},
	{"gpus", "count(DCGM_FI_DEV_GPU_UTIL)"},
	{NULL, NULL},
};

static const struct mapping_line node[] = {
	{"cpu_utilisation", "1 - (rate(node_cpu_seconds_total{mode=\"idle\"}) + "
			    "rate(node_cpu_seconds_total{mode=\"iowait\"})) / "
			    "rate(node_cpu_seconds_total)"},
	{"load1", "node_load1"},
	{"memory_used", "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"},
	{"cpu_pressure", "rate(node_pressure_cpu_waiting_seconds_total)"},
	{"memory_pressure", "rate(node_pressure_memory_waiting_seconds_total)"},
	{"runqueue_s_per_s", "rate(node_schedstat_waiting_seconds_total)"},
	{NULL, NULL},
};

/* Envoy, cluster statistics; times in milliseconds. select: {envoy_cluster_name: ...} */
static const struct mapping_line envoy[] = {
	{"in_flight", "envoy_cluster_upstream_rq_active"},
	{"queued", "envoy_cluster_upstream_rq_pending_active"},
	{"service_time_s", "rate(envoy_cluster_upstream_rq_time_sum) / "
			   "rate(envoy_cluster_upstream_rq_time_count) / 1000"},
	{"arrivals", "total(envoy_cluster_upstream_rq_total)"},
	{"completions", "total(envoy_cluster_upstream_rq_completed) or "
			"total(envoy_cluster_upstream_rq_time_count)"},
	{"arrivals_per_s", "rate(envoy_cluster_upstream_rq_total)"},
	{"completions_per_s", "rate(envoy_cluster_upstream_rq_completed) or "
			      "rate(envoy_cluster_upstream_rq_time_count)"},
	{"healthy_members", "envoy_cluster_membership_healthy"},
	{NULL, NULL},
};

/*
 * ORCA, xds.data.orca.v3.OrcaLoadReport as JSON. It tells no connections: how many of the servers
 * are busy is the utilisation law, in flight = utilisation x servers = rate x service time
 */
static const struct mapping_line orca[] = {
	{"in_flight", "max(application_utilization) * servers or max(cpu_utilization) * servers"},
	{"service_time_s", "max(application_utilization) * servers / max(rps_fractional) or "
			   "max(cpu_utilization) * servers / max(rps_fractional)"},
	{"completions_per_s", "max(rps_fractional)"},
	{"cpu_utilisation", "max(cpu_utilization)"},
	{"application_utilisation", "max(application_utilization)"},
	{"memory_utilisation", "max(mem_utilization)"},
	{"errors_per_s", "max(eps)"},
	{NULL, NULL},
};

static const struct {
	const char *name;
	const struct mapping_line *line;
} ready[] = {{"vllm", vllm}, {"triton", triton}, {"dcgm", dcgm},
	     {"node", node}, {"envoy", envoy},	 {"orca", orca}};

static int find(const char *name)
{
	for (unsigned i = 0; i < sizeof(ready) / sizeof(*ready); i++)
		if (strcmp(ready[i].name, name) == 0)
			return (int)i;
	return -1;
}

const char *mapping_ready(const char *name)
{
	int i = find(name);

	return i < 0 ? NULL : ready[i].name;
}

const struct mapping_line *mapping_ready_lines(const char *name)
{
	int i = find(name);

	return i < 0 ? NULL : ready[i].line;
}
