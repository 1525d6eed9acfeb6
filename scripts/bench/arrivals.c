/* SPDX-License-Identifier: BSD-3-Clause */
#include "arrivals.h"

#include <math.h>
#include <rte_cycles.h>

#define GAPS 65536

static float
	gap[GAPS]; /* exponential, mean 1: drawn before, a logarithm costs as much as a packet */

void arrivals_init(void)
{
	uint64_t random = 88172645463325252ull;
	double sum = 0;

	for (unsigned i = 0; i < GAPS; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		gap[i] = -log(((random >> 40) + 0.5) / (1 << 24));
		sum += gap[i];
	}
	for (unsigned i = 0; i < GAPS; i++)
		gap[i] *= GAPS / sum;
}

void arrivals_rate(struct arrivals *arrivals, double per_s)
{
	double ticks = per_s > 0 ? rte_get_tsc_hz() / per_s : 0;

	__atomic_store(&arrivals->wanted, &ticks, __ATOMIC_RELAXED);
}

/* In the mean so many have come since the first that waits. */
static void lose(struct arrivals *arrivals, uint64_t now)
{
	double waiting = now > arrivals->next ? (now - arrivals->next) / arrivals->ticks_each : 0;
	uint64_t lost;

	if (waiting <= ARRIVALS_WAIT_MAX)
		return;
	lost = waiting - ARRIVALS_WAIT_MAX;
	arrivals->next += lost * arrivals->ticks_each;
	__atomic_store_n(&arrivals->lost, arrivals->lost + lost, __ATOMIC_RELAXED);
}

unsigned arrivals_due(struct arrivals *arrivals, uint64_t now, uint64_t *when, unsigned max)
{
	double wanted;
	unsigned n = 0;

	__atomic_load(&arrivals->wanted, &wanted, __ATOMIC_RELAXED);
	if (wanted != arrivals->ticks_each) {
		arrivals->ticks_each = wanted;
		arrivals->next = now;
	}
	if (wanted == 0)
		for (; n < max; n++)
			when[n] = now;
	else
		lose(arrivals, now);
	while (n < max && arrivals->next <= now) {
		when[n++] = arrivals->next;
		arrivals->next += gap[arrivals->at++ % GAPS] * wanted;
	}
	return n;
}

static double ns(double ticks)
{
	return ticks * 1e9 / rte_get_tsc_hz();
}

double delays_mean(const struct delays *delays, unsigned n)
{
	uint64_t count = 0, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		count += delays[i].n;
		sum += delays[i].sum;
	}
	return count ? ns((double)sum / count) : 0;
}

double delays_quantile(const struct delays *delays, unsigned n, double quantile)
{
	uint64_t all = 0, seen = 0;

	for (unsigned i = 0; i < n; i++)
		all += delays[i].n;
	for (unsigned step = 0; step < DELAYS_STEPS; step++) {
		unsigned power = step < DELAYS_FINE ? 0 : step / DELAYS_FINE - 1;

		for (unsigned i = 0; i < n; i++)
			seen += delays[i].count[step];
		if (seen > 0 && seen >= quantile * all)
			return ns((step - power * DELAYS_FINE + 0.5) * (1ull << power));
	}
	return 0;
}
