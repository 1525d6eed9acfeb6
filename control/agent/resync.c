/* SPDX-License-Identifier: BSD-3-Clause */
#include "resync.h"
#include "flows.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define OPEN_STATES (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)

struct state {
	struct flows open; /* seen: the service */
	int (*service_of)(void *context, uint16_t port);
	void *context;
	int err;
};

static void take_open(struct state *state, uint64_t cookie, unsigned service)
{
	struct flow *flow = flows_find(&state->open, cookie);

	if (!flow)
		flow = flows_add(&state->open, cookie);
	if (flow)
		flow->seen = service;
	else
		state->err = -ENOMEM;
}

static void take_dumped(void *context, const struct source_socket *socket)
{
	struct state *state = context;
	int service = state->service_of(state->context, socket->port);

	if (service >= 0)
		take_open(state, socket->cookie, (unsigned)service);
}

/* In their order: what the dump has, or has not, of these does not matter then. */
static void take_notes(struct state *state, const struct kernel_noted *noted)
{
	for (unsigned i = 0; i < noted->notes; i++) {
		const struct kernel_note *note = &noted->note[i];
		struct flow *flow = flows_find(&state->open, note->cookie);

		if (!note->ended)
			take_open(state, note->cookie, note->service);
		else if (flow)
			flows_remove(&state->open, flow);
	}
}

static int correct(struct state *state, struct kernel *kernel, const struct kernel_noted *noted)
{
	int64_t open[KERNEL_SERVICES_MAX] = {0};
	int changes = 0;

	for (uint64_t i = 0; i <= state->open.mask; i++)
		if (state->open.slot[i].cookie)
			open[state->open.slot[i].seen]++;
	for (unsigned i = 0; i < KERNEL_SERVICES_MAX; i++) {
		int64_t by = open[i] - noted->present[i];

		if (by)
			kernel_correct(kernel, i, by);
		changes += (int)llabs(by);
	}
	return changes;
}

int resync(struct kernel *kernel, struct source *source,
	   int (*service_of)(void *context, uint16_t port), void *context)
{
	struct state state = {.service_of = service_of, .context = context};
	struct kernel_noted noted;
	int err = flows_init(&state.open), lost;

	if (err < 0)
		return err;
	kernel_note(kernel);
	err = source_dump(source, OPEN_STATES, take_dumped, &state);
	lost = kernel_noted(kernel, &noted);
	if (!err)
		err = lost ? lost : state.err;
	if (!err)
		take_notes(&state, &noted);
	if (!err)
		err = state.err ? state.err : correct(&state, kernel, &noted);
	flows_clear(&state.open);
	return err;
}
