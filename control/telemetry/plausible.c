/* SPDX-License-Identifier: BSD-3-Clause */
#include "plausible.h"
#include <stdio.h>
#include <string.h>
#include <suanlu/config.h>

#define SENT_MAX (1ull << 53) /* a double holds each */
#define METRIC_TEXT_MAX 64

/* Everything below returns NULL, or the name of the first field that cannot be. */

static bool in_range(double value, double least, double most)
{
	return value >= least && value <= most; /* false for NaN */
}

/* Printable ASCII, no spaces: names go into logs, tables and metrics as they are. */
static bool is_text(const char *text, size_t most, char least)
{
	size_t bytes = strnlen(text, most + 1);

	if (bytes > most)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < least || text[i] > '~')
			return false;
	return true;
}

static bool is_name(const char *name)
{
	return name && name[0] != '\0' && is_text(name, SL_NAME_MAX - 1, '!');
}

static const char *check_metric(const Suanlu__Metric *metric)
{
	/* of a level that we do not know: ignored, not refused */
	if (!is_name(metric->type))
		return "metric type";
	if (!is_text(metric->format, METRIC_TEXT_MAX, ' ') ||
	    !is_text(metric->unit, METRIC_TEXT_MAX, ' ') ||
	    !is_text(metric->source, METRIC_TEXT_MAX, ' ') ||
	    !is_text(metric->statistics, METRIC_TEXT_MAX, ' '))
		return "metric text";
	return in_range(metric->value, -1e300, 1e300) ? NULL : "metric value";
}

static const char *check_latency(const Suanlu__LatencyQuantile *latency)
{
	if (!in_range(latency->quantile, 0, 1))
		return "latency quantile";
	return in_range(latency->latency_s, 0, PLAUSIBLE_TIME_S_MAX) ? NULL : "latency_s";
}

static const char *check_details(const Suanlu__ServiceLoad *load)
{
	const char *wrong = NULL;

	if (load->n_latency > PLAUSIBLE_DETAILS_MAX)
		return "number of latency quantiles";
	if (load->n_metric > PLAUSIBLE_DETAILS_MAX)
		return "number of metrics";
	for (size_t i = 0; !wrong && i < load->n_latency; i++)
		wrong = check_latency(load->latency[i]);
	for (size_t i = 0; !wrong && i < load->n_metric; i++)
		wrong = check_metric(load->metric[i]);
	return wrong;
}

static const char *check_load(const Suanlu__ServiceLoad *load)
{
	if (load->servers < 1 || load->servers > PLAUSIBLE_SERVERS_MAX)
		return "servers";
	if (!in_range(load->service_time_s, 0, PLAUSIBLE_TIME_S_MAX)) /* 0: unknown */
		return "service_time_s";
	if (load->has_service_scv_case && !in_range(load->service_scv, 0, PLAUSIBLE_SCV_MAX))
		return "service_scv";
	if (load->in_flight > PLAUSIBLE_FLOWS_MAX)
		return "in_flight";
	if (load->queued > PLAUSIBLE_FLOWS_MAX)
		return "queued";
	if (!in_range(load->arrivals_per_s, 0, PLAUSIBLE_RATE_MAX))
		return "arrivals_per_s";
	if (!in_range(load->completions_per_s, 0, PLAUSIBLE_RATE_MAX))
		return "completions_per_s";
	if (load->has_cpu_utilisation_case && !in_range(load->cpu_utilisation, 0, 1))
		return "cpu_utilisation";
	return check_details(load);
}

static const char *check_site(const Suanlu__Report *report)
{
	if (report->valid_for_ms > PLAUSIBLE_VALID_FOR_MS_MAX)
		return "valid_for_ms";
	if (!in_range(report->price_per_hour, 0, PLAUSIBLE_RATE_MAX))
		return "price_per_hour";
	if (report->pue != 0 && !in_range(report->pue, 1, 100))
		return "pue";
	if (report->n_labels > SL_LABELS_MAX)
		return "number of labels";
	for (size_t i = 0; i < report->n_labels; i++)
		if (!is_name(report->labels[i]))
			return "label";
	if (report->n_load > PLAUSIBLE_ENTRIES_MAX)
		return "number of services in load";
	if (report->n_demand > PLAUSIBLE_ENTRIES_MAX)
		return "number of services in demand";
	return report->n_path > PLAUSIBLE_ENTRIES_MAX ? "number of sites in path" : NULL;
}

static bool wrong_in(char *why, size_t bytes, const char *list, const char *name, const char *what)
{
	if (bytes > 0)
		snprintf(why, bytes, "%s %s: %s", list, is_name(name) ? name : "?", what);
	return false;
}

/* The names of one list: open addressing, and more room than a list may be long. */
struct names {
	const char *slot[2 * PLAUSIBLE_ENTRIES_MAX];
};

/* FNV-1a. Who chose names that collide would still be bounded by the list. */
static unsigned hash_of(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static bool seen_before(struct names *names, const char *name)
{
	const unsigned mask = sizeof(names->slot) / sizeof(*names->slot) - 1;
	unsigned i = hash_of(name) & mask;

	for (; names->slot[i]; i = (i + 1) & mask)
		if (strcmp(names->slot[i], name) == 0)
			return true;
	names->slot[i] = name;
	return false;
}

static bool loads_plausible(const Suanlu__Report *report, char *why, size_t bytes)
{
	struct names names = {};

	for (size_t i = 0; i < report->n_load; i++) {
		const Suanlu__ServiceLoad *load = report->load[i];
		const char *wrong = check_load(load);

		if (!is_name(load->service))
			wrong = "service name";
		else if (seen_before(&names, load->service))
			wrong = "service named twice";
		if (wrong)
			return wrong_in(why, bytes, "load", load->service, wrong);
	}
	return true;
}

static const char *check_flows(const Suanlu__ServiceDemand *demand)
{
	struct names names = {};

	if (demand->n_site > PLAUSIBLE_ENTRIES_MAX)
		return "number of sites";
	for (size_t i = 0; i < demand->n_site; i++) {
		if (!is_name(demand->site[i]->site))
			return "site name";
		if (seen_before(&names, demand->site[i]->site))
			return "site named twice";
		if (demand->site[i]->sent > SENT_MAX ||
		    demand->site[i]->closed > demand->site[i]->sent)
			return "flows sent and closed";
	}
	return NULL;
}

static bool demands_plausible(const Suanlu__Report *report, char *why, size_t bytes)
{
	struct names names = {};

	for (size_t i = 0; i < report->n_demand; i++) {
		const Suanlu__ServiceDemand *demand = report->demand[i];
		const char *wrong = NULL;

		if (!is_name(demand->service))
			wrong = "service name";
		else if (seen_before(&names, demand->service))
			wrong = "service named twice";
		else if (!in_range(demand->new_flows_per_s, 0, PLAUSIBLE_RATE_MAX))
			wrong = "new_flows_per_s";
		else
			wrong = check_flows(demand);
		if (wrong)
			return wrong_in(why, bytes, "demand", demand->service, wrong);
	}
	return true;
}

static bool paths_plausible(const Suanlu__Report *report, char *why, size_t bytes)
{
	struct names names = {};

	for (size_t i = 0; i < report->n_path; i++) {
		const Suanlu__PathDelay *path = report->path[i];
		const char *wrong = NULL;

		if (!is_name(path->site))
			wrong = "site name";
		else if (seen_before(&names, path->site))
			wrong = "site named twice";
		else if (!in_range(path->delay_s, 0, PLAUSIBLE_TIME_S_MAX))
			wrong = "delay_s";
		else if (!in_range(path->link_s, 0, PLAUSIBLE_TIME_S_MAX))
			wrong = "link_s";
		if (wrong)
			return wrong_in(why, bytes, "path", path->site, wrong);
	}
	return true;
}

static bool announcement_plausible(const Suanlu__Announcement *from, char *why, size_t bytes)
{
	const char *wrong = NULL;
	struct names names = {};

	if (!from)
		return true;
	if (from->n_offer > PLAUSIBLE_OFFERS_MAX)
		wrong = "number of services";
	else if (!is_name(from->site))
		wrong = "site name";
	else if ((from->sid4.len && from->sid4.len != 16) ||
		 (from->sid6.len && from->sid6.len != 16))
		wrong = "SID";
	else if (from->approval.len > PLAUSIBLE_APPROVAL_BYTES_MAX)
		wrong = "approval";
	for (size_t i = 0; !wrong && i < from->n_offer; i++) {
		if (!is_name(from->offer[i]->service))
			wrong = "service name";
		else if (seen_before(&names, from->offer[i]->service))
			wrong = "service named twice";
		else if (from->offer[i]->servers < 1 ||
			 from->offer[i]->servers > PLAUSIBLE_SERVERS_MAX)
			wrong = "servers";
	}
	return wrong ? wrong_in(why, bytes, "announcement", from->site, wrong) : true;
}

bool plausible(const Suanlu__Report *report, char *why, size_t why_bytes)
{
	const char *wrong = check_site(report);

	if (wrong) {
		if (why_bytes > 0)
			snprintf(why, why_bytes, "%s", wrong);
		return false;
	}
	return loads_plausible(report, why, why_bytes) &&
	       demands_plausible(report, why, why_bytes) &&
	       paths_plausible(report, why, why_bytes) &&
	       announcement_plausible(report->announcement, why, why_bytes);
}
