/* SPDX-License-Identifier: BSD-3-Clause */
#include "flows.h"
#include <math.h>

#define COMPARED_MOST 10  /* reports that the base reaches back */
#define COMPARED_BEFORE 3 /* reports that a base of nothing is worth at the start */
#define AROUND 2	  /* ticks */
#define SIGMAS 5.0	  /* about where a difference stops to be chance */
#define RARE 3.0	  /* added to a count's variance */
#define SPEED_MOST 400.0  /* then the window begins to forget */
#define SURE 3.0	  /* deviations */
#define SPEED_RATIO 1.5	  /* smaller changes are left to reports */
#define SPEED_SPREAD 10.0
#define IDLE_S 2.0
#define RELAX_S 5.0 /* a speed that nothing can confirm is forgotten */

void flows_count(struct flows *flows, struct flows_edge *edge, double at_s, double path_s,
		 uint64_t sent, uint64_t closed)
{
	double elapsed_s = at_s - edge->at_s, transit = 0;

	flows->open += (double)sent - (double)closed;
	flows->closed += (double)closed;
	if (edge->at_s > 0 && elapsed_s > 0)
		transit = (double)sent * fmin(1, 2 * path_s / elapsed_s) +
			  edge->per_s * fmax(0, 2 * path_s - elapsed_s);
	flows->transit += transit - edge->transit;
	edge->transit = transit;
	edge->per_s = elapsed_s > 0 ? (double)sent / elapsed_s : 0;
	edge->at_s = at_s;
}

static void remember(struct flows *flows, double at_s)
{
	unsigned at = flows->ticks++ % FLOWS_PAST;

	flows->past[at].at_s = at_s;
	flows->past[at].present = flows->open - flows->transit;
}

/*
 * Between the ticks around that time, and how much changed about then: counts of other edges are
 * some older. False: not remembered.
 */
static bool recall(const struct flows *flows, double at_s, double *present, double *range)
{
	unsigned known = flows->ticks < FLOWS_PAST ? flows->ticks : FLOWS_PAST;
	double least = INFINITY, most = -INFINITY;

	for (unsigned i = 1; i < known; i++) {
		unsigned after = (flows->ticks - i) % FLOWS_PAST;
		unsigned before = (flows->ticks - i - 1) % FLOWS_PAST;
		double from_s = flows->past[before].at_s, step_s = flows->past[after].at_s - from_s;
		double change = flows->past[after].present - flows->past[before].present;

		if (!(step_s > 0) || at_s > from_s + (1 + AROUND) * step_s)
			continue; /* later */
		if (at_s < from_s - AROUND * step_s)
			break; /* before */
		least = fmin(least, fmin(flows->past[after].present, flows->past[before].present));
		most = fmax(most, fmax(flows->past[after].present, flows->past[before].present));
		if (at_s >= from_s && (at_s < from_s + step_s || i == 1))
			*present = flows->past[before].present +
				   change * fmin(1, (at_s - from_s) / step_s);
	}
	*range = most - least;
	return isfinite(*range);
}

void flows_compare(struct flows *flows, const struct estimate *estimate)
{
	double reported = (double)estimate->in_flight + estimate->queued;
	double present = NAN, range;

	if (!recall(flows, estimate->measured_at_s, &present, &range) || !isfinite(present))
		return;
	/* What was sent into a silence may be lost: the base begins anew. */
	if (estimate->returns != flows->returns) {
		flows->least = flows->most = (struct flows_work){0};
		flows->returns = estimate->returns;
		flows->compared = 0;
		flows->base = reported - present;
	}
	if (flows->compared < COMPARED_MOST)
		flows->compared++;
	double off = reported - present - flows->base;
	double noise = flows->transit + RARE + range * range;
	double squares = off * off / (SIGMAS * SIGMAS * noise);
	double power = squares * squares;
	double jump = isfinite(power) ? power / (power + 1) : 1;
	flows->base += fmax(jump, 1.0 / (flows->compared + COMPARED_BEFORE)) * off;
}

/*
 * Standard deviation of the closes in so much work. Those of a site with many servers are about a
 * Poisson process for as long as each server ends few; later their variance is that of the work.
 */
static double deviation(const struct estimate *estimate, double expected)
{
	double each = fmin(1, expected / estimate->servers / SPEED_SPREAD);

	return sqrt(expected * (1 + each * fmax(0, estimate->scv_service - 1)) + RARE);
}

static void forget(struct flows_work *work, const struct estimate *estimate)
{
	if (fmax(work->busy_s / estimate->service_time_s, work->closes) <= SPEED_MOST)
		return;
	work->busy_s /= 2;
	work->closes /= 2;
}

/* Fewer closes than even the least work explains. */
static bool is_slower(struct flows_work *work, const struct estimate *estimate)
{
	double expected = work->busy_s / estimate->service_time_s;

	if (work->closes * SPEED_RATIO >= expected)
		*work = (struct flows_work){0};
	else if (work->closes < expected - SIGMAS * deviation(estimate, expected))
		return true;
	forget(work, estimate);
	return false;
}

/* More than the most work explains, where the site was found slower than it says. */
static bool is_faster(struct flows_work *work, const struct estimate *estimate)
{
	double expected = work->busy_s / estimate->service_time_s;

	if (work->closes <= expected * SPEED_RATIO ||
	    estimate->service_time_s <= estimate->reported_s)
		*work = (struct flows_work){0};
	else if (work->closes > expected + SIGMAS * deviation(estimate, expected))
		return true;
	forget(work, estimate);
	return false;
}

static void judge_speed(struct flows *flows, struct estimate *estimate, double now_s)
{
	double least_s = flows->least.busy_s / (flows->least.closes + 0.5);
	double most_s = flows->most.busy_s / (flows->most.closes + 0.5);

	if (is_slower(&flows->least, estimate))
		estimate_slowed(estimate, least_s, now_s);
	else if (is_faster(&flows->most, estimate))
		estimate_slowed(estimate, fmax(most_s, estimate->reported_s), now_s);
	else
		return;
	flows->least = flows->most = (struct flows_work){0};
}

/* Of servers that others' flows (base) keep busy too, those of the edges have their part. */
static void take_work(struct flows *flows, const struct estimate *estimate, double elapsed_s,
		      double counted)
{
	double mean = fmax(0, counted + flows->counted) / 2, servers = estimate->servers;
	double error = SURE * sqrt(flows->transit + RARE) + fabs(counted - flows->counted) / 2;
	double all = mean + error + fmax(0, flows->base);

	/* flows that are open but, by reports, not at work there are none of it */
	flows->least.busy_s +=
		elapsed_s * fmax(0, mean + fmin(0, flows->base) - error) * fmin(1, servers / all);
	flows->most.busy_s += elapsed_s * fmin(mean + error, servers);
	flows->least.closes += flows->closed;
	flows->most.closes += flows->closed;
}

/* A site that was judged slow and gets no flow any more cannot show that it is well again. */
static void relax(struct flows *flows, struct estimate *estimate, double now_s, double elapsed_s,
		  double present)
{
	if (present > 0.5 || flows->closed > 0)
		flows->idle_from_s = now_s;
	else if (now_s - flows->idle_from_s > IDLE_S)
		estimate_recovers(estimate, -expm1(-elapsed_s / RELAX_S));
}

void flows_tick(struct flows *flows, struct estimate *estimate, double now_s, double path_s,
		bool seen)
{
	double counted = flows->open - flows->transit;
	double present = fmax(0, flows->base + counted);
	double elapsed_s = flows->tick_s > 0 ? now_s - flows->tick_s : 0;

	remember(flows, now_s - path_s);
	estimate->counted = present;
	estimate->counted_at_s = seen ? now_s - path_s : -1;
	if (seen && estimate->service_time_s > 0) {
		take_work(flows, estimate, elapsed_s, counted);
		judge_speed(flows, estimate, now_s);
		relax(flows, estimate, now_s, elapsed_s, present);
	}
	flows->counted = counted;
	flows->closed = 0;
	flows->tick_s = now_s;
}
