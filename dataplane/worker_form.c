/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

static bool any_cpu(void)
{
	return true;
}

#if defined(__x86_64__)
/* The hash of the x86 forms; the portable one has its own, and pins tell them apart. */
static bool has_aes(void)
{
	return strcmp(pin_hash_form(), "aes") == 0;
}

static bool has_v2(void)
{
	return has_aes() && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
}

static bool has_v3(void)
{
	return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
}

static bool has_v4(void)
{
	return has_v3() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static const struct {
	const struct worker_form *form;
	bool (*usable)(void);
} forms[] = {
#if defined(__x86_64__)
	{&worker_form_v4, has_v4},
	{&worker_form_v3, has_v3},
	{&worker_form_v2, has_v2},
#endif
	{&worker_form_portable, any_cpu},
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

const struct worker_form *worker_form(void)
{
	const char *name = getenv("SUANLU_FORM");
	const struct worker_form *best = NULL;

	for (unsigned i = 0; i < FORMS; i++) {
		if (!forms[i].usable())
			continue;
		if (name && strcmp(name, forms[i].form->name) == 0)
			return forms[i].form;
		if (!best)
			best = forms[i].form;
	}
	return best;
}

struct worker_way worker_way(const struct worker *worker, const struct flow_key *key)
{
	return worker_form()->way(worker, key);
}
