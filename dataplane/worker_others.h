/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows of other workers. The card spreads packets over workers by a hash that knows neither our
 * affinity nor what belongs together: another flow of a client whose first one is pinned
 * elsewhere, a fragment (hashed without ports), an ICMP error about a flow (hashed by its router).
 * So where these have no pin here, the others' tables are read: a racing write there at worst
 * shows the pin of a moment ago. Part of worker.c; out of line.
 */
#pragma once

/* The pin of a flow in another worker's table; entry NULL: none. It is not to be used or renewed.
 */
static __attribute__((noinline, cold)) struct pin_hit
pin_of_others(const struct worker *w, const struct burst *b, const struct passing *p)
{
	const struct worker *all = w - w->index;

	for (unsigned i = 0; i <= w->others; i++) {
		struct pin_hit hit = {0};

		if (i != w->index)
			hit = pin_lookup(&all[i].pins, p->hash, b->now_s, p->service->idle_s);
		if (hit.entry)
			return hit;
	}
	return (struct pin_hit){0};
}

/* Goes where another worker pinned it, and is pinned there by this one too. */
static __attribute__((noinline, cold)) bool settle_by_others(struct worker *w, struct burst *b,
							     struct passing *p)
{
	struct pin_hit hit = pin_lookup(&w->pins, p->hash, b->now_s, p->service->idle_s);
	struct member member;

	if (settle_pinned(w, b, p, hit)) /* an earlier packet of this burst */
		return true;
	hit = pin_of_others(w, b, p);
	if (!hit.entry)
		return false;
	member = member_of(w, hit.member);
	if (!pin_holds(&member, p->service, p->tcp_flags))
		return false;
	settle(w, p, &member, hit.member);
	w->counters->pins_inserted++;
	w->counters->pins_evicted += pin_insert(&w->pins, p->hash, hit.member, p->tcp_flags,
						b->now_s, p->service->idle_s) == PIN_EVICTED;
	return true;
}
