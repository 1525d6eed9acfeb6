/* SPDX-License-Identifier: BSD-3-Clause */
#include "announce.h"
#include "log.h"
#include "privilege.h"
#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT_MAX
#define PUT_AGAIN_S 1.0 /* somebody may have removed it, or an interface may be back */
#define LIST_TRIES 5	/* a dump is cut short when others change the table meanwhile */

/* --- which addresses ------------------------------------------------------------------------ */

static struct kernel_route route_of(const struct config *config, uint8_t family, const void *to)
{
	const struct config_announce *announce = &config->announce;
	bool blackhole = !*announce->interface;
	struct kernel_route route = {
		.family = family,
		.bits = family == AF_INET ? 32 : 128,
		.type = blackhole ? RTN_BLACKHOLE : RTN_UNICAST,
		.table = announce->table,
		.metric = announce->metric,
		.ifindex = blackhole ? 0 : if_nametoindex(announce->interface),
	};

	memcpy(&route.to, to, family == AF_INET ? 4 : 16);
	return route;
}

static unsigned find(const struct announce *announce, const struct kernel_route *route)
{
	for (unsigned i = 0; i < announce->addresses; i++)
		if (kernel_route_equal(&announce->address[i].route, route))
			return i;
	return NONE;
}

static unsigned find_or_make(struct announce *announce, uint8_t family, const void *to)
{
	struct kernel_route route = route_of(announce->config, family, to);
	struct announce_address *address = &announce->address[announce->addresses];
	unsigned index = find(announce, &route);

	if (index != NONE)
		return index;
	*address = (struct announce_address){.route = route};
	inet_ntop(family, to, address->text, sizeof(address->text));
	return announce->addresses++;
}

int announce_shape(struct announce *announce, const struct config *config)
{
	*announce = (struct announce){.config = config};
	if (!config->announce.on)
		return 0;
	announce->address = calloc(2 * config->services + 1, sizeof(*announce->address));
	announce->of_service = calloc(config->services + 1, sizeof(*announce->of_service));
	announce->acknowledged = calloc(config->services + 1, sizeof(*announce->acknowledged));
	if (!announce->address || !announce->of_service || !announce->acknowledged)
		return -ENOMEM;
	for (unsigned i = 0; i < config->services; i++) {
		const struct config_service *s = &config->service[i];

		announce->of_service[i][SL_INNER_IPV4] =
			s->ipv4.s_addr ? find_or_make(announce, AF_INET, &s->ipv4) : NONE;
		announce->of_service[i][SL_INNER_IPV6] =
			IN6_IS_ADDR_UNSPECIFIED(&s->ipv6)
				? NONE
				: find_or_make(announce, AF_INET6, &s->ipv6);
	}
	return 0;
}

/* --- what an earlier run left --------------------------------------------------------------- */

static void take_left(const struct kernel_route *route, void *argument)
{
	struct announce *announce = argument;
	unsigned index = find(announce, route);
	struct kernel_route *grown;

	if (index != NONE) {
		announce->address[index].present = true;
		return;
	}
	grown = realloc(announce->stale, (announce->stales + 1) * sizeof(*grown));
	if (!grown)
		return;
	announce->stale = grown;
	announce->stale[announce->stales++] = *route;
}

static int take_over(struct announce *announce)
{
	int result = -EINTR;

	for (unsigned i = 0; i < LIST_TRIES && result == -EINTR; i++) {
		announce->stales = 0;
		result = kernel_route_list(&announce->kernel, take_left, announce);
	}
	return result;
}

int announce_open(struct announce *announce, const struct config *config,
		  struct config_error *error)
{
	int result;

	result = announce_shape(announce, config);
	if (result == 0 && !config->announce.on)
		return 0;
	if (result == 0)
		result = privilege_has(CAP_NET_ADMIN) ? kernel_routes_open(&announce->kernel)
						      : -EPERM;
	if (result == 0)
		result = take_over(announce);
	if (result == 0)
		return 0;
	snprintf(error->text, sizeof(error->text), "announce: %s%s", strerror(-result),
		 result == -EPERM ? ": start as root or with CAP_NET_ADMIN" : "");
	announce_close(announce);
	return result;
}

void announce_start(struct announce *announce, double now_s)
{
	char text[INET6_ADDRSTRLEN];

	for (unsigned i = 0; i < announce->stales; i++) {
		const struct kernel_route *route = &announce->stale[i];
		int result = kernel_route_delete(&announce->kernel, route);

		inet_ntop(route->family, &route->to, text, sizeof(text));
		if (result == 0)
			log_info("removed the route to %s/%u in table %u that an earlier run left",
				 text, route->bits, route->table);
		else if (result != -ESRCH)
			log_warning("cannot remove the route to %s/%u in table %u that an earlier "
				    "run left: %s",
				    text, route->bits, route->table, strerror(-result));
	}
	for (unsigned i = 0; i < announce->addresses; i++) {
		announce_rule_init(&announce->address[i].rule, announce->address[i].present, now_s);
		if (announce->address[i].present)
			log_info("service address %s: announced by an earlier run, taken over",
				 announce->address[i].text);
	}
	announce->started = announce->config->announce.on;
}

/* --- now ------------------------------------------------------------------------------------ */

static bool heard(const struct routes *routes, unsigned service, unsigned k, double now_s)
{
	const struct config *config = routes->state->config;
	const struct state_member *member = &routes->state->service[service].member[k];

	return !config->site[config->service[service].site[k]].has_key ||
	       config->telemetry_listen.ss_family == 0 ||
	       estimate_state(&member->estimate, now_s) == ESTIMATE_FRESH;
}

/* A message that is unanswered for an instant is normal while answers to others come. */
static bool forwards(struct announce *announce, const struct link *link, unsigned service)
{
	const struct link_service *s = &link->service[service];
	bool answered = s->acknowledged != announce->acknowledged[service];

	announce->acknowledged[service] = s->acknowledged;
	return link_is_up(link) && s->acknowledged != 0 && (answered || !s->unanswered);
}

static enum announce_need need_of(const struct routes *routes, unsigned service, bool forwarded,
				  double now_s)
{
	const struct route *route = &routes->service[service];
	enum announce_need need = ANNOUNCE_EXCLUDED;

	for (unsigned k = 0; k < routes->state->config->service[service].sites; k++) {
		enum routes_use use = route->use[k];

		if (use == ROUTES_DRAINED || use == ROUTES_LABEL || use == ROUTES_DELAY)
			continue;
		if (heard(routes, service, k, now_s))
			return forwarded ? ANNOUNCE_READY : ANNOUNCE_UNANSWERED;
		/* Before control has settled, nobody has had the time to be heard. */
		need = routes->settled ? ANNOUNCE_SILENT : ANNOUNCE_UNANSWERED;
	}
	return need;
}

static void put(struct announce *announce, struct announce_address *address, double now_s)
{
	const struct config_announce *config = &announce->config->announce;
	bool before = address->present;
	int result;

	address->put_s = now_s;
	if (*config->interface)
		address->route.ifindex = if_nametoindex(config->interface);
	result = kernel_route_add(&announce->kernel, &address->route);
	address->present = result == 0 || (result == -EEXIST && before);
	if (result == 0) {
		log_info("service address %s: %s in table %u", address->text,
			 before ? "its route was gone, announced again" : "announced",
			 config->table);
		announce->announced++;
	} else if (!address->present && !address->told_failed) {
		log_warning("service address %s: cannot be announced: %s", address->text,
			    result == -EEXIST ? "the table has another route to it with the same "
						"metric"
					      : strerror(-result));
	}
	address->told_failed = !address->present;
}

static void take_away(struct announce *announce, struct announce_address *address, const char *why)
{
	int result = kernel_route_delete(&announce->kernel, &address->route);

	address->present = result < 0 && result != -ESRCH;
	if (!address->present) {
		log_warning("service address %s: withdrawn, %s", address->text, why);
		announce->withdrawn++;
	} else if (!address->told_failed) {
		log_warning("service address %s: cannot be withdrawn: %s", address->text,
			    strerror(-result));
	}
	address->told_failed = address->present;
}

static void bring_up_to_now(struct announce *announce, struct announce_address *address,
			    double now_s)
{
	bool changed = announce_rule_update(&address->rule, address->need, now_s);

	if (address->rule.on && (changed || now_s - address->put_s >= PUT_AGAIN_S))
		put(announce, address, now_s);
	else if (!address->rule.on && address->present)
		take_away(announce, address, announce_need_text(address->need));
}

void announce_update(struct announce *announce, const struct routes *routes,
		     const struct link *link, bool alive, double now_s)
{
	if (!announce->started)
		return;
	for (unsigned i = 0; i < announce->addresses; i++)
		announce->address[i].need = ANNOUNCE_EXCLUDED;
	for (unsigned i = 0; i < announce->config->services; i++) {
		bool forwarded = forwards(announce, link, i) && alive;
		enum announce_need need = need_of(routes, i, forwarded, now_s);

		for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
			unsigned index = announce->of_service[i][f];

			if (index != NONE && announce->address[index].need < need)
				announce->address[index].need = need;
		}
	}
	for (unsigned i = 0; i < announce->addresses; i++)
		bring_up_to_now(announce, &announce->address[i], now_s);
}

void announce_reload(struct announce *announce, struct announce *next, double now_s)
{
	struct announce old = *announce;

	for (unsigned i = 0; i < next->addresses; i++)
		announce_rule_init(&next->address[i].rule, false, now_s);
	for (unsigned i = 0; i < old.addresses; i++) {
		unsigned index = find(next, &old.address[i].route);

		if (index != NONE)
			next->address[index] = old.address[i];
		else if (old.started && old.address[i].present)
			take_away(announce, &old.address[i], "no service has it any more");
	}
	announce->config = next->config;
	announce->address = next->address;
	announce->addresses = next->addresses;
	announce->of_service = next->of_service;
	announce->acknowledged = next->acknowledged;
	*next = (struct announce){.address = old.address,
				  .of_service = old.of_service,
				  .acknowledged = old.acknowledged};
}

void announce_close(struct announce *announce)
{
	for (unsigned i = 0; announce->started && i < announce->addresses; i++)
		if (announce->address[i].present)
			take_away(announce, &announce->address[i], "control stops");
	kernel_routes_close(&announce->kernel);
	free(announce->address);
	free(announce->of_service);
	free(announce->acknowledged);
	free(announce->stale);
	*announce = (struct announce){};
}

bool announce_has(const struct announce *announce, unsigned service, unsigned family)
{
	unsigned index = announce->of_service ? announce->of_service[service][family] : NONE;

	return index != NONE && announce->address[index].present;
}
