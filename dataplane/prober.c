/* SPDX-License-Identifier: BSD-3-Clause */
#include "prober.h"
#include "path_file.h"
#include "probe_socket.h"
#include "route_check.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ULL
#define TURN_SLOTS 64
#define NICE -15

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static uint64_t interval_ns(const struct prober *prober)
{
	return prober->config->probes.interval_ms * 1000000ULL;
}

/* Many paths take turns within the interval, so that no queue on the way must hold all of them. */
static unsigned turns(const struct prober *prober)
{
	return prober->slots ? (prober->slots + TURN_SLOTS - 1) / TURN_SLOTS : 1;
}

/* --- paths come and go --- */

static void arm(struct prober *prober)
{
	uint64_t at_ns = prober->judge_ns < prober->due_ns ? prober->judge_ns : prober->due_ns;
	struct itimerspec when = {0};

	when.it_value.tv_sec = (time_t)(at_ns / SECOND_NS);
	when.it_value.tv_nsec = (long)(at_ns % SECOND_NS);
	timerfd_settime(prober->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int find(const struct prober *prober, const struct sl_path_name *name)
{
	for (unsigned i = 0; i < prober->slots; i++)
		if (prober->session[i] &&
		    memcmp(&prober->session[i]->path.shared->name, name, sizeof(*name)) == 0)
			return (int)i;
	return -1;
}

/* What the path's state means for its ways. */
static void show_path(struct prober *prober, const struct prober_session *s, enum target_path path)
{
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (s->target[f])
			prober->routes->target[s->target[f]].path = path;
}

static enum target_path path_of(const struct prober_session *s)
{
	if (path_takes_flows(s->path.shared))
		return TARGET_ALIVE;
	return s->path.shared->state == SL_PATH_HELD ? TARGET_HELD : TARGET_DEAD;
}

static void release(struct prober *prober, unsigned slot)
{
	struct prober_session *s = prober->session[slot];

	show_path(prober, s, TARGET_ALIVE);

	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		routes_way_release(prober->routes, s->target[f]);
	prober->session[slot] = NULL;
	free(s);
	while (prober->slots > 0 && !prober->session[prober->slots - 1])
		prober->slots--;
}

static void end(struct prober *prober, unsigned slot)
{
	__atomic_store_n(&prober->shared->path[slot].used, 0, __ATOMIC_RELEASE);
	release(prober, slot);
	routes_alive_changed(prober->routes);
	if (prober->slots == 0)
		prober->due_ns = 0;
}

/* The slot that the path had in an earlier run, else any without a path. */
static int slot_for(const struct prober *prober, const struct sl_path_name *name)
{
	int any = -1, unused = -1;

	for (int i = SL_PATHS_MAX - 1; i >= 0; i--) {
		const struct sl_path_slot *shared = &prober->shared->path[i];

		if (prober->session[i])
			continue;
		if (shared->used && memcmp(&shared->name, name, sizeof(*name)) == 0)
			return i;
		any = i;
		unused = shared->used ? unused : i;
	}
	return unused >= 0 ? unused : any;
}

/* Paths to the same reflector have sockets of their own, so that their answers differ. */
static uint8_t socket_for(struct prober *prober, const struct in6_addr *reflector)
{
	unsigned used = 0, best = 0;

	for (unsigned i = 0; i < prober->slots; i++)
		used += prober->session[i] &&
			IN6_ARE_ADDR_EQUAL(&prober->shared->path[i].reflector, reflector);
	best = used % PROBER_SOCKETS_MAX;
	while (prober->sockets <= best) {
		int fd =
			probe_socket_open(&prober->config->address, &prober->port[prober->sockets]);
		if (fd < 0) {
			warnx("warning: probes: no socket: %s", strerror(-fd));
			return prober->sockets ? best % prober->sockets : 0;
		}
		prober->socket[prober->sockets++] = fd;
	}
	return (uint8_t)best;
}

/* True if the ways are taken; false and nothing changed if the table is full. */
static bool take_ways(struct prober *prober, struct prober_session *s,
		      const struct sl_msg_path *message)
{
	int target[SL_INNER_FAMILIES];

	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		target[f] =
			routes_way(prober->routes, &message->via[f], f == SL_INNER_IPV4 ? 4 : 6);
		if (target[f] < 0) {
			while (f-- > 0)
				routes_way_release(prober->routes, (unsigned)target[f]);
			return false;
		}
	}
	show_path(prober, s, TARGET_ALIVE);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		routes_way_release(prober->routes, s->target[f]);
		s->target[f] = (uint16_t)target[f];
	}
	prober->routes->targets_changed(prober->routes->context);
	return true;
}

static void show_new(struct prober *prober, struct sl_path_slot *shared,
		     const struct sl_msg_path *message)
{
	bool same = shared->used &&
		    memcmp(&shared->name, &message->name, sizeof(shared->name)) == 0 &&
		    IN6_ARE_ADDR_EQUAL(&shared->reflector, &message->reflector);

	if (!same) {
		__atomic_store_n(&shared->used, 0, __ATOMIC_RELEASE);
		memset(shared, 0, sizeof(*shared));
		shared->name = message->name;
		shared->reflector = message->reflector;
	}
	shared->interval_ns = interval_ns(prober);
	shared->flags = prober->reflect.rule.key.on ? SL_PATH_AUTHENTICATED : 0;
	__atomic_store_n(&shared->used, 1, __ATOMIC_RELEASE);
}

static struct prober_session *add(struct prober *prober, const struct sl_msg_path *message)
{
	int slot = slot_for(prober, &message->name);
	struct prober_session *s = slot < 0 ? NULL : calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->socket = socket_for(prober, &message->reflector);
	if (prober->sockets == 0 || !take_ways(prober, s, message)) {
		free(s);
		return NULL;
	}
	show_new(prober, &prober->shared->path[slot], message);
	path_init(&s->path, &prober->shared->path[slot]);
	prober->session[slot] = s;
	if ((unsigned)slot >= prober->slots)
		prober->slots = (unsigned)slot + 1;
	return s;
}

enum sl_ack_status prober_path(struct prober *prober, const struct sl_msg_path *message,
			       size_t bytes, char field[SL_NAME_MAX])
{
	enum sl_ack_status status = route_check_path(message, bytes, field);
	struct prober_session *s = NULL;
	int slot;

	if (status != SL_ACK_DONE || !prober->config->probes.on)
		return status;
	slot = find(prober, &message->name);
	if (slot >= 0 &&
	    !IN6_ARE_ADDR_EQUAL(&prober->shared->path[slot].reflector, &message->reflector)) {
		end(prober, (unsigned)slot);
		slot = -1;
	}
	if (slot >= 0)
		s = take_ways(prober, prober->session[slot], message) ? prober->session[slot]
								      : NULL;
	else
		s = add(prober, message);
	if (!s)
		return SL_ACK_FULL;
	s->named = true;
	show_path(prober, s, path_of(s));
	routes_alive_changed(prober->routes);
	if (prober->due_ns == 0)
		prober->due_ns = prober->since_ns = clock_ns(CLOCK_MONOTONIC);
	arm(prober);
	return SL_ACK_DONE;
}

void prober_path_end(struct prober *prober, const struct sl_msg_path *message, size_t bytes)
{
	char field[SL_NAME_MAX];
	int slot = -1;

	if (route_check_path(message, bytes, field) == SL_ACK_DONE)
		slot = find(prober, &message->name);
	if (slot >= 0)
		end(prober, (unsigned)slot);
}

void prober_hello(struct prober *prober)
{
	for (unsigned i = 0; i < prober->slots; i++)
		if (prober->session[i])
			prober->session[i]->named = false;
}

void prober_sync(struct prober *prober)
{
	for (unsigned i = prober->slots; i-- > 0;)
		if (prober->session[i] && !prober->session[i]->named)
			end(prober, i);
	for (unsigned i = 0; prober->shared && i < SL_PATHS_MAX; i++)
		if (!prober->session[i])
			prober->shared->path[i].used = 0;
}

/* --- answers --- */

static bool is_from(const struct prober *prober, unsigned slot, unsigned socket,
		    const struct in6_addr *from)
{
	return slot < prober->slots && prober->session[slot] &&
	       prober->session[slot]->socket == socket &&
	       IN6_ARE_ADDR_EQUAL(&prober->shared->path[slot].reflector, from);
}

/* By the id that it repeats; of a reflector that knows none, by its address and our port. */
static struct prober_session *session_of(const struct prober *prober, unsigned socket,
					 const struct in6_addr *from, uint16_t id)
{
	if (id > 0 && is_from(prober, id - 1u, socket, from))
		return prober->session[id - 1];
	for (unsigned i = 0; id == 0 && i < prober->slots; i++)
		if (is_from(prober, i, socket, from))
			return prober->session[i];
	return NULL;
}

static void take(void *context, unsigned socket, const struct probe_arrival *arrival)
{
	struct prober *prober = context;
	bool synchronised = prober->reflect.rule.error & STAMP_SYNCHRONISED;
	struct prober_session *s = NULL;
	struct stamp_reply reply;

	if (stamp_reply_read(arrival->data, arrival->bytes, &prober->reflect.rule.key, &reply))
		s = session_of(prober, socket, &arrival->from, reply.session);
	if (s)
		path_answer(&s->path, &prober->rule, &reply, synchronised, arrival->unix_ns,
			    arrival->at_ns);
	else
		prober->shared->unknown++;
}

/* --- probes --- */

static int interface_of(const struct prober *prober, uint16_t port)
{
	for (unsigned i = 0; i < prober->ports->ports; i++)
		if (prober->ports->port[i].id == port)
			return prober->ports->port[i].ifindex;
	return 0;
}

/* The next TURN_SLOTS paths; eight at a time, as what is stamped first must not wait for the last.
 */
static void send_turn(struct prober *prober, uint64_t now_ns)
{
	struct probe_batch batch = {.fd = prober->packets};
	unsigned first = prober->next_slot >= prober->slots ? 0 : prober->next_slot;

	prober->next_slot = first + TURN_SLOTS;
	for (unsigned i = first; i < prober->slots && i < prober->next_slot; i++) {
		struct prober_session *s = prober->session[i];
		struct probe_frame frame = {
			.source = prober->config->address,
			.key = &prober->reflect.rule.key,
			.probe = {.error = prober->reflect.rule.error, .session = i + 1},
		};

		if (!s)
			continue;
		frame.probe.sent_ns = (int64_t)clock_ns(CLOCK_REALTIME);
		frame.probe.sequence = path_send(&s->path, frame.probe.sent_ns, now_ns);
		frame.reflector = s->path.shared->reflector;
		frame.source_port = prober->port[s->socket];
		frame.encap = prober->routes->encap[s->target[SL_INNER_IPV6]];
		if (s->target[SL_INNER_IPV6] == 0)
			probe_socket_send(prober->socket[s->socket], &frame);
		else if (frame.encap->kind != SL_VIA_NONE)
			probe_batch_add(&batch, &frame, interface_of(prober, frame.encap->port));
	}
	probe_batch_send(&batch);
}

static uint64_t judged_from(const struct prober *prober, uint64_t now_ns)
{
	uint64_t newest_ns = 0;

	for (unsigned i = 0; i < prober->slots; i++) {
		const struct prober_session *s = prober->session[i];

		if (s && s->path.shared->state == SL_PATH_ALIVE &&
		    s->path.shared->heard_ns > newest_ns)
			newest_ns = s->path.shared->heard_ns;
	}
	return path_judged_from(&prober->rule, newest_ns, prober->since_ns, now_ns);
}

/* What dies here takes no flow any more when this returns, but for the workers' present bursts. */
static void judge(struct prober *prober, uint64_t now_ns)
{
	uint64_t from_ns = judged_from(prober, now_ns);
	bool changed = false;

	prober->judge_ns = UINT64_MAX;
	for (unsigned i = 0; i < prober->slots; i++) {
		struct prober_session *s = prober->session[i];
		char name[SL_PATH_NAME_TEXT];
		uint64_t deadline_ns;
		bool differs;

		if (!s)
			continue;
		differs = path_judge(&s->path, &prober->rule, now_ns, from_ns);
		deadline_ns = path_deadline(&s->path, &prober->rule, from_ns);
		if (deadline_ns < prober->judge_ns)
			prober->judge_ns = deadline_ns;
		if (!differs)
			continue;
		show_path(prober, s, path_of(s));
		changed = true;
		warnx("path %s: %s", sl_path_name_text(&s->path.shared->name, name),
		      sl_path_state_text[s->path.shared->state]);
	}
	if (changed)
		routes_alive_changed(prober->routes);
}

void prober_turn(struct prober *prober)
{
	uint64_t expired, now_ns;

	if (prober->reflector >= 0) {
		reflect_turn(&prober->reflect, prober->reflector);
		prober->shared->reflected = prober->reflect.answered;
	}
	if (prober->timer < 0 || read(prober->timer, &expired, sizeof(expired)) < 0)
		return;
	for (unsigned i = 0; i < prober->sockets; i++)
		probe_socket_receive(prober->socket[i], i, take, prober);
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (prober->due_ns && now_ns >= prober->due_ns) {
		if (now_ns - prober->due_ns > interval_ns(prober))
			prober->due_ns = prober->since_ns = now_ns; /* we were held up */
		send_turn(prober, now_ns);
		prober->due_ns += interval_ns(prober) / turns(prober);
	}
	judge(prober, now_ns);
	__atomic_store_n(&prober->shared->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
	if (prober->due_ns)
		arm(prober);
}

void prober_tick(struct prober *prober)
{
	if (prober->config->probes.on)
		prober->reflect.rule.error = reflect_clock_error();
}

void prober_fds(const struct prober *prober, int fd[PROBER_FDS])
{
	fd[0] = prober->timer;
	fd[1] = prober->reflector;
}

/* --- start and end --- */

static int read_key(struct prober *prober)
{
	const char *file = prober->config->probes.key_file;
	uint8_t secret[SL_PROBE_KEY_MAX];
	char why[256];
	int bytes;

	if (!file)
		return 0;
	bytes = config_probe_key(file, secret, why, sizeof(why));
	if (bytes < 0) {
		warnx("probes.key: %s", why);
		return bytes;
	}
	stamp_key_set(&prober->reflect.rule.key, secret, (size_t)bytes);
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

static int open_fds(struct prober *prober)
{
	char address[INET6_ADDRSTRLEN];

	prober->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	prober->packets = probe_packets_open();
	if (prober->timer < 0 || prober->packets < 0) {
		warn("probes");
		return -errno;
	}
	prober->reflector = reflect_open(&prober->config->address, STAMP_PORT);
	if (prober->reflector < 0) {
		warnx("probes: [%s]:%d: %s: `address` must be one of this host's, and no other "
		      "reflector may run",
		      inet_ntop(AF_INET6, &prober->config->address, address, sizeof(address)),
		      STAMP_PORT, strerror(-prober->reflector));
		return prober->reflector;
	}
	return 0;
}

int prober_open(struct prober *prober, const struct config *config, const struct ports *ports,
		struct routes *routes)
{
	const struct config_probes *probes = &config->probes;
	int ret;

	*prober = (struct prober){
		.config = config,
		.ports = ports,
		.routes = routes,
		.rule = {probes->dead_ms * 1000000ULL, probes->hold_ms * 1000000ULL,
			 probes->hold_max_ms * 1000000ULL, probes->synchronised},
		.judge_ns = UINT64_MAX,
		.timer = -1,
		.packets = -1,
		.reflector = -1,
	};
	if (!probes->on)
		return 0;
	/* This thread alone: on a busy host its turn must come within a few milliseconds, or paths
	 * seem dead. Without the right to it they only seem so sooner. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	prober->reflect.rule.on = true;
	prober->reflect.rule.address = config->address;
	prober->reflect.rule.error = reflect_clock_error();
	ret = read_key(prober);
	if (ret == 0)
		ret = open_fds(prober);
	if (ret == 0)
		ret = path_file_open(&prober->shared, config->run_dir);
	return ret;
}

void prober_close(struct prober *prober)
{
	for (unsigned i = 0; i < SL_PATHS_MAX; i++)
		free(prober->session[i]);
	for (unsigned i = 0; i < prober->sockets; i++)
		close(prober->socket[i]);
	if (prober->reflector >= 0)
		close(prober->reflector);
	if (prober->packets >= 0)
		close(prober->packets);
	if (prober->timer >= 0)
		close(prober->timer);
	path_file_close(prober->shared);
	sodium_memzero(&prober->reflect.rule.key, sizeof(prober->reflect.rule.key));
}
