/* SPDX-License-Identifier: BSD-3-Clause */
#include "upward.h"
#include "address.h"
#include "aggregate.h"
#include "clock.h"
#include "log.h"
#include "telemetry/plausible.h"
#include "telemetry/publisher.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALID_MS 500
#define INTERVAL_NS 100000000ull
#define QUIET_S 1

/* A total of an instance may start again, the site's may not. */
struct counted {
	bool seen;
	uint64_t arrivals, completions;
};

struct upward_service {
	struct counted *instance; /* by member */
	uint64_t arrivals, completions;
	uint32_t reported; /* in flight and queued */
	struct aggregate sum;
};

/* What is true of the site, as far as its instances say. */
struct facts {
	const char *label[SL_LABELS_MAX];
	unsigned labels;
	double servers, price, pue; /* sums over servers; NaN: not all said it */
	double age_s;		    /* of the measurements, so too */
};

static int refuse(struct config_error *error, int code, const char *what, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s: %s", what, why);
	return code;
}

static int add_receivers(struct upward *upward, const struct config *config,
			 struct config_error *error)
{
	for (unsigned i = 0; i < config->receivers; i++) {
		char address[ADDRESS_TEXT], key[SL_KEY_TEXT];

		sodium_bin2base64(key, sizeof(key), config->receiver[i].key, SL_KEY_BYTES,
				  sodium_base64_VARIANT_ORIGINAL);
		if (sl_publisher_add(upward->publisher,
				     address_text(&config->receiver[i].address, address), key) < 0)
			return refuse(error, -EINVAL, "publish",
				      sl_publisher_error(upward->publisher));
	}
	return 0;
}

static int open_publisher(struct upward *upward, const struct config *config, const struct key *key,
			  struct bus *bus, struct config_error *error)
{
	int result = publisher_open(&upward->publisher, key);

	if (result == 0 && config->site_name[0] && bus)
		result = publisher_use_bus(upward->publisher, bus, SUBJECT_SITE, config->site_name);
	if (result < 0)
		return refuse(error, result, "publish", sl_publisher_error(upward->publisher));
	return add_receivers(upward, config, error);
}

int upward_open(struct upward *upward, const struct state *state, const struct routes *routes,
		const struct key *key, struct bus *bus, struct config_error *error)
{
	const struct config *config = state->config;
	int result;

	*upward = (struct upward){.state = state, .routes = routes, .reached_s = clock_s()};
	if (!config_is_site(config))
		return 0;
	upward->service = calloc(config->services + 1, sizeof(*upward->service));
	upward->load = calloc(config->services + 1, sizeof(*upward->load));
	result = upward->service && upward->load ? 0 : -ENOMEM;
	for (unsigned i = 0; i < config->services && result == 0; i++) {
		upward->service[i].instance =
			calloc(config->service[i].sites, sizeof(struct counted));
		result = upward->service[i].instance ? 0 : -ENOMEM;
	}
	if (result < 0)
		refuse(error, result, "publish", "no memory");
	else
		result = open_publisher(upward, config, key, bus, error);
	if (result < 0)
		upward_close(upward);
	return result;
}

void upward_close(struct upward *upward)
{
	sl_publisher_close(upward->publisher);
	for (unsigned i = 0; upward->service && i < upward->state->config->services; i++)
		free(upward->service[i].instance);
	free(upward->service);
	free(upward->load);
	*upward = (struct upward){};
}

static void carry_instances(struct upward *upward, unsigned i, const struct upward *from,
			    unsigned before)
{
	const struct config *now = upward->state->config, *old = from->state->config;

	for (unsigned k = 0; k < now->service[i].sites; k++)
		for (unsigned m = 0; m < old->service[before].sites; m++)
			if (strcmp(now->site[now->service[i].site[k]].name,
				   old->site[old->service[before].site[m]].name) == 0)
				upward->service[i].instance[k] = from->service[before].instance[m];
}

void upward_carry(struct upward *upward, const struct upward *from)
{
	if (!upward->publisher || !from->publisher)
		return;
	upward->pace = from->pace;
	upward->sent = from->sent;
	upward->extra = from->extra;
	upward->failed = from->failed;
	upward->reached_s = from->reached_s;
	for (unsigned i = 0; i < upward->state->config->services; i++) {
		int before = state_find_service((struct state *)from->state,
						upward->state->config->service[i].name);

		if (before < 0)
			continue;
		upward->service[i].arrivals = from->service[before].arrivals;
		upward->service[i].completions = from->service[before].completions;
		upward->service[i].reported = from->service[before].reported;
		carry_instances(upward, i, from, (unsigned)before);
	}
}

static bool counts(const struct upward *upward, unsigned service, unsigned k, double now_s)
{
	const struct state_member *member = &upward->state->service[service].member[k];

	return member->said && upward->routes->service[service].use[k] == ROUTES_USABLE &&
	       estimate_state(&member->estimate, now_s) == ESTIMATE_FRESH;
}

/* It may claim no more than the configuration gives it, up here as below. */
static uint32_t servers_of(const struct upward *upward, unsigned service, unsigned k)
{
	const struct config *config = upward->state->config;
	uint32_t said = upward->state->service[service].member[k].said->servers;
	uint32_t most = config->site[config->service[service].site[k]].servers;

	return said < most ? said : most;
}

static uint64_t rise(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* Also of an instance that takes no new flows: those that it has still end. */
static void count_totals(struct upward *upward, unsigned i)
{
	struct upward_service *service = &upward->service[i];

	for (unsigned k = 0; k < upward->state->config->service[i].sites; k++) {
		const Suanlu__ServiceLoad *said = upward->state->service[i].member[k].said;
		struct counted *instance = &service->instance[k];

		if (!said)
			continue;
		if (instance->seen) {
			service->arrivals += rise(said->arrivals, instance->arrivals);
			service->completions += rise(said->completions, instance->completions);
		}
		*instance = (struct counted){true, said->arrivals, said->completions};
	}
}

static bool has_label(const struct state *state, unsigned site, const char *label)
{
	const struct state_site *said = &state->site[site];

	for (unsigned i = 0; i < said->labels; i++)
		if (strcmp(said->label[i], label) == 0)
			return true;
	return false;
}

/* Labels that all have; the first one's are those of which the others lack some. */
static void take_facts(const struct state *state, unsigned site, double age_s, uint32_t servers,
		       struct facts *facts)
{
	const struct state_site *said = &state->site[site];
	unsigned kept = 0;

	if (facts->servers == 0)
		for (unsigned i = 0; i < said->labels; i++)
			facts->label[facts->labels++] = said->label[i];
	for (unsigned i = 0; i < facts->labels; i++)
		if (has_label(state, site, facts->label[i]))
			facts->label[kept++] = facts->label[i];
	facts->labels = kept;
	facts->servers += servers;
	facts->price += said->price_per_hour > 0 ? servers * said->price_per_hour : NAN;
	facts->pue += said->pue > 0 ? servers * said->pue : NAN;
	facts->age_s += servers * age_s;
}

static bool sum_service(struct upward *upward, unsigned i, double now_s, struct facts *facts)
{
	const struct config_service *s = &upward->state->config->service[i];
	Suanlu__ServiceLoad bounded[AGGREGATE_PARTS_MAX];
	const Suanlu__ServiceLoad *part[AGGREGATE_PARTS_MAX];
	struct upward_service *service = &upward->service[i];
	unsigned parts = 0;

	count_totals(upward, i);
	for (unsigned k = 0; k < s->sites && parts < AGGREGATE_PARTS_MAX; k++) {
		const struct state_member *member = &upward->state->service[i].member[k];

		if (!counts(upward, i, k, now_s))
			continue;
		bounded[parts] = *member->said;
		bounded[parts].servers = servers_of(upward, i, k);
		part[parts] = &bounded[parts];
		take_facts(upward->state, s->site[k], now_s - member->estimate.measured_at_s,
			   bounded[parts++].servers, facts);
	}
	if (parts == 0)
		return false;
	aggregate(part, parts, &service->sum);
	service->sum.load.arrivals = service->arrivals;
	service->sum.load.completions = service->completions;
	service->reported = service->sum.load.in_flight + service->sum.load.queued;
	return true;
}

/* A bus connects in the background: the first reports may find it not there yet. */
static void tell(struct upward *upward, int result, double now_s)
{
	if (result == 0) {
		if (upward->failed)
			log_info("the site's load reaches every edge again");
		upward->failed = false;
		upward->reached_s = now_s;
	} else if (!upward->failed && now_s - upward->reached_s > QUIET_S) {
		upward->failed = true;
		log_warning("the site's load does not reach every edge: %s",
			    sl_publisher_error(upward->publisher));
	}
}

static void publish(struct upward *upward, double now_s)
{
	struct facts facts = {};
	struct sl_report report = {.load = upward->load, .label = facts.label};
	double age_s;
	int result;

	for (unsigned i = 0; i < upward->state->config->services; i++)
		if (sum_service(upward, i, now_s, &facts)) {
			upward->load[report.loads] = upward->service[i].sum.load;
			if (upward->too_long)
				upward->load[report.loads].metrics = 0;
			report.loads++;
		}
	report.labels = facts.labels;
	report.price_per_hour = facts.price > 0 ? facts.price / facts.servers : 0;
	report.pue = facts.pue > 0 ? facts.pue / facts.servers : 0;
	/* The load is as old as its parts are; the site is heard now. */
	age_s = facts.servers > 0 ? fmax(0, facts.age_s / facts.servers) : 0;
	report.measured_at_us = clock_unix_us() - (uint64_t)(age_s * 1e6);
	report.valid_for_ms = (uint32_t)fmin(VALID_MS + age_s * 1e3, PLAUSIBLE_VALID_FOR_MS_MAX);
	result = sl_publish(upward->publisher, &report);
	if (result == -EMSGSIZE && !upward->too_long) {
		log_warning("a service with its metrics is longer than a report may be: metrics "
			    "are left out");
		upward->too_long = true;
		return;
	}
	upward->sent++;
	tell(upward, result, now_s);
}

static bool jumped(const struct upward *upward, double now_s)
{
	const struct config *config = upward->state->config;

	for (unsigned i = 0; i < config->services; i++) {
		uint32_t now = 0, servers = 0;

		for (unsigned k = 0; k < config->service[i].sites; k++) {
			const Suanlu__ServiceLoad *said = upward->state->service[i].member[k].said;

			if (!counts(upward, i, k, now_s))
				continue;
			now += said->in_flight + said->queued;
			servers += servers_of(upward, i, k);
		}
		if (pace_jumped(now, upward->service[i].reported, servers))
			return true;
	}
	return false;
}

void upward_step(struct upward *upward, double now_s)
{
	const uint64_t now_ns = (uint64_t)(now_s * 1e9), due_ns = upward->pace.due_ns;

	if (!upward->publisher ||
	    !pace_due(&upward->pace, now_ns, INTERVAL_NS, jumped(upward, now_s)))
		return;
	upward->extra += now_ns < due_ns;
	publish(upward, now_s);
}
