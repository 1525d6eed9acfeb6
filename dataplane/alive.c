/* SPDX-License-Identifier: BSD-3-Clause */
#include "alive.h"

static bool has_way(const struct candidate *candidate, unsigned way)
{
	return candidate->way[way][SL_INNER_IPV4] || candidate->way[way][SL_INNER_IPV6];
}

/* Target 0 is always alive: a family that the way does not serve. */
static enum target_path path_of(const struct routes *routes, const uint16_t target[])
{
	enum target_path ipv4 = routes->target[target[SL_INNER_IPV4]].path;
	enum target_path ipv6 = routes->target[target[SL_INNER_IPV6]].path;

	return ipv4 > ipv6 ? ipv4 : ipv6;
}

/* The first way that is as good as the best; what its path is like goes to *best. */
static int best_way(const struct routes *routes, const struct candidate *candidate,
		    enum target_path *best)
{
	int way = ALIVE_NONE;

	*best = TARGET_DEAD;
	for (unsigned w = 0; w < ROUTES_WAYS; w++) {
		enum target_path path = path_of(routes, candidate->way[w]);

		if ((w > 0 && !has_way(candidate, w)) || path >= *best)
			continue;
		*best = path;
		way = (int)w;
	}
	return way;
}

/* What a candidate's share is at each step of the rules above. */
static uint32_t by_weight(const struct candidate *candidate)
{
	return candidate->weight;
}

static uint32_t by_standby(const struct candidate *candidate)
{
	return candidate->standby;
}

struct outcome {
	int8_t serves[SL_CANDIDATES_MAX];
	bool alive[SL_CANDIDATES_MAX];
	uint32_t share[SL_CANDIDATES_MAX];
};

/* True if that gives anybody a share. */
static bool share(const struct service *service, struct outcome *out,
		  uint32_t (*of)(const struct candidate *))
{
	bool some = false;

	for (unsigned i = 0; i < service->choose.candidates; i++) {
		out->share[i] = out->alive[i] ? of(&service->candidate[i]) : 0;
		some |= out->share[i] > 0;
	}
	return some;
}

static void decide(const struct routes *routes, const struct service *service, struct outcome *out)
{
	for (unsigned i = 0; i < service->choose.candidates; i++) {
		enum target_path path;

		out->serves[i] = (int8_t)best_way(routes, &service->candidate[i], &path);
		out->alive[i] = path == TARGET_ALIVE;
	}
	if (share(service, out, by_weight) || share(service, out, by_standby))
		return;
	for (unsigned i = 0; i < service->choose.candidates; i++) {
		out->alive[i] = true;
		if (out->serves[i] == ALIVE_NONE)
			out->serves[i] = 0;
	}
	share(service, out, by_weight);
}

void alive_decide(const struct routes *routes, struct service *service)
{
	struct outcome out;

	decide(routes, service, &out);
	for (unsigned i = 0; i < service->choose.candidates; i++) {
		service->candidate[i].serves = out.serves[i];
		service->candidate[i].share = out.share[i];
	}
}

bool alive_differs(const struct routes *routes, const struct service *service)
{
	struct outcome out;

	decide(routes, service, &out);
	for (unsigned i = 0; i < service->choose.candidates; i++)
		if (service->candidate[i].serves != out.serves[i] ||
		    service->candidate[i].share != out.share[i])
			return true;
	return false;
}
