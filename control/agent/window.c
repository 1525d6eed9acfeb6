/* SPDX-License-Identifier: BSD-3-Clause */
#include "window.h"
#include <math.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define SLOT_NS (NS_PER_S / 20)
#define WINDOW_NS NS_PER_S
#define COMPLETIONS_MIN 20
#define COMPLETIONS_FEW 5

static void add(struct window_sums *to, const struct window_sums *from)
{
	to->span_ns += from->span_ns;
	to->ticks += from->ticks;
	to->busy_ns += from->busy_ns;
	to->idle_ticks += from->idle_ticks;
	to->arrivals += from->arrivals;
	to->completions += from->completions;
	to->requests += from->requests;
	to->timed += from->timed;
	to->timed_s += from->timed_s;
	to->timed_s2 += from->timed_s2;
	to->sojourns += from->sojourns;
	to->sojourn_s += from->sojourn_s;
}

void window_add(struct window *window, const struct window_sums *sums)
{
	add(&window->slot[window->head], sums);
	if (window->slot[window->head].span_ns < SLOT_NS)
		return;
	window->head = (window->head + 1) % WINDOW_SLOTS;
	memset(&window->slot[window->head], 0, sizeof(*window->slot));
}

struct window_sums window_sum(const struct window *window, uint64_t completions, uint64_t timed)
{
	struct window_sums sum = {0};

	for (unsigned i = 0; i < WINDOW_SLOTS; i++) {
		if (sum.span_ns >= WINDOW_NS && sum.completions >= completions &&
		    sum.timed >= timed)
			break;
		add(&sum, &window->slot[(window->head + WINDOW_SLOTS - i) % WINDOW_SLOTS]);
	}
	return sum;
}

struct window_sums window_completions(const struct window *window, uint32_t servers)
{
	const uint64_t enough = servers > COMPLETIONS_MIN ? servers : COMPLETIONS_MIN;
	struct window_sums sum = window_sum(window, enough, 0);
	const bool whole_minute = sum.span_ns >= (WINDOW_SLOTS - 2) * SLOT_NS;

	if (sum.completions < (whole_minute ? COMPLETIONS_FEW : enough))
		sum.completions = 0;
	return sum;
}

double window_sampled_s(const struct window_sums *sums)
{
	return sums->completions ? (double)sums->busy_ns / (double)sums->completions / NS_PER_S : 0;
}

double window_scv(const struct window_sums *sums, double noise_s2)
{
	double mean_s = sums->timed ? sums->timed_s / (double)sums->timed : 0, variance_s2;

	if (!(mean_s > 0))
		return -1;
	variance_s2 = sums->timed_s2 / (double)sums->timed - mean_s * mean_s - noise_s2;
	return fmax(variance_s2, 0) / (mean_s * mean_s);
}
