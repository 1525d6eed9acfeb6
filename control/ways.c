/* SPDX-License-Identifier: BSD-3-Clause */
#include "ways.h"
#include "log.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROPOSE_S 1
#define UNHEARD_PROBES 30
#define OWN 0 /* this node, in the graph */

/* --- names and ways ------------------------------------------------------------------------ */

static unsigned site_node(unsigned site)
{
	return 1 + site;
}

static unsigned transit_node(const struct config *config, unsigned transit)
{
	return 1 + config->sites + transit;
}

static void put_name(char out[SL_NAME_MAX], const char *name)
{
	memcpy(out, name, strnlen(name, SL_NAME_MAX - 1));
}

/* The site's own way with the transit nodes' SIDs before it; false: too many segments. */
static bool make_via(const struct config *config, const struct sl_via *site,
		     const unsigned *transit, unsigned transits, struct sl_via *out)
{
	*out = *site;
	if (transits == 0 || site->kind == SL_VIA_NONE)
		return true;
	if (site->kind != SL_VIA_SRV6 || site->segments + transits > SL_SEGMENTS_MAX)
		return false;
	for (unsigned i = 0; i < transits; i++)
		out->segment[i] = config->transit[transit[i]].sid;
	memcpy(out->segment + transits, site->segment, site->segments * sizeof(*site->segment));
	out->segments = (uint8_t)(site->segments + transits);
	return true;
}

/* By transit nodes' numbers in the configuration. */
static bool make_way(const struct config *config, unsigned site, const unsigned *transit,
		     unsigned transits, struct way *way)
{
	const struct config_site *s = &config->site[site];

	*way = (struct way){.delay_s = INFINITY, .message.reflector = s->reflector};
	put_name(way->name.end, s->name);
	for (unsigned i = 0; i < transits; i++)
		put_name(way->name.transit[i], config->transit[transit[i]].name);
	way->message.name = way->name;
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (!make_via(config, &s->via[f], transit, transits, &way->message.via[f]))
			return false;
	return true;
}

static int find_way(const struct site_ways *site, const struct sl_path_name *name)
{
	for (unsigned i = 0; i < site->ways; i++)
		if (memcmp(&site->way[i].name, name, sizeof(*name)) == 0)
			return (int)i;
	return -1;
}

/* --- what was measured --------------------------------------------------------------------- */

static bool is_slot_of(const struct sl_path_slot *slot, const struct sl_path_name *name)
{
	return __atomic_load_n(&slot->used, __ATOMIC_ACQUIRE) &&
	       memcmp(&slot->name, name, sizeof(*name)) == 0;
}

static const struct sl_path_slot *find_slot(const struct sl_paths *map, const struct way *way,
					    unsigned *guess)
{
	if (!map || is_slot_of(&map->path[*guess], &way->name))
		return map ? &map->path[*guess] : NULL;
	for (unsigned i = 0; i < SL_PATHS_MAX; i++)
		if (is_slot_of(&map->path[i], &way->name)) {
			*guess = i;
			return &map->path[i];
		}
	return NULL;
}

static double seconds(const int64_t *ns)
{
	return (double)__atomic_load_n(ns, __ATOMIC_RELAXED) / 1e9;
}

static enum sl_path_state state_of(const struct sl_path_slot *slot)
{
	return slot ? __atomic_load_n(&slot->state, __ATOMIC_RELAXED) : SL_PATH_UNKNOWN;
}

/* A reflector that never answers does not make its site dead; somebody should know. */
static void tell_unheard(const struct config_site *config, struct site_ways *site,
			 const struct sl_path_slot *slot)
{
	if (site->told_unheard || !slot || slot->heard_ns || slot->sent < UNHEARD_PROBES)
		return;
	site->told_unheard = true;
	log_warning(
		"path to %s: its reflector never answered, its delay stays at %g ms. Does it run "
		"(suanlu reflect, or probes: {} at a gateway), with the same probes.key, at an "
		"address that answers come from, and may UDP 862 pass?",
		config->name, 1000 * config->delay_s);
}

/* Straight: what is configured holds until something is measured. */
static void measure_straight(const struct config_site *config, struct state_site *state,
			     struct site_ways *site, const struct sl_path_slot *slot)
{
	struct way *way = &site->way[0];
	enum sl_path_state path = state_of(slot);

	if (slot && slot->heard_ns && seconds(&slot->way[SL_PATH_THERE].smoothed_ns) > 0) {
		site->straight_s = seconds(&slot->way[SL_PATH_THERE].smoothed_ns);
		site->straight_round_trip_s = seconds(&slot->round_trip.smoothed_ns);
		state->delay_at_s = (double)slot->heard_ns / 1e9;
	}
	tell_unheard(config, site, slot);
	state->link_s = path == SL_PATH_ALIVE ? site->straight_s : 0;
	way->delay_s = site->straight_s > 0 ? site->straight_s : config->delay_s;
	if (path == SL_PATH_DEAD || path == SL_PATH_HELD)
		way->delay_s = INFINITY;
}

/* By transit nodes: only what answers now. */
static void measure_way(const struct site_ways *site, struct way *way,
			const struct sl_path_slot *slot)
{
	double round_trip_s;

	way->delay_s = INFINITY;
	if (state_of(slot) != SL_PATH_ALIVE)
		return;
	round_trip_s = seconds(&slot->round_trip.smoothed_ns);
	if (slot->flags & SL_PATH_ONE_WAY)
		way->delay_s = seconds(&slot->way[SL_PATH_THERE].smoothed_ns);
	else if (site->straight_round_trip_s > 0)
		way->delay_s =
			fmax(0, site->straight_s + round_trip_s - site->straight_round_trip_s);
	else
		way->delay_s = round_trip_s / 2;
}

/* --- which way ------------------------------------------------------------------------------ */

/* Another one alive, if possible without the same first transit node; the one it was if it will do.
 */
static int choose_second(const struct site_ways *site)
{
	const struct way *present = &site->way[site->present];
	int best = -1;

	if (site->second >= 0 && site->second != site->present &&
	    isfinite(site->way[site->second].delay_s))
		return site->second;
	for (unsigned apart = 1; apart < 2 && best < 0; apart--)
		for (unsigned i = 0; i < site->ways; i++) {
			const struct way *way = &site->way[i];
			bool same = strcmp(way->name.transit[0], present->name.transit[0]) == 0;

			if ((int)i == site->present || !isfinite(way->delay_s) || (apart && same))
				continue;
			if (best < 0 || way->delay_s < site->way[best].delay_s)
				best = (int)i;
		}
	return best;
}

static void tell_change(const struct site_ways *site, int before)
{
	char text[SL_PATH_NAME_TEXT], was[SL_PATH_NAME_TEXT] = "";
	const struct way *way = &site->way[site->present];

	if (before < 0 || before == site->present)
		return;
	log_info("path to %s: %s at %.1f ms, it was %s", site->way[0].name.end,
		 sl_path_name_text(&way->name, text), 1000 * way->delay_s,
		 sl_path_name_text(&site->way[before].name, was));
}

static void decide(struct ways *ways, unsigned index, double now_s)
{
	struct site_ways *site = &ways->site[index];
	struct state_site *state = &ways->state->site[index];
	const struct config_site *config = &ways->state->config->site[index];
	static const struct sl_via none[SL_INNER_FAMILIES];
	double delay_s[WAYS_MAX];
	int before = site->present;

	for (unsigned i = 0; i < site->ways; i++)
		delay_s[i] = site->way[i].delay_s;
	site->present = overlay_choose(&site->wish, before, delay_s, site->ways, now_s);
	if (!state->path_dead && site->present < 0)
		log_warning("path to %s: dead, takes no flows", config->name);
	if (state->path_dead && site->present >= 0)
		log_info("path to %s: alive again", config->name);
	state->path_dead = site->present < 0;
	if (site->present < 0)
		return;
	tell_change(site, before);
	if (!config->delay_fixed)
		state->delay_s = delay_s[site->present];
	site->second = choose_second(site);
	link_ways(ways->link, index, site->way[site->present].message.via,
		  site->second < 0 ? none : site->way[site->second].message.via);
}

/* --- which other ways there are ------------------------------------------------------------- */

static void add_link(struct overlay *graph, struct overlay_link *link, unsigned from, unsigned to,
		     double delay_s)
{
	if (delay_s > 0)
		link[graph->links++] = (struct overlay_link){from, to, delay_s};
}

/* All links there can be now. */
static int make_room(struct ways *ways)
{
	const struct config *config = ways->state->config;
	size_t links = config->sites + config->transits;
	struct overlay_link *more;

	for (unsigned t = 0; t < config->transits; t++)
		links += ways->state->transit[t].links;
	more = reallocarray(ways->graph, links, sizeof(*more));
	if (!more)
		return -ENOMEM;
	ways->graph = more;
	return 0;
}

static void draw_graph(struct ways *ways, struct overlay *graph, double now_s)
{
	const struct state *state = ways->state;
	const struct config *config = state->config;

	*graph = (struct overlay){.nodes = 1 + config->sites + config->transits,
				  .link = ways->graph,
				  .transit = ways->transit};
	for (unsigned i = 0; i < config->sites; i++)
		add_link(graph, ways->graph, OWN, site_node(i), state->site[i].link_s);
	for (unsigned t = 0; t < config->transits; t++) {
		const struct state_transit *transit = &state->transit[t];

		add_link(graph, ways->graph, OWN, transit_node(config, t), transit->link_s);
		for (unsigned k = 0; k < transit->links; k++)
			if (state_link_lives(transit, &transit->link[k], now_s))
				add_link(graph, ways->graph, transit_node(config, t),
					 1 + transit->link[k].target, transit->link[k].delay_s);
	}
}

/* In the place of a proposal that is not used, if there is no room. */
static void probe_way(struct ways *ways, struct site_ways *site, const struct way *way)
{
	unsigned at = site->ways;

	for (unsigned i = 1; at == WAYS_MAX && i < WAYS_MAX; i++)
		if (site->way[i].proposed && (int)i != site->present && (int)i != site->second)
			at = i;
	if (at == WAYS_MAX)
		return;
	if (at < site->ways)
		link_path_end(ways->link, &site->way[at].name);
	else
		site->ways++;
	site->way[at] = *way;
	link_path(ways->link, &way->message);
}

static void propose(struct ways *ways, double now_s)
{
	const struct config *config = ways->state->config;
	struct overlay graph;

	if (config->transits == 0 || now_s - ways->proposed_s < PROPOSE_S)
		return;
	ways->proposed_s = now_s;
	if (make_room(ways) < 0)
		return;
	draw_graph(ways, &graph, now_s);
	if (overlay_paths(&graph, OWN, ways->best) < 0)
		return;
	for (unsigned i = 0; i < config->sites; i++) {
		const struct overlay_path *best = &ways->best[site_node(i)];
		unsigned transit[SL_TRANSITS_MAX];
		struct way way;

		for (unsigned k = 0; k < best->transits; k++)
			transit[k] = best->transit[k] - transit_node(config, 0);
		if (ways->site[i].ways == 0 || best->transits == 0 ||
		    !make_way(config, i, transit, best->transits, &way) ||
		    find_way(&ways->site[i], &way.name) >= 0)
			continue;
		way.proposed = true;
		probe_way(ways, &ways->site[i], &way);
	}
}

/* --- */

static void measure_transit(struct ways *ways, unsigned index, const struct sl_paths *map)
{
	struct way way = {0};
	unsigned guess = 0;
	const struct sl_path_slot *slot;
	struct state_transit *transit = &ways->state->transit[index];

	put_name(way.name.end, ways->state->config->transit[index].name);
	slot = find_slot(map, &way, &guess);
	transit->link_s = state_of(slot) == SL_PATH_ALIVE
				  ? seconds(&slot->way[SL_PATH_THERE].smoothed_ns)
				  : 0;
}

void ways_update(struct ways *ways, const struct sl_paths *map, double now_s)
{
	const struct config *config = ways->state->config;

	if (!config->probes.on)
		return;
	for (unsigned t = 0; t < config->transits; t++)
		measure_transit(ways, t, map);
	for (unsigned i = 0; i < config->sites; i++) {
		struct site_ways *site = &ways->site[i];

		if (site->ways == 0)
			continue;
		measure_straight(&config->site[i], &ways->state->site[i], site,
				 find_slot(map, &site->way[0], &site->way[0].slot));
		for (unsigned k = 1; k < site->ways; k++)
			measure_way(site, &site->way[k],
				    find_slot(map, &site->way[k], &site->way[k].slot));
		decide(ways, i, now_s);
	}
	propose(ways, now_s);
}

/* Straight, and by each transit node that tells us nothing itself. */
static int open_site(struct ways *ways, unsigned index)
{
	const struct config *config = ways->state->config;
	struct site_ways *site = &ways->site[index];

	site->second = -1;
	if (IN6_IS_ADDR_UNSPECIFIED(&config->site[index].reflector))
		return 0;
	make_way(config, index, NULL, 0, &site->way[site->ways++]);
	for (unsigned t = 0; t < config->transits && site->ways < WAYS_MAX; t++)
		if (!config->transit[t].has_key &&
		    make_way(config, index, &t, 1, &site->way[site->ways]))
			site->ways++;
	for (unsigned i = 0; i < site->ways; i++)
		if (link_path(ways->link, &site->way[i].message) < 0)
			return -ENOMEM;
	return 0;
}

static int open_transit(struct ways *ways, unsigned index)
{
	const struct config_transit *transit = &ways->state->config->transit[index];
	struct sl_msg_path message = {.reflector = transit->reflector};

	put_name(message.name.end, transit->name);
	ways->transit[transit_node(ways->state->config, index)] = true;
	if (IN6_IS_ADDR_UNSPECIFIED(&transit->reflector))
		return 0;
	return link_path(ways->link, &message);
}

int ways_open(struct ways *ways, struct state *state, struct link *link)
{
	const struct config *config = state->config;
	size_t nodes = 1 + config->sites + config->transits;
	int result = 0;

	*ways = (struct ways){.state = state, .link = link};
	ways->site = calloc(config->sites + 1, sizeof(*ways->site));
	ways->best = calloc(nodes, sizeof(*ways->best));
	ways->transit = calloc(nodes, sizeof(*ways->transit));
	if (!ways->site || !ways->best || !ways->transit)
		result = -ENOMEM;
	for (unsigned i = 0; result == 0 && i < config->transits; i++)
		result = open_transit(ways, i);
	for (unsigned i = 0; result == 0 && i < config->sites; i++)
		result = open_site(ways, i);
	if (result < 0)
		ways_close(ways);
	return result;
}

void ways_close(struct ways *ways)
{
	free(ways->site);
	free(ways->graph);
	free(ways->best);
	free(ways->transit);
	*ways = (struct ways){};
}

const char *ways_text(const struct ways *ways, unsigned site, char out[SL_PATH_NAME_TEXT])
{
	const struct site_ways *s = &ways->site[site];
	const char *via;

	if (s->ways == 0 || s->present < 0)
		return s->ways ? "dead" : "configured";
	sl_path_name_text(&s->way[s->present].name, out);
	via = strstr(out, " via ");
	return via ? via + 1 : "straight";
}
