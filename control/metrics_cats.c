/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_cats.h"
#include "cats.h"
#include "clock.h"
#include <math.h>

struct row {
	struct evbuffer *out;
	const char *service, *site;
};

/* Texts are the site's: OpenMetrics 1.0, 5.2.1 (escaped-string). */
static void add_label(struct evbuffer *out, const char *name, const char *text)
{
	evbuffer_add_printf(out, ",%s=\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			evbuffer_add(out, "\\", 1);
		evbuffer_add(out, text, 1);
	}
	evbuffer_add(out, "\"", 1);
}

static void add_sample(void *context, const struct cats_metric *metric)
{
	const struct row *row = context;

	if (isnan(metric->value))
		return;
	evbuffer_add_printf(row->out, "suanlu_cats_metric{service=\"%s\",site=\"%s\"", row->service,
			    row->site);
	add_label(row->out, "type", metric->type);
	evbuffer_add_printf(row->out, ",level=\"%u\"", metric->level);
	add_label(row->out, "unit", metric->unit);
	add_label(row->out, "source", metric->source);
	add_label(row->out, "statistics", metric->statistics);
	evbuffer_add_printf(row->out, ",window_ms=\"%u\",by=\"%s\"} %.9g\n", metric->window_ms,
			    metric->derived ? "node" : "site", metric->value);
}

void metrics_cats(const struct control *control, struct evbuffer *out)
{
	const struct config *config = control->config;
	double now_s = clock_s();

	evbuffer_add_printf(out, "# TYPE suanlu_cats_metric gauge\n"
				 "# HELP suanlu_cats_metric What sites say, and scores from it.\n");
	for (unsigned i = 0; i < config->services; i++)
		for (unsigned k = 0; k < config->service[i].sites; k++) {
			struct row row = {out, config->service[i].name,
					  config->site[config->service[i].site[k]].name};

			cats_metrics(&control->routes, i, k, now_s, add_sample, &row);
		}
	if (!control->upward.publisher)
		return;
	evbuffer_add_printf(out,
			    "# TYPE suanlu_upward_reports counter\n"
			    "# HELP suanlu_upward_reports Of this site, to edges.\n"
			    "suanlu_upward_reports_total %lu\n"
			    "# TYPE suanlu_upward_extra_reports counter\n"
			    "# HELP suanlu_upward_extra_reports Those because load jumped.\n"
			    "suanlu_upward_extra_reports_total %lu\n",
			    (unsigned long)control->upward.sent,
			    (unsigned long)control->upward.extra);
}
