/* SPDX-License-Identifier: BSD-3-Clause */
#include "estimate.h"
#include <math.h>

#define SMOOTH_S 0.5	       /* time constant of rates */
#define WINDOW_MIN_S 0.01      /* shorter windows are joined to the next */
#define BACKGROUND_S 3.0       /* most that the mean of the excess reaches back */
#define NOISE_SIGMAS 5.0       /* about where an excess stops to be chance */
#define RARE 3.0	       /* added to a count's variance: small counts have long tails */
#define SERVICE_FLOWS 400.0    /* most flows that the mean service time reaches back */
#define SERVICE_WINDOW_S 1.0   /* a report's own mean is over about so long, */
#define SERVICE_WINDOW 20.0    /* or over so many flows */
#define SERVICE_SIGMAS 7.0     /* work is skewed: more than for counts is still chance */
#define SERVICE_NOMINAL_S 0.01 /* while nobody said; alike everywhere */
#define SCV_MAX 100.0
#define ROLL_MAX_S 5.0
#define HOLD_S 2.0     /* a report's mean service time reaches back so long */
#define SLOW_MOST 50.0 /* as slow as counts can make it: nobody goes there any more */
#define AGE_LEAST_S 1e-4
#define FADE_S 1.0
#define FADE_DRAINS 2

void estimate_init(struct estimate *estimate, uint32_t servers_max)
{
	servers_max = servers_max > 0 ? servers_max : 1;
	*estimate = (struct estimate){
		.servers_max = servers_max,
		.servers = servers_max,
		.scv_service = 1,
		.last_report_s = -1,
		.inflow_per_s = -1,
		.counted_at_s = -1,
		.slowed_at_s = -HOLD_S,
	};
}

void estimate_bound(struct estimate *estimate, uint32_t servers_max)
{
	servers_max = servers_max > 0 ? servers_max : 1;
	if (estimate->last_report_s < 0 || estimate->servers > servers_max)
		estimate->servers = servers_max;
	estimate->servers_max = servers_max;
}

enum estimate_state estimate_state(const struct estimate *estimate, double now_s)
{
	if (estimate->last_report_s < 0)
		return ESTIMATE_NEVER;
	return now_s <= estimate->valid_until_s ? ESTIMATE_FRESH : ESTIMATE_SILENT;
}

static double gain(double interval_s)
{
	return -expm1(-interval_s / SMOOTH_S);
}

/*
 * What arrived that no edge sent. Any rate between the edges' last and present one explains
 * arrivals, because a change of weights and the flows that it moves are not counted at one
 * instant.
 */
static double excess_of(double rate_per_s, double sent_before, double sent_now)
{
	double least = fmin(sent_before, sent_now), most = fmax(sent_before, sent_now);

	return rate_per_s - fmin(fmax(rate_per_s, least), most);
}

/*
 * The mean of the excess over up to BACKGROUND_S, except that a window whose count is z standard
 * deviations off (Poisson: variance = mean) is believed by z^8 / (z^8 + sigmas^8).
 */
static void follow_excess(struct estimate *estimate, double excess_per_s, double sent_per_s,
			  double window_s)
{
	double surprise = (excess_per_s - estimate->excess_per_s) * window_s;
	double expected = fmax(0, sent_per_s + estimate->excess_per_s) * window_s;
	double squares = surprise * surprise / (expected + RARE) / (NOISE_SIGMAS * NOISE_SIGMAS);
	double power = squares * squares * squares * squares;
	double jump = isfinite(power) ? power / (power + 1) : 1;

	estimate->excess_weight_s = fmin(estimate->excess_weight_s + window_s, BACKGROUND_S);
	double plain = fmin(1, window_s / estimate->excess_weight_s);
	double weight = plain + (1 - plain) * jump;
	estimate->excess_per_s += weight * (excess_per_s - estimate->excess_per_s);
	/* After a jump what was averaged before is worth that much less. */
	estimate->excess_weight_s *= 1 - jump;
	estimate->excess_weight_s = fmax(estimate->excess_weight_s, window_s);
}

/*
 * max(0, noise) would be a background of its own, so the mean is shrunk by how far it stands out
 * of its own noise: e^2 / (e^2 + variance), the variance of a rate counted over w seconds
 * being rate / w.
 */
static double background_of(const struct estimate *estimate, double sent_per_s)
{
	double excess = fmax(0, estimate->excess_per_s);
	double variance = (sent_per_s + excess) / fmax(estimate->excess_weight_s, WINDOW_MIN_S);

	if (!(excess > 0))
		return 0;
	/* with nothing sent every arrival is background, however few */
	return sent_per_s > 0 ? excess * (excess * excess / (excess * excess + variance)) : excess;
}

static void move_rates(struct estimate *estimate, double rate_per_s, double window_s,
		       double sent_per_s)
{
	double sent_before = estimate->last_report_s < 0 ? sent_per_s : estimate->sent_per_s;
	double excess_per_s = excess_of(rate_per_s, sent_before, sent_per_s);
	double weight = estimate->last_report_s < 0 ? 1 : gain(window_s);

	estimate->arrivals_per_s += weight * (rate_per_s - estimate->arrivals_per_s);
	follow_excess(estimate, excess_per_s, sent_per_s, window_s);
	estimate->background_per_s = background_of(estimate, sent_per_s);
	estimate->sent_per_s = sent_per_s;
}

/*
 * Arrivals since the last report. Totals that went backwards are of a restarted publisher, and a
 * publisher may keep none: then its own rate stands for the interval.
 */
static double arrivals_since(const struct estimate *estimate, const Suanlu__ServiceLoad *load,
			     double interval_s)
{
	if (estimate->last_report_s < 0 || load->arrivals == 0 ||
	    load->arrivals < estimate->arrivals_total ||
	    load->completions < estimate->completions_total)
		return load->arrivals_per_s * interval_s;
	return (double)(load->arrivals - estimate->arrivals_total);
}

static void take_rates(struct estimate *estimate, const Suanlu__ServiceLoad *load,
		       double interval_s, double sent_per_s)
{
	estimate->window_s += interval_s;
	estimate->window_arrivals += arrivals_since(estimate, load, interval_s);
	estimate->arrivals_total = load->arrivals;
	estimate->completions_total = load->completions;
	if (estimate->window_s < WINDOW_MIN_S)
		return;
	move_rates(estimate, estimate->window_arrivals / estimate->window_s, estimate->window_s,
		   sent_per_s);
	estimate->window_s = estimate->window_arrivals = 0;
}

/* Flows completed since the last report; a publisher without totals has its rate. */
static double completions_since(const struct estimate *estimate, const Suanlu__ServiceLoad *load,
				double interval_s)
{
	if (estimate->last_report_s < 0 || load->completions == 0 ||
	    load->completions < estimate->completions_total)
		return load->completions_per_s * interval_s;
	return (double)(load->completions - estimate->completions_total);
}

/* 0..1: how far a reported mean is from being explained by chance, as in follow_excess. */
static double service_jump(const struct estimate *estimate, const Suanlu__ServiceLoad *load)
{
	double behind = fmax(SERVICE_WINDOW, load->completions_per_s * SERVICE_WINDOW_S);
	double error_s = estimate->service_time_s * sqrt(estimate->scv_service / behind);
	double off_s = load->service_time_s - estimate->service_time_s;
	double ratio = off_s / (SERVICE_SIGMAS * fmax(error_s, 1e-9));
	double power = ratio * ratio * ratio * ratio * ratio * ratio * ratio * ratio;

	return isfinite(power) ? power / (power + 1) : 1;
}

/*
 * A mean over the last flows, not over the last seconds: a site that gets few flows must not follow
 * each one's chance, and one that gets none must not be judged by its last few. Only a mean
 * that is many of its own standard errors off is believed at once.
 */
static void take_service(struct estimate *estimate, const Suanlu__ServiceLoad *load,
			 double interval_s, double measured_at_s)
{
	double flows = completions_since(estimate, load, interval_s), jump = 0, weight = 1;

	if (!(load->service_time_s > 0))
		return;
	estimate->reported_s = load->service_time_s;
	if (measured_at_s < estimate->slowed_at_s + HOLD_S)
		return; /* its mean is still of before */
	if (load->completions == 0 && !(load->completions_per_s > 0)) {
		/* it counts no flows: what it says is all there is */
		weight = estimate->service_time_s > 0 ? gain(interval_s) : 1;
	} else if (estimate->service_time_s > 0) {
		jump = flows > 0 ? service_jump(estimate, load) : 0;
		weight = fmax(jump, flows / fmax(estimate->service_flows + flows, 1));
	}
	estimate->service_time_s += weight * (load->service_time_s - estimate->service_time_s);
	estimate->service_flows = fmin(
		fmax((1 - jump) * estimate->service_flows + flows, SERVICE_WINDOW), SERVICE_FLOWS);
}

static void take_scv(struct estimate *estimate, const Suanlu__ServiceLoad *load, double interval_s)
{
	double weight = estimate->last_report_s < 0 ? 1 : gain(interval_s);

	if (load->has_service_scv_case)
		estimate->scv_service += weight * (fmin(fmax(load->service_scv, 0), SCV_MAX) -
						   estimate->scv_service);
}

/* It is back from a silence: what counts made of that is over. */
static void forget_speed(struct estimate *estimate)
{
	if (estimate->slowed_at_s > -HOLD_S && estimate->reported_s > 0)
		estimate->service_time_s = estimate->reported_s;
	estimate->slowed_at_s = -HOLD_S;
	estimate->returns++;
}

void estimate_report(struct estimate *estimate, const Suanlu__ServiceLoad *load, double now_s,
		     double measured_at_s, double valid_for_s, double sent_per_s)
{
	bool first = estimate->last_report_s < 0;
	double interval_s = first ? SMOOTH_S : measured_at_s - estimate->measured_at_s;

	if (interval_s < 0)
		return;
	if (!first && measured_at_s > estimate->valid_until_s)
		forget_speed(estimate);
	take_service(estimate, load, interval_s, measured_at_s);
	take_scv(estimate, load, interval_s);
	take_rates(estimate, load, interval_s, fmax(0, sent_per_s));
	estimate->servers = estimate->servers_max;
	if (load->servers > 0 && load->servers < estimate->servers_max)
		estimate->servers = load->servers;
	double flows = (double)load->in_flight + load->queued;
	estimate->flows += (first ? 1 : gain(interval_s)) * (flows - estimate->flows);
	estimate->in_flight = load->in_flight;
	estimate->queued = load->queued;
	estimate->last_report_s = now_s;
	estimate->measured_at_s = measured_at_s;
	estimate->valid_until_s = measured_at_s + valid_for_s;
}

void estimate_slowed(struct estimate *estimate, double service_time_s, double now_s)
{
	estimate->service_time_s = service_time_s;
	if (estimate->reported_s > 0)
		estimate->service_time_s = fmin(service_time_s, SLOW_MOST * estimate->reported_s);
	estimate->service_flows = SERVICE_WINDOW;
	estimate->slowed_at_s = now_s;
}

void estimate_recovers(struct estimate *estimate, double part)
{
	if (estimate->reported_s > 0)
		estimate->service_time_s +=
			part * (estimate->reported_s - estimate->service_time_s);
}

static double inflow_per_s(const struct estimate *estimate)
{
	return estimate->inflow_per_s >= 0 ? estimate->inflow_per_s : estimate->arrivals_per_s;
}

/*
 * Servers that are free fill towards the offered load, exponentially; a queue grows and drains in a
 * straight line. From flows of age_s ago.
 */
static double roll(const struct estimate *estimate, const struct queue *queue, double flows,
		   double age_s)
{
	double servers = estimate->servers, service_s = queue->service_time_s;
	double offered = inflow_per_s(estimate) * service_s,
	       spare_per_s = (servers - offered) / service_s;
	double left_s = fmin(age_s, ROLL_MAX_S);

	if (flows > servers) {
		double drained_s = (flows - servers) / spare_per_s;
		if (!(drained_s > 0 && drained_s < left_s))
			return flows - left_s * spare_per_s;
		left_s -= drained_s;
		flows = servers;
	}
	double there = offered + (flows - offered) * exp(-left_s / service_s);
	if (there <= servers)
		return there;
	double filled_s = service_s * log((offered - flows) / (offered - servers));
	return servers - (left_s - filled_s) * spare_per_s;
}

/* How old what is known of the flows is, as far as it matters: two sources are younger than one. */
static double flows_age_s(const struct estimate *estimate, double now_s, double *reported,
			  double *counted)
{
	*reported = 1 / fmax(now_s - estimate->measured_at_s, AGE_LEAST_S);
	*counted = 0;
	if (estimate->last_report_s < 0)
		*reported = 0;
	if (estimate->counted_at_s >= 0)
		*counted = 1 / fmax(now_s - estimate->counted_at_s, AGE_LEAST_S);
	return 1 / (*reported + *counted);
}

double estimate_flows_now(const struct estimate *estimate, const struct queue *queue, double now_s)
{
	/* who lets flows wait is busy, whatever it counts as in flight */
	double flows = estimate->queued > 0 ? (double)estimate->servers + estimate->queued
					    : estimate->in_flight;
	double reported, counted, sum = 0;
	double age_s = flows_age_s(estimate, now_s, &reported, &counted);

	if (reported > 0)
		sum += reported * roll(estimate, queue, flows, 1 / reported);
	if (counted > 0)
		sum += counted * roll(estimate, queue, estimate->counted, 1 / counted);
	return fmax(0, sum * age_s + estimate->ahead);
}

/* E max(0, X) of a normal X. */
static double mean_above_zero(double mean, double deviation)
{
	double z = mean / deviation;

	return deviation * exp(-z * z / 2) / sqrt(2 * M_PI) + mean * erfc(-z / M_SQRT2) / 2;
}

double estimate_wait_s(const struct estimate *estimate, const struct queue *queue, double now_s)
{
	double flows = estimate_flows_now(estimate, queue, now_s), reported, counted;
	double age_s = flows_age_s(estimate, now_s, &reported, &counted);
	/* What comes and goes in that time; of free servers it is forgotten as flows end. */
	double spread = -expm1(-2 * age_s / queue->service_time_s) * fmax(1, flows);
	double over = flows + 1 - estimate->servers;

	return mean_above_zero(over, sqrt(spread)) / queue_capacity_per_s(queue);
}

/* Whatever is rolled forward stays below the servers: most sites, most of the time. */
static bool all_served(const struct estimate *estimate, const struct queue *queue)
{
	double servers = estimate->servers, most = estimate->in_flight;

	most = fmax(most, inflow_per_s(estimate) * queue->service_time_s);
	if (estimate->counted_at_s >= 0)
		most = fmax(most, estimate->counted);
	return estimate->queued == 0 && most + fmax(0, estimate->ahead) <= servers;
}

/*
 * Seconds to drain what waits. The older it is, the less is known, but of a long queue for
 * longer than of a short one: until that one would have drained.
 */
static double backlog_s(const struct estimate *estimate, const struct queue *queue, double now_s)
{
	double reported, counted, age_s, waiting, drain_s;

	if (all_served(estimate, queue))
		return 0;
	waiting = estimate_flows_now(estimate, queue, now_s) - estimate->servers;
	if (!(waiting > 0))
		return 0;
	age_s = flows_age_s(estimate, now_s, &reported, &counted);
	drain_s = waiting / queue_capacity_per_s(queue);
	return drain_s * exp(-age_s / (FADE_S + FADE_DRAINS * drain_s));
}

double estimate_response_s(const struct estimate *estimate)
{
	return estimate->arrivals_per_s > 0 ? estimate->flows / estimate->arrivals_per_s : NAN;
}

struct queue estimate_queue(const struct estimate *estimate, double now_s)
{
	struct queue queue = {
		.servers = estimate->servers,
		.service_time_s =
			estimate->service_time_s > 0 ? estimate->service_time_s : SERVICE_NOMINAL_S,
		/* arrivals: Poisson, but evened out */
		.scv = ESTIMATE_EVENED * (1 + estimate->scv_service) / 2,
		.cap = QUEUE_CAP,
	};

	if (estimate_state(estimate, now_s) == ESTIMATE_FRESH || estimate->counted_at_s >= 0)
		queue.backlog_s = backlog_s(estimate, &queue, now_s);
	return queue;
}
