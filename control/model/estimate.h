/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of one service at one site, from its reports and from what the edges sent.
 *
 * Reports carry totals, so rates are taken over windows of our choosing and lost reports
 * cost nothing. `background` is what arrives at the site without having been sent by any
 * known edge: reported arrivals minus the edges' share. It follows a surge that cannot be
 * chance within a report or two, averages Poisson noise over seconds, and what is left
 * counts only as far as it stands out of that noise. Every input has an age: past its validity
 * the load is unknown (ESTIMATE_SILENT). Pure; now_s is any monotonic clock. Called by control.
 */
#pragma once

#include "queue.h"
#include <stdbool.h>
#include <stdint.h>
#include <suanlu/telemetry.pb-c.h>

/*
 * Erlang-C is of sites that are left to chance. Edges that choose by queues (the better of two
 * draws, backlog in the marginal) even these out: what waits is about this part of it.
 */
#define ESTIMATE_EVENED 0.3

enum estimate_state {
	ESTIMATE_NEVER,	 /* no report yet */
	ESTIMATE_FRESH,	 /* last report within its validity */
	ESTIMATE_SILENT, /* reports stopped: neither load nor life is known */
};

struct estimate {
	uint32_t servers_max; /* configured bound: the site's claim is cut to it */
	double valid_until_s;
	double last_report_s; /* negative: never */
	double measured_at_s; /* of the last report, on our clock */
	/* from the last report */
	uint32_t servers, in_flight, queued;
	double service_time_s; /* mean over the last flows; 0: not known yet */
	double scv_service;    /* smoothed; 1 until a site says otherwise */
	/* rates; they mean nothing unless fresh */
	uint64_t arrivals_total, completions_total;
	double arrivals_per_s, background_per_s; /* smoothed */
	double flows;				 /* in flight and queued, smoothed */
	double inflow_per_s; /* set by its owner: what goes there now; negative: as reported */
	double ahead;	     /* so too: flows that are on their way there beyond that rate */
	/* by what edges counted (flows.h) */
	double counted;	     /* flows there; means nothing if counted_at_s is negative */
	double counted_at_s; /* in site time; negative: not counted */
	double reported_s;   /* mean service time as reported, whatever counts say; 0: unknown */
	unsigned returns;    /* from silences */
	double slowed_at_s;  /* counts set the service time then; negative: never */
	/* bookkeeping of estimate.c */
	double service_flows;		  /* how many are in the mean service time */
	double sent_per_s;		  /* at the last report */
	double window_s, window_arrivals; /* since the rates were last moved */
	double excess_per_s;		  /* arrivals nobody sent, signed */
	double excess_weight_s;		  /* how many seconds its mean is worth */
};

void estimate_init(struct estimate *estimate, uint32_t servers_max);

/* Another configured bound; what is known stays. */
void estimate_bound(struct estimate *estimate, uint32_t servers_max);

/*
 * A verified report about this service arrived. sent_per_s: what all known edges together
 * have been sending this service to this site up to the measurement, averaged over about the
 * time between two reports. A report measured before the last one changes nothing.
 */
void estimate_report(struct estimate *estimate, const Suanlu__ServiceLoad *load, double now_s,
		     double measured_at_s, double valid_for_s, double sent_per_s);

enum estimate_state estimate_state(const struct estimate *estimate, double now_s);

/*
 * The queue to solve with now: backlog rolled forward over the report's age, none if not fresh.
 * Without a known service time every site has the same nominal one: then servers decide.
 */
struct queue estimate_queue(const struct estimate *estimate, double now_s);

/*
 * Flows at the site now: the reported number and the counted one, each moved over its age and
 * weighed by it. Servers that are free fill towards the offered load as fast as flows end; a queue
 * grows by what comes and drains by what all servers finish. queue: of estimate_queue; its
 * backlog_s is not used.
 */
double estimate_flows_now(const struct estimate *estimate, const struct queue *queue, double now_s);

/* Counts show that the site works otherwise than it said: believed until reports are of later. */
void estimate_slowed(struct estimate *estimate, double service_time_s, double now_s);

/* Nothing shows that any more: by this part back to what is reported. */
void estimate_recovers(struct estimate *estimate, double part);

/*
 * The wait that one more flow meets there, of the flows predicted now and how wrong that may be:
 * E max(0, N + 1 - servers) / capacity for normal N.
 */
double estimate_wait_s(const struct estimate *estimate, const struct queue *queue, double now_s);

/* Mean response as the site's reports have it, by Little's law; NaN: nothing arrives. */
double estimate_response_s(const struct estimate *estimate);
