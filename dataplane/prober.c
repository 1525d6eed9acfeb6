/* SPDX-License-Identifier: BSD-3-Clause */
#include "prober.h"
#include "path_file.h"
#include "route_check.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- paths come and go --- */

static int find(const struct prober *prober, const struct sl_path_name *name)
{
	const struct probes *probes = &prober->probes;

	for (unsigned i = 0; i < probes->slots; i++)
		if (probes->session[i] &&
		    memcmp(&probes->session[i]->path.shared->name, name, sizeof(*name)) == 0)
			return (int)i;
	return -1;
}

/* What the path's state means for its ways. */
static void show_path(struct prober *prober, const struct probe_session *s, enum target_path path)
{
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		if (s->target[f])
			prober->routes->target[s->target[f]].path = path;
}

static void show_state(struct prober *prober, struct probe_session *s)
{
	s->shown = __atomic_load_n(&s->path.shared->state, __ATOMIC_ACQUIRE);
	if (s->shown == SL_PATH_UNKNOWN || s->shown == SL_PATH_ALIVE)
		show_path(prober, s, TARGET_ALIVE);
	else
		show_path(prober, s, s->shown == SL_PATH_HELD ? TARGET_HELD : TARGET_DEAD);
}

static void end(struct prober *prober, unsigned slot)
{
	struct probes *probes = &prober->probes;
	struct probe_session *s = probes->session[slot];
	unsigned slots = probes->slots;

	__atomic_store_n(&probes->session[slot], NULL, __ATOMIC_RELEASE);
	while (slots > 0 && !probes->session[slots - 1])
		slots--;
	__atomic_store_n(&probes->slots, slots, __ATOMIC_RELEASE);
	rte_rcu_qsbr_synchronize(prober->routes->rcu, RTE_QSBR_THRID_INVALID);
	__atomic_store_n(&probes->shared->path[slot].used, 0, __ATOMIC_RELEASE);
	show_path(prober, s, TARGET_ALIVE);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++)
		routes_way_release(prober->routes, s->target[f]);
	free(s);
	routes_alive_changed(prober->routes);
}

/* The slot that the path had in an earlier run, else any without a path. */
static int slot_for(const struct prober *prober, const struct sl_path_name *name)
{
	int any = -1, unused = -1;

	for (int i = SL_PATHS_MAX - 1; i >= 0; i--) {
		const struct sl_path_slot *shared = &prober->probes.shared->path[i];

		if (prober->probes.session[i])
			continue;
		if (shared->used && memcmp(&shared->name, name, sizeof(*name)) == 0)
			return i;
		any = i;
		unused = shared->used ? unused : i;
	}
	return unused >= 0 ? unused : any;
}

/* Paths to the same reflector have ports of their own, so that their answers differ. */
static uint8_t port_for(const struct probes *probes, const struct in6_addr *reflector)
{
	unsigned used = 0;

	for (unsigned i = 0; i < probes->slots; i++)
		used += probes->session[i] &&
			IN6_ARE_ADDR_EQUAL(&probes->shared->path[i].reflector, reflector);
	return (uint8_t)(used % PROBES_PORTS);
}

/* Where no data goes (how far is a transit node?) probes go by themselves, as the kernel routes. */
static int way_of(struct prober *prober, const struct sl_msg_path *message, unsigned f)
{
	const struct sl_via straight = {
		.kind = SL_VIA_L2, .segments = 1, .segment[0] = message->reflector};
	const struct sl_via *via = &message->via[f];

	if (f == SL_INNER_IPV6 && via->kind == SL_VIA_NONE)
		via = &straight;
	return routes_way(prober->routes, via, f == SL_INNER_IPV4 ? 4 : 6);
}

/* True if the ways are taken; false and nothing changed if the table is full. */
static bool take_ways(struct prober *prober, struct probe_session *s,
		      const struct sl_msg_path *message)
{
	int target[SL_INNER_FAMILIES];

	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		target[f] = way_of(prober, message, f);
		if (target[f] < 0) {
			while (f-- > 0)
				routes_way_release(prober->routes, (unsigned)target[f]);
			return false;
		}
	}
	show_path(prober, s, TARGET_ALIVE);
	for (unsigned f = 0; f < SL_INNER_FAMILIES; f++) {
		routes_way_release(prober->routes, s->target[f]);
		__atomic_store_n(&s->target[f], (uint16_t)target[f], __ATOMIC_RELAXED);
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
	shared->interval_ns = prober->probes.interval_ns;
	shared->flags = prober->reflect.rule.key.on ? SL_PATH_AUTHENTICATED : 0;
	__atomic_store_n(&shared->used, 1, __ATOMIC_RELEASE);
}

static struct probe_session *add(struct prober *prober, const struct sl_msg_path *message)
{
	struct probes *probes = &prober->probes;
	int slot = slot_for(prober, &message->name);
	struct probe_session *s = slot < 0 ? NULL : calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!take_ways(prober, s, message)) {
		free(s);
		return NULL;
	}
	s->port = port_for(probes, &message->reflector);
	show_new(prober, &probes->shared->path[slot], message);
	path_init(&s->path, &probes->shared->path[slot]);
	__atomic_store_n(&probes->session[slot], s, __ATOMIC_RELEASE);
	if ((unsigned)slot >= probes->slots)
		__atomic_store_n(&probes->slots, (unsigned)slot + 1, __ATOMIC_RELEASE);
	probes_stir(probes);
	return s;
}

enum sl_ack_status prober_path(struct prober *prober, const struct sl_msg_path *message,
			       size_t bytes, char field[SL_NAME_MAX])
{
	enum sl_ack_status status = route_check_path(message, bytes, field);
	struct probe_session *s = NULL;
	int slot;

	if (status != SL_ACK_DONE || !prober->config->probes.on)
		return status;
	slot = find(prober, &message->name);
	if (slot >= 0 && !IN6_ARE_ADDR_EQUAL(&prober->probes.shared->path[slot].reflector,
					     &message->reflector)) {
		end(prober, (unsigned)slot);
		slot = -1;
	}
	if (slot < 0)
		s = add(prober, message);
	else if (take_ways(prober, prober->probes.session[slot], message))
		s = prober->probes.session[slot];
	if (!s)
		return SL_ACK_FULL;
	s->named = true;
	show_state(prober, s);
	routes_alive_changed(prober->routes);
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
	for (unsigned i = 0; i < prober->probes.slots; i++)
		if (prober->probes.session[i])
			prober->probes.session[i]->named = false;
}

void prober_sync(struct prober *prober)
{
	struct probes *probes = &prober->probes;

	for (unsigned i = probes->slots; i-- > 0;)
		if (probes->session[i] && !probes->session[i]->named)
			end(prober, i);
	for (unsigned i = 0; probes->shared && i < SL_PATHS_MAX; i++)
		if (!probes->session[i])
			probes->shared->path[i].used = 0;
}

/* --- what worker 0 found, and probes to us --- */

/* What died takes no flow any more when this returns, but for the workers' present bursts. */
static void show_changes(struct prober *prober)
{
	struct probes *probes = &prober->probes;
	char name[SL_PATH_NAME_TEXT];
	bool changed = false;
	eventfd_t value;

	if (eventfd_read(probes->changed, &value) < 0)
		return;
	for (unsigned i = 0; i < probes->slots; i++) {
		struct probe_session *s = probes->session[i];

		if (!s || s->shown == __atomic_load_n(&s->path.shared->state, __ATOMIC_ACQUIRE))
			continue;
		show_state(prober, s);
		changed = true;
		warnx("path %s: %s", sl_path_name_text(&s->path.shared->name, name),
		      sl_path_state_text[s->shown]);
	}
	if (changed)
		routes_alive_changed(prober->routes);
}

void prober_turn(struct prober *prober)
{
	if (prober->reflector >= 0) {
		reflect_turn(&prober->reflect, prober->reflector);
		prober->probes.shared->reflected = prober->reflect.answered;
	}
	if (prober_probes(prober))
		show_changes(prober);
}

void prober_tick(struct prober *prober)
{
	if (prober->config->probes.on)
		prober->reflect.rule.error = reflect_clock_error();
}

void prober_fds(const struct prober *prober, int fd[PROBER_FDS])
{
	fd[0] = prober->config->probes.on ? prober->probes.changed : -1;
	fd[1] = prober->reflector;
}

struct probes *prober_probes(struct prober *prober)
{
	return prober->config->probes.on ? &prober->probes : NULL;
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

static int hold_port(const struct in6_addr *address, in_port_t *port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = *address};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;
	socklen_t length = sizeof(at);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&at, &length) == 0) {
		*port = at.sin6_port;
		return fd;
	}
	ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int open_sockets(struct prober *prober)
{
	const struct in6_addr *own = &prober->config->address;
	char address[INET6_ADDRSTRLEN];
	int ret = 0;

	prober->reflector = reflect_open(own, STAMP_PORT);
	if (prober->reflector < 0)
		ret = prober->reflector;
	for (unsigned i = 0; ret == 0 && i < PROBES_PORTS; i++) {
		prober->socket[i] = hold_port(own, &prober->probes.port[i]);
		ret = prober->socket[i] < 0 ? prober->socket[i] : 0;
	}
	if (ret < 0)
		warnx("probes: [%s]:%d: %s: `address` must be one of this host's, and no other "
		      "reflector may run",
		      inet_ntop(AF_INET6, own, address, sizeof(address)), STAMP_PORT,
		      strerror(-ret));
	return ret;
}

int prober_open(struct prober *prober, const struct config *config, const struct ports *ports,
		struct routes *routes)
{
	const struct config_probes *probes = &config->probes;
	int ret;

	*prober = (struct prober){
		.config = config,
		.routes = routes,
		.reflector = -1,
		.probes =
			{
				.rule = &prober->reflect.rule,
				.routes = routes,
				.path_rule = {probes->dead_ms * 1000000ULL,
					      probes->hold_ms * 1000000ULL,
					      probes->hold_max_ms * 1000000ULL,
					      probes->synchronised},
				.interval_ns = probes->interval_ms * 1000000ULL,
					.kick = -1,
				.changed = -1,
			},
	};
	memset(prober->socket, -1, sizeof(prober->socket));
	if (!probes->on)
		return 0;
	prober->reflect.rule.on = true;
	prober->reflect.rule.address = config->address;
	prober->reflect.rule.error = reflect_clock_error();
	ret = read_key(prober);
	if (ret == 0)
		ret = open_sockets(prober);
	if (ret == 0)
		ret = path_file_open(&prober->probes.shared, config->run_dir);
	if (ret == 0)
		ret = probes_open(&prober->probes, ports);
	return ret;
}

void prober_close(struct prober *prober)
{
	if (!prober->config) /* it was not opened */
		return;
	probes_close(&prober->probes);
	for (unsigned i = 0; i < SL_PATHS_MAX; i++)
		free(prober->probes.session[i]);
	for (unsigned i = 0; i < PROBES_PORTS; i++)
		if (prober->socket[i] >= 0)
			close(prober->socket[i]);
	if (prober->reflector >= 0)
		close(prober->reflector);
	path_file_close(prober->probes.shared);
	sodium_memzero(&prober->reflect.rule.key, sizeof(prober->reflect.rule.key));
}
