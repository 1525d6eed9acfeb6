/* SPDX-License-Identifier: BSD-3-Clause */
#include "resync.h"
#include "flows.h"
#include <errno.h>
#include <netinet/tcp.h>

#define OPEN_STATES (1u << TCP_ESTABLISHED | 1u << TCP_CLOSE_WAIT)

struct state {
	struct kernel *kernel;
	struct flows known, dumped;
	int (*service_of)(void *context, uint16_t port);
	void *context;
	int changes, err;
};

static void note_known(void *context, unsigned service, uint64_t cookie)
{
	struct state *state = context;
	struct flow *flow = flows_find(&state->known, cookie);

	if (!flow)
		flow = flows_add(&state->known, cookie);
	if (flow)
		flow->seen = service;
	else
		state->err = -ENOMEM;
}

static void note_dumped(void *context, const struct source_socket *socket)
{
	struct state *state = context;
	int service = state->service_of(state->context, socket->port);

	if (service < 0 || flows_find(&state->dumped, socket->cookie))
		return;
	if (!flows_add(&state->dumped, socket->cookie))
		state->err = -ENOMEM;
	else
		state->changes += kernel_know(state->kernel, (unsigned)service, socket->cookie);
}

/* Known before the dump and not in it: it has ended, though it may still be taken out itself. */
static void forget_ended(struct state *state)
{
	for (uint64_t i = 0; i <= state->known.mask; i++) {
		const struct flow *flow = &state->known.slot[i];

		if (flow->cookie && !flows_find(&state->dumped, flow->cookie))
			state->changes +=
				kernel_forget(state->kernel, (unsigned)flow->seen, flow->cookie);
	}
}

int resync(struct kernel *kernel, struct source *source,
	   int (*service_of)(void *context, uint16_t port), void *context)
{
	struct state state = {.kernel = kernel, .service_of = service_of, .context = context};
	int err = flows_init(&state.known);

	if (!err)
		err = flows_init(&state.dumped);
	if (!err) {
		kernel_each(kernel, note_known, &state);
		err = source_dump(source, OPEN_STATES, note_dumped, &state);
	}
	if (!err)
		err = state.err;
	if (!err)
		forget_ended(&state);
	flows_clear(&state.known);
	flows_clear(&state.dumped);
	return err ? err : state.changes;
}
