/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prequal (Wydrowski, Kleinberg, Rumble and Archer, "Load is not what you should balance", NSDI
 * 2024), with the parameters of its section 4: 3 probes with each request, to replicas drawn at
 * random, a pool of 16, b_reuse by its equation 1, one probe removed with each request (by turns
 * the oldest and the worst), probes older than 1 s dropped, hot above the quantile 2^-0.25 of
 * requests in flight. A replica is a server: sites are probed in proportion to their servers, and
 * requests in flight are counted per server. As paths differ here, a probe's latency includes its
 * path's delay. Probes travel over the path like requests and need no telemetry.
 */
#include "policy.h"
#include "world.h"
#include <errno.h>
#include <string.h>

#define POOL 16
#define PROBES 3
#define REMOVE 1
#define AGE_S 1.0
#define HOT_QUANTILE 0.8409 /* 2^-0.25 */
#define RECENT 64	    /* answers that the quantile is taken of */
#define LEVELS 512	    /* of requests in flight, for a site's latencies */
#define LEARN 0.05

struct probe {
	double at_s, rif, latency_s;
	double uses;
	uint16_t site;
};

struct client {
	struct probe pool[POOL];
	unsigned probes;
	double recent[RECENT], sorted[RECENT];
	unsigned answers;
	bool oldest_next;
};

struct asked {
	struct probe probe;
	uint32_t next;
	uint16_t edge;
	bool answered;
};

struct prequal {
	struct client client[SCENARIO_EDGES_MAX];
	double latency_s[SCENARIO_SITES_MAX][LEVELS]; /* by requests there; 0: none yet */
	double servers[SCENARIO_SITES_MAX];
	double reuse;
	struct asked *asked;
	uint32_t room, free;
};

static int open_prequal(struct world *world)
{
	struct prequal *prequal = calloc(1, sizeof(*prequal));
	double replicas = 0;

	world->private = prequal;
	if (!prequal)
		return -ENOMEM;
	for (unsigned j = 0; j < world->scenario->sites; j++) {
		prequal->servers[j] = world->scenario->site[j].servers;
		replicas += prequal->servers[j];
	}
	double useful = (1 - POOL / fmax(replicas, POOL + 1)) * PROBES - REMOVE;
	prequal->reuse = useful > 0 ? fmax(1, 2 / useful) : 4; /* (1 + delta), delta 1 */
	prequal->free = WORLD_NONE;
	return 0;
}

static void close_prequal(struct world *world)
{
	struct prequal *prequal = world->private;

	free(prequal ? prequal->asked : NULL);
	free(prequal);
}

static unsigned level(const struct world_site *site)
{
	unsigned present = site->busy + site->queued;

	return present < LEVELS ? present : LEVELS - 1;
}

/* What a request takes that comes at this level: of the nearest level that is known. */
static double latency_at(const struct prequal *prequal, unsigned site, unsigned at)
{
	for (unsigned off = 0; off < LEVELS; off++) {
		if (at >= off && prequal->latency_s[site][at - off] > 0)
			return prequal->latency_s[site][at - off];
		if (at + off < LEVELS && prequal->latency_s[site][at + off] > 0)
			return prequal->latency_s[site][at + off];
	}
	return 0;
}

static void learn(struct world *world, uint32_t index)
{
	struct prequal *prequal = world->private;
	const struct request *request = &world->request[index];
	double *known = &prequal->latency_s[request->site]
					   [request->seen < LEVELS ? request->seen : LEVELS - 1];
	double took_s = world->now_s - request->at_site_s;

	*known += (*known > 0 ? LEARN : 1) * (took_s - *known);
}

static void ask(struct world *world, unsigned edge, unsigned site)
{
	struct prequal *prequal = world->private;
	uint32_t index = prequal->free;

	if (index == WORLD_NONE) {
		uint32_t room = prequal->room ? 2 * prequal->room : 4096;
		void *grown = realloc(prequal->asked, room * sizeof(*prequal->asked));
		if (!grown) {
			world->out_of_memory = true;
			return;
		}
		prequal->asked = grown;
		for (uint32_t i = prequal->room; i < room; i++)
			prequal->asked[i].next = i + 1 < room ? i + 1 : WORLD_NONE;
		index = prequal->room;
		prequal->room = room;
	}
	struct asked *asked = &prequal->asked[index];
	prequal->free = asked->next;
	*asked = (struct asked){.probe.site = (uint16_t)site, .edge = (uint16_t)edge};
	world_event(world, world->now_s + world->scenario->delay_s[edge][site], index);
}

static void drop(struct client *client, unsigned at)
{
	memmove(&client->pool[at], &client->pool[at + 1],
		(--client->probes - at) * sizeof(client->pool[0]));
}

/* In the place of the oldest, in order too. */
static void remember(struct client *client, double rif)
{
	bool full = client->answers >= RECENT;
	unsigned count = full ? RECENT : client->answers + 1, at = full ? 0 : client->answers;
	double *oldest = &client->recent[client->answers++ % RECENT], *sorted = client->sorted;

	while (full && sorted[at] != *oldest)
		at++;
	for (; at > 0 && sorted[at - 1] > rif; at--)
		sorted[at] = sorted[at - 1];
	for (; at + 1 < count && sorted[at + 1] < rif; at++)
		sorted[at] = sorted[at + 1];
	*oldest = sorted[at] = rif;
}

static double hot_above(const struct client *client)
{
	unsigned count = client->answers < RECENT ? client->answers : RECENT;

	return count ? client->sorted[(unsigned)(HOT_QUANTILE * (count - 1))] : INFINITY;
}

static void answer(struct world *world, struct asked *asked)
{
	struct prequal *prequal = world->private;
	struct client *client = &prequal->client[asked->edge];

	if (client->probes == POOL)
		drop(client, 0); /* the oldest */
	asked->probe.uses = prequal->reuse;
	asked->probe.at_s = world->now_s;
	remember(client, asked->probe.rif);
	client->pool[client->probes++] = asked->probe;
}

/* First at the site, then back. */
static void event_prequal(struct world *world, uint32_t index)
{
	struct prequal *prequal = world->private;
	struct asked *asked = &prequal->asked[index];
	unsigned j = asked->probe.site;
	struct world_site *site = &world->site[j];
	double delay_s = world->scenario->delay_s[asked->edge][j];

	if (!asked->answered && !site->lost) {
		asked->answered = true;
		asked->probe.rif = (site->busy + site->queued) / (double)site->servers;
		asked->probe.latency_s = delay_s + latency_at(prequal, j, level(site));
		world_event(world, world->now_s + delay_s, index);
		return;
	}
	if (asked->answered)
		answer(world, asked);
	asked->next = prequal->free;
	prequal->free = index;
}

/* Cold ones by latency, then hot ones by requests in flight. */
static unsigned best(const struct client *client, double hot, bool worst)
{
	unsigned found = 0;
	double found_key = worst ? -INFINITY : INFINITY;

	for (unsigned i = 0; i < client->probes; i++) {
		const struct probe *probe = &client->pool[i];
		double key = probe->rif > hot ? 1e6 + probe->rif : probe->latency_s;
		if (worst ? key > found_key : key < found_key) {
			found_key = key;
			found = i;
		}
	}
	return found;
}

static void tidy(struct world *world, struct client *client, double hot)
{
	for (unsigned i = 0; i < REMOVE && client->probes > 2; i++) {
		drop(client, client->oldest_next ? 0 : best(client, hot, true));
		client->oldest_next = !client->oldest_next;
	}
	while (client->probes > 0 && world->now_s - client->pool[0].at_s > AGE_S)
		drop(client, 0);
}

static unsigned choose_prequal(struct world *world, unsigned edge)
{
	struct prequal *prequal = world->private;
	struct client *client = &prequal->client[edge];
	double hot = hot_above(client);

	for (unsigned i = 0; i < PROBES; i++)
		ask(world, edge, policy_draw(world, edge, prequal->servers));
	tidy(world, client, hot);
	if (client->probes < 2)
		return policy_draw(world, edge, prequal->servers);
	unsigned found = best(client, hot, false);
	struct probe *probe = &client->pool[found];
	unsigned site = probe->site;
	probe->rif += 1 / prequal->servers[site];
	probe->uses -= 1;
	if (probe->uses < 1 && random_uniform(&world->random) > probe->uses)
		drop(client, found);
	return site;
}

const struct policy policy_prequal = {
	.name = "prequal",
	.open = open_prequal,
	.close = close_prequal,
	.choose = choose_prequal,
	.event = event_prequal,
	.done = learn,
};
