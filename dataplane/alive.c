/* SPDX-License-Identifier: BSD-3-Clause */
#include "alive.h"

static bool has_way(const struct candidate *candidate, unsigned way)
{
	return candidate->way[way][SL_INNER_IPV4] || candidate->way[way][SL_INNER_IPV6];
}

/* Target 0 is never dead: a family that the way does not serve. */
static int first_alive(const struct routes *routes, const struct candidate *candidate)
{
	for (int w = 0; w < ROUTES_WAYS; w++) {
		const uint16_t *target = candidate->way[w];

		if (w > 0 && !has_way(candidate, (unsigned)w))
			continue;
		if (!routes->target[target[SL_INNER_IPV4]].dead &&
		    !routes->target[target[SL_INNER_IPV6]].dead)
			return w;
	}
	return ALIVE_NONE;
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
	uint32_t share[SL_CANDIDATES_MAX];
};

/* True if that gives anybody a share. */
static bool share(const struct service *service, struct outcome *out,
		  uint32_t (*of)(const struct candidate *))
{
	bool some = false;

	for (unsigned i = 0; i < service->choose.candidates; i++) {
		out->share[i] = out->serves[i] == ALIVE_NONE ? 0 : of(&service->candidate[i]);
		some |= out->share[i] > 0;
	}
	return some;
}

static void decide(const struct routes *routes, const struct service *service, struct outcome *out)
{
	for (unsigned i = 0; i < service->choose.candidates; i++)
		out->serves[i] = (int8_t)first_alive(routes, &service->candidate[i]);
	if (share(service, out, by_weight) || share(service, out, by_standby))
		return;
	for (unsigned i = 0; i < service->choose.candidates; i++)
		if (out->serves[i] == ALIVE_NONE)
			out->serves[i] = 0;
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
