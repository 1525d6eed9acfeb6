/* SPDX-License-Identifier: BSD-3-Clause */
#include "draft.h"
#include "codec.h"
#include "plausible.h"
#include <errno.h>
#include <stdlib.h>

void draft_free(struct draft *draft)
{
	free(draft->load);
	free(draft->latency);
	free(draft->latency_list);
	free(draft->metric);
	free(draft->metric_list);
	free(draft->demand);
	free(draft->flows);
	free(draft->flows_list);
	free(draft->path);
	free(draft->offer);
	free(draft->offer_list);
	free(draft->entry);
}

static size_t count_latencies(const struct sl_report *report)
{
	size_t latencies = 0;

	for (size_t i = 0; i < report->loads; i++)
		latencies += report->load[i].latencies;
	return latencies;
}

static size_t count_metrics(const struct sl_report *report)
{
	size_t metrics = 0;

	for (size_t i = 0; i < report->loads; i++)
		metrics += report->load[i].metrics;
	return metrics;
}

static size_t count_flows(const struct sl_report *report)
{
	size_t flows = 0;

	for (size_t i = 0; i < report->demands; i++)
		flows += report->demand[i].sites;
	return flows;
}

static int allocate(struct draft *draft, const struct sl_report *from)
{
	size_t latencies = count_latencies(from), metrics = count_metrics(from);
	size_t offers = from->announcement ? from->announcement->offers : 0;
	size_t flows = count_flows(from);

	/* one more of each: calloc(0) may return NULL */
	draft->load = calloc(from->loads + 1, sizeof(*draft->load));
	draft->latency = calloc(latencies + 1, sizeof(*draft->latency));
	draft->latency_list = calloc(latencies + 1, sizeof(*draft->latency_list));
	draft->metric = calloc(metrics + 1, sizeof(*draft->metric));
	draft->metric_list = calloc(metrics + 1, sizeof(*draft->metric_list));
	draft->demand = calloc(from->demands + 1, sizeof(*draft->demand));
	draft->flows = calloc(flows + 1, sizeof(*draft->flows));
	draft->flows_list = calloc(flows + 1, sizeof(*draft->flows_list));
	draft->path = calloc(from->paths + 1, sizeof(*draft->path));
	draft->offer = calloc(offers + 1, sizeof(*draft->offer));
	draft->offer_list = calloc(offers + 1, sizeof(*draft->offer_list));
	draft->entry = calloc(from->loads + from->demands + from->paths + 1, sizeof(*draft->entry));
	return draft->offer && draft->offer_list && draft->load && draft->latency &&
			       draft->latency_list && draft->metric && draft->metric_list &&
			       draft->demand && draft->flows && draft->flows_list && draft->path &&
			       draft->entry
		       ? 0
		       : -ENOMEM;
}

static void fill_head(struct draft *draft, const struct sl_report *from, uint64_t now_us)
{
	suanlu__report__init(&draft->head);
	draft->head.measured_at_us = from->measured_at_us ? from->measured_at_us : now_us;
	draft->head.valid_for_ms = from->valid_for_ms ? from->valid_for_ms : 500;
	draft->head.price_per_hour = from->price_per_hour;
	draft->head.pue = from->pue;
	draft->head.labels = (char **)from->label;
	draft->head.n_labels = from->labels;
}

static void fill_load(Suanlu__ServiceLoad *out, const struct sl_load *from)
{
	suanlu__service_load__init(out);
	out->service = (char *)from->service;
	out->servers = from->servers;
	out->service_time_s = from->service_time_s;
	if (!(from->service_scv < 0)) { /* NaN too: plausible() will say so */
		out->has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
		out->service_scv = from->service_scv;
	}
	out->in_flight = from->in_flight;
	out->queued = from->queued;
	out->arrivals_per_s = from->arrivals_per_s;
	out->completions_per_s = from->completions_per_s;
	out->arrivals = from->arrivals;
	out->completions = from->completions;
	if (!(from->cpu_utilisation < 0)) {
		out->has_cpu_utilisation_case =
			SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION;
		out->cpu_utilisation = from->cpu_utilisation;
	}
}

static void set_text(char **out, const char *text)
{
	if (text) /* otherwise protobuf's own empty one stays */
		*out = (char *)text;
}

static void fill_metric(Suanlu__Metric *out, const struct sl_metric *from)
{
	suanlu__metric__init(out);
	set_text(&out->type, from->type);
	out->level = from->level;
	set_text(&out->format, from->format);
	set_text(&out->unit, from->unit);
	set_text(&out->source, from->source);
	set_text(&out->statistics, from->statistics);
	out->window_ms = from->window_ms;
	out->value = from->value;
}

static void fill_metrics(struct draft *draft, const struct sl_report *from)
{
	size_t used = 0;

	for (size_t i = 0; i < from->loads; i++) {
		draft->load[i].metric = draft->metric_list + used;
		draft->load[i].n_metric = from->load[i].metrics;
		for (size_t j = 0; j < from->load[i].metrics; j++, used++) {
			fill_metric(&draft->metric[used], &from->load[i].metric[j]);
			draft->metric_list[used] = &draft->metric[used];
		}
	}
}

static void fill_loads(struct draft *draft, const struct sl_report *from)
{
	size_t used = 0;

	for (size_t i = 0; i < from->loads; i++) {
		const struct sl_load *load = &from->load[i];

		fill_load(&draft->load[i], load);
		draft->load[i].latency = draft->latency_list + used;
		draft->load[i].n_latency = load->latencies;
		for (size_t j = 0; j < load->latencies; j++, used++) {
			suanlu__latency_quantile__init(&draft->latency[used]);
			draft->latency[used].quantile = load->latency[j].quantile;
			draft->latency[used].latency_s = load->latency[j].latency_s;
			draft->latency_list[used] = &draft->latency[used];
		}
		draft->entry[draft->entries++] = &draft->load[i];
	}
}

static void fill_flows(struct draft *draft, const struct sl_report *from)
{
	size_t used = 0;

	for (size_t i = 0; i < from->demands; i++) {
		draft->demand[i].site = draft->flows_list + used;
		draft->demand[i].n_site = from->demand[i].sites;
		for (size_t j = 0; j < from->demand[i].sites; j++, used++) {
			suanlu__site_flows__init(&draft->flows[used]);
			draft->flows[used].site = (char *)from->demand[i].site[j].site;
			draft->flows[used].sent = from->demand[i].site[j].sent;
			draft->flows[used].closed = from->demand[i].site[j].closed;
			draft->flows_list[used] = &draft->flows[used];
		}
	}
}

static void fill_rest(struct draft *draft, const struct sl_report *from)
{
	for (size_t i = 0; i < from->demands; i++) {
		suanlu__service_demand__init(&draft->demand[i]);
		draft->demand[i].service = (char *)from->demand[i].service;
		draft->demand[i].new_flows_per_s = from->demand[i].new_flows_per_s;
		draft->demand[i].new_flows = from->demand[i].new_flows;
		draft->entry[draft->entries++] = &draft->demand[i];
	}
	for (size_t i = 0; i < from->paths; i++) {
		suanlu__path_delay__init(&draft->path[i]);
		draft->path[i].site = (char *)from->path[i].site;
		draft->path[i].delay_s = from->path[i].delay_s;
		draft->path[i].drained = from->path[i].drained;
		draft->path[i].link_s = from->path[i].link_s;
		draft->entry[draft->entries++] = &draft->path[i];
	}
}

static ProtobufCBinaryData to_bytes(const uint8_t *data, size_t bytes)
{
	return (ProtobufCBinaryData){data ? bytes : 0, (uint8_t *)data};
}

static void fill_announcement(struct draft *draft, const struct sl_announcement *from)
{
	Suanlu__Announcement *out = &draft->announcement;

	suanlu__announcement__init(out);
	out->site = (char *)from->site;
	out->sid4 = to_bytes(from->sid4, 16);
	out->sid6 = to_bytes(from->sid6, 16);
	out->approval = to_bytes(from->approval, from->approval_bytes);
	out->offer = draft->offer_list;
	out->n_offer = from->offers;
	for (size_t i = 0; i < from->offers; i++) {
		suanlu__offer__init(&draft->offer[i]);
		draft->offer[i].service = (char *)from->offer[i].service;
		draft->offer[i].servers = from->offer[i].servers;
		draft->offer_list[i] = &draft->offer[i];
	}
	draft->head.announcement = out;
}

int draft_init(struct draft *draft, const struct sl_report *report, uint64_t now_us)
{
	*draft = (struct draft){.from = report};
	if (allocate(draft, report) < 0) {
		draft_free(draft);
		return -ENOMEM;
	}
	fill_head(draft, report, now_us);
	fill_loads(draft, report);
	fill_metrics(draft, report);
	fill_rest(draft, report);
	fill_flows(draft, report);
	if (report->announcement)
		fill_announcement(draft, report->announcement);
	return 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

Suanlu__Report draft_slice(const struct draft *draft, size_t first, size_t end)
{
	const size_t demand = draft->from->loads, path = demand + draft->from->demands;
	const size_t load_end = smaller(end, demand), demand_end = smaller(end, path);
	Suanlu__Report report = draft->head;

	if (first < load_end) {
		report.load = (Suanlu__ServiceLoad **)draft->entry + first;
		report.n_load = load_end - first;
	}
	if (first < demand)
		first = demand;
	if (first < demand_end) {
		report.demand = (Suanlu__ServiceDemand **)draft->entry + first;
		report.n_demand = demand_end - first;
	}
	if (first < path)
		first = path;
	if (first < end) {
		report.path = (Suanlu__PathDelay **)draft->entry + first;
		report.n_path = end - first;
	}
	return report;
}

size_t draft_cut(const struct draft *draft, size_t first)
{
	/* field numbers up to 15: one byte each, then one or two bytes of length */
	size_t bytes =
		suanlu__report__get_packed_size(&draft->head) + 16; /* longest sequence, instance */
	size_t end = first;

	while (end < draft->entries && end - first < PLAUSIBLE_ENTRIES_MAX) {
		size_t entry = protobuf_c_message_get_packed_size(draft->entry[end]);

		bytes += 1 + (entry < 128 ? 1 : 2) + entry;
		if (bytes > CODEC_REPORT_MAX && end > first)
			break;
		end++;
	}
	return end;
}
