/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.h"
#include "../clock.h"
#include "bucket.h"
#include "bus_text.h"
#include <errno.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS 2000
#define PING_MS 500  /* a server that hangs is left after three of these */
#define AGAIN_MS 250 /* between rounds of tries, and as much again by chance */
#define WRITE_MS 500
#define CLOSE_S 4 /* it may look after the bucket */
#define PENDING_MAX 8192
#define PENDING_BYTES (16 << 20)
#define BUCKET_AGAIN_MS 2000
#define BUCKET_LOOK_MS 10000 /* a server that had it alone may end, or somebody deletes it */

/*
 * The thread owns nc and sub: it alone makes and ends them, with the lock held where others look.
 * Callbacks of libnats come from its threads and only set what is behind the lock.
 */
struct bus {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started, deaf; /* deaf: nobody takes messages any more */
	natsOptions *options;
	bus_take *take;
	void *argument;
	natsConnection *nc; /* NULL: none */
	natsSubscription *sub;
	bool tried;			     /* to connect; the thread's own */
	bool closing, connecting, abandoned; /* abandoned: the thread frees all of this */
	bool closed, quiet;		     /* no more callbacks of nc; of sub */
	bool renewed;			     /* connected since the bucket was looked at */
	char servers[80];		     /* that are configured, for people */
	struct bus_status status;
};

static void say(struct bus *bus, const char *what, const char *why)
{
	snprintf(bus->status.error, sizeof(bus->status.error), "%s%s%.120s", what,
		 *what ? ": " : "", why);
}

static void say_unreachable(struct bus *bus, natsStatus status)
{
	snprintf(bus->status.error, sizeof(bus->status.error), "%s: %.100s%s", bus->servers,
		 bus_plain(nats_GetLastError(NULL), status), bus_remedy(status));
}

/* --- callbacks, on threads of libnats ------------------------------------------------------ */

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *message, void *argument)
{
	struct bus *bus = argument;

	(void)nc;
	(void)sub;
	if (!__atomic_load_n(&bus->deaf, __ATOMIC_ACQUIRE))
		bus->take(bus->argument, natsMsg_GetSubject(message), natsMsg_GetData(message),
			  (size_t)natsMsg_GetDataLength(message));
	natsMsg_Destroy(message);
}

static void on_complete(void *argument)
{
	struct bus *bus = argument;

	pthread_mutex_lock(&bus->lock);
	bus->quiet = true;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

/* Of one connection the closing comes last, and hang_up waits for it. */
static void follow(struct bus *bus, natsConnection *nc, bool connected, bool closed)
{
	const char *why = NULL;

	pthread_mutex_lock(&bus->lock);
	bus->status.connected = connected;
	bus->status.connects += connected;
	bus->status.bucket &= connected;
	bus->renewed |= connected;
	bus->closed |= closed;
	if (connected)
		bus->status.error[0] = '\0';
	else if (!bus->closing && natsConnection_GetLastError(nc, &why) != NATS_OK)
		say(bus, "", why && *why ? bus_plain(why, NATS_OK) : "connection lost");
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

static void on_disconnected(natsConnection *nc, void *argument)
{
	follow(argument, nc, false, false);
}

static void on_reconnected(natsConnection *nc, void *argument)
{
	follow(argument, nc, true, false);
}

static void on_closed(natsConnection *nc, void *argument)
{
	follow(argument, nc, false, true);
}

/* Above all what the server does not permit; slow consumers are counted. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *argument)
{
	struct bus *bus = argument;
	const char *why = NULL;

	(void)sub;
	if (status == NATS_SLOW_CONSUMER)
		return;
	natsConnection_GetLastError(nc, &why);
	pthread_mutex_lock(&bus->lock);
	say(bus, "", bus_plain(why, status));
	pthread_mutex_unlock(&bus->lock);
}

/* --- options ------------------------------------------------------------------------------- */

static natsStatus set_security(natsOptions *options, const struct sl_bus *config)
{
	natsStatus status = NATS_OK;

	if (config->ca_file || config->certificate_file)
		status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && config->ca_file)
		status = natsOptions_LoadCATrustedCertificates(options, config->ca_file);
	if (status == NATS_OK && config->certificate_file)
		status = natsOptions_LoadCertificatesChain(options, config->certificate_file,
							   config->certificate_key_file);
	if (status == NATS_OK && config->server_name)
		status = natsOptions_SetExpectedHostname(options, config->server_name);
	if (status == NATS_OK && config->credentials_file)
		status = natsOptions_SetUserCredentialsFromFiles(options, config->credentials_file,
								 NULL);
	return status;
}

#define TRY(call) status = status == NATS_OK ? (call) : status

static natsStatus set_options(struct bus *bus, const struct sl_bus *config, const char *name)
{
	natsStatus status = natsOptions_Create(&bus->options);
	natsOptions *options = bus->options;

	TRY(natsOptions_SetServers(options, (const char **)config->server, (int)config->servers));
	TRY(natsOptions_SetName(options, name));
	TRY(set_security(options, config));
	TRY(natsOptions_SetTimeout(options, CONNECT_MS));
	TRY(natsOptions_SetPingInterval(options, PING_MS));
	TRY(natsOptions_SetMaxPingsOut(options, 2));
	TRY(natsOptions_SetWriteDeadline(options, WRITE_MS));
	TRY(natsOptions_SetMaxReconnect(options, -1));
	TRY(natsOptions_SetReconnectWait(options, AGAIN_MS));
	TRY(natsOptions_SetReconnectJitter(options, AGAIN_MS, AGAIN_MS));
	TRY(natsOptions_SetReconnectBufSize(options, 1)); /* nothing is sent late */
	TRY(natsOptions_SetMaxPendingMsgs(options, PENDING_MAX));
	TRY(natsOptions_SetNoEcho(options, true));
	TRY(natsOptions_SetSendAsap(options, true)); /* one thread less on the way */
	TRY(natsOptions_SetFailRequestsOnDisconnect(options, true));
	TRY(natsOptions_SetDisconnectedCB(options, on_disconnected, bus));
	TRY(natsOptions_SetReconnectedCB(options, on_reconnected, bus));
	TRY(natsOptions_SetClosedCB(options, on_closed, bus));
	TRY(natsOptions_SetErrorHandler(options, on_error, bus));
	return status;
}

/* --- the thread ---------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns() / 1000000);
}

/* With the lock held; whole milliseconds from now. */
static void wait_ms(struct bus *bus, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&bus->changed, &bus->lock, &until);
}

static void free_all(struct bus *bus)
{
	natsOptions_Destroy(bus->options);
	pthread_cond_destroy(&bus->changed);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

/* Tries each server once. From here on bus_close waits for this thread. */
static natsStatus connect_once(struct bus *bus, natsConnection **nc, bool *closing)
{
	natsStatus status = natsConnection_Connect(nc, bus->options);

	pthread_mutex_lock(&bus->lock);
	bus->connecting = false;
	*closing = bus->closing;
	if (status != NATS_OK)
		say_unreachable(bus, status);
	pthread_mutex_unlock(&bus->lock);
	return status;
}

static natsStatus subscribe(struct bus *bus, natsConnection *nc, natsSubscription **sub)
{
	natsStatus status = NATS_OK;

	TRY(natsConnection_Subscribe(sub, nc, SUBJECT_ALL, on_message, bus));
	TRY(natsSubscription_SetPendingLimits(*sub, PENDING_MAX, PENDING_BYTES));
	TRY(natsSubscription_SetOnCompleteCB(*sub, on_complete, bus));
	return status;
}

static bool open_connection(struct bus *bus)
{
	natsConnection *nc = NULL;
	natsSubscription *sub = NULL;
	bool closing;
	natsStatus status = connect_once(bus, &nc, &closing);

	if (status != NATS_OK)
		return false;
	if (bus->take && !closing)
		status = subscribe(bus, nc, &sub);
	pthread_mutex_lock(&bus->lock);
	bus->nc = nc;
	bus->sub = sub;
	bus->quiet = !sub;
	bus->status.connected = natsConnection_Status(nc) == NATS_CONN_STATUS_CONNECTED;
	bus->renewed = true;
	bus->status.connects++;
	bus->status.error[0] = '\0';
	if (status != NATS_OK)
		say(bus, "subscribing", natsStatus_GetText(status));
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
	return true;
}

/* Without the lock; true: the bucket is there and keeps reports. */
static bool look_after_bucket(struct bus *bus, bool read, char why[BUS_ERROR_TEXT], bool *complete)
{
	int result =
		bucket_keep(bus->nc, read ? bus->take : NULL, bus->argument, why, BUS_ERROR_TEXT);

	*complete = result == 0 || result == -EINVAL; /* what is in it was read */
	return result == 0;
}

/*
 * Looks after the bucket whenever there is a new connection, and now and then, until this one is
 * given up.
 */
static void serve(struct bus *bus)
{
	char why[BUS_ERROR_TEXT];
	int64_t looked_ms = 0;

	pthread_mutex_lock(&bus->lock);
	while (!bus->closing && !bus->closed) {
		bool read = !bus->status.complete, complete, done;

		if (!bus->take || !bus->status.connected ||
		    (!bus->renewed && now_ms() - looked_ms < BUCKET_LOOK_MS)) {
			wait_ms(bus, BUCKET_LOOK_MS / 10);
			continue;
		}
		bus->status.bucket &= !bus->renewed;
		bus->renewed = false;
		pthread_mutex_unlock(&bus->lock);
		done = look_after_bucket(bus, read, why, &complete);
		pthread_mutex_lock(&bus->lock);
		looked_ms = now_ms();
		bus->status.complete |= complete;
		bus->status.bucket = done;
		if (done)
			bus->status.error[0] = '\0';
		if (done || bus->closing || bus->closed)
			continue;
		say(bus, "no last values", why);
		bus->renewed = true;
		wait_ms(bus, BUCKET_AGAIN_MS);
	}
	pthread_mutex_unlock(&bus->lock);
}

/* Callbacks that are under way are waited for: they know `bus`. */
static void hang_up(struct bus *bus)
{
	natsConnection *nc = bus->nc;
	natsSubscription *sub = bus->sub;
	int64_t lost = 0;

	natsConnection_Close(nc);
	pthread_mutex_lock(&bus->lock);
	while (!bus->closed || !bus->quiet)
		pthread_cond_wait(&bus->changed, &bus->lock);
	bus->nc = NULL;
	bus->sub = NULL;
	bus->status.connected = false;
	if (sub && natsSubscription_GetDropped(sub, &lost) == NATS_OK)
		bus->status.lost += (uint64_t)lost;
	pthread_mutex_unlock(&bus->lock);
	natsSubscription_Destroy(sub);
	natsConnection_Destroy(nc);
}

static void *run(void *argument)
{
	struct bus *bus = argument;
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)(uintptr_t)bus;
	bool abandoned;

	pthread_mutex_lock(&bus->lock);
	while (!bus->closing) {
		bus->connecting = true;
		bus->closed = false;
		pthread_mutex_unlock(&bus->lock);
		if (open_connection(bus)) {
			serve(bus);
			hang_up(bus);
		}
		pthread_mutex_lock(&bus->lock);
		if (!bus->closing)
			wait_ms(bus, AGAIN_MS + (unsigned)rand_r(&seed) % AGAIN_MS);
	}
	abandoned = bus->abandoned;
	pthread_mutex_unlock(&bus->lock);
	if (abandoned)
		free_all(bus);
	return NULL;
}

/* --- for everybody ------------------------------------------------------------------------- */

int bus_open(struct bus **out, const struct sl_bus *config, const char *name, bus_take *take,
	     void *argument, char error[BUS_ERROR_TEXT])
{
	struct bus *bus = calloc(1, sizeof(*bus));
	pthread_condattr_t clock;
	natsStatus status;

	if (!bus) {
		snprintf(error, BUS_ERROR_TEXT, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&bus->lock, NULL);
	pthread_cond_init(&bus->changed, &clock);
	pthread_condattr_destroy(&clock);
	bus->take = take;
	bus->argument = argument;
	bus_hosts(config, bus->servers, sizeof(bus->servers));
	status = set_options(bus, config, name);
	if (status == NATS_OK) {
		*out = bus;
		return 0;
	}
	snprintf(error, BUS_ERROR_TEXT, "%.*s", BUS_ERROR_TEXT - 1,
		 bus_plain(nats_GetLastError(NULL), status));
	free_all(bus);
	return status == NATS_NO_MEMORY ? -ENOMEM : -EINVAL;
}

int bus_start(struct bus *bus)
{
	int result = pthread_create(&bus->thread, NULL, run, bus);

	bus->started = result == 0;
	return -result;
}

/* Within CLOSE_S, or not at all. */
static bool join(pthread_t thread)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CLOSE_S;
	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

/* A connect that is under way may take seconds: then its thread ends by itself. */
void bus_close(struct bus *bus)
{
	pthread_t thread;
	bool abandoned;

	if (!bus)
		return;
	if (!bus->started) {
		free_all(bus);
		return;
	}
	pthread_mutex_lock(&bus->lock);
	thread = bus->thread;
	bus->closing = true;
	bus->abandoned = abandoned = bus->connecting;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
	if (abandoned) {
		pthread_detach(thread);
		return;
	}
	if (join(thread)) {
		free_all(bus);
		return;
	}
	/* libnats 3.4 waits for ever for a server that greets and says no more */
	__atomic_store_n(&bus->deaf, true, __ATOMIC_RELEASE);
	pthread_detach(thread);
}

int bus_publish(struct bus *bus, const struct subject *subject, const void *data, size_t bytes)
{
	char text[SUBJECT_TEXT];
	natsStatus status = NATS_CONNECTION_DISCONNECTED;

	subject_print(subject, text);
	pthread_mutex_lock(&bus->lock);
	if (bus->nc && bus->status.connected)
		status = natsConnection_Publish(bus->nc, text, data, (int)bytes);
	pthread_mutex_unlock(&bus->lock);
	switch (status) {
	case NATS_OK:
		return 0;
	case NATS_MAX_PAYLOAD:
		return -EMSGSIZE;
	case NATS_CONNECTION_DISCONNECTED:
	case NATS_CONNECTION_CLOSED:
	case NATS_INSUFFICIENT_BUFFER:
		return -ENOTCONN;
	default:
		return -EIO;
	}
}

int bus_flush(struct bus *bus, unsigned timeout_ms)
{
	int64_t until_ms = now_ms() + timeout_ms, left_ms;
	natsStatus status = NATS_TIMEOUT;

	pthread_mutex_lock(&bus->lock);
	do {
		left_ms = until_ms - now_ms();
		if (left_ms > 0 && bus->status.connected)
			status = natsConnection_FlushTimeout(bus->nc, left_ms);
		else if (left_ms > 0)
			wait_ms(bus, (unsigned)left_ms);
	} while (left_ms > 0 && status != NATS_OK);
	pthread_mutex_unlock(&bus->lock);
	return status == NATS_OK ? 0 : -ETIMEDOUT;
}

void bus_status(struct bus *bus, struct bus_status *out)
{
	char url[256] = "";
	int64_t lost = 0;

	pthread_mutex_lock(&bus->lock);
	if (bus->status.connected &&
	    natsConnection_GetConnectedUrl(bus->nc, url, sizeof(url)) == NATS_OK)
		snprintf(bus->status.server, sizeof(bus->status.server), "%.90s", bus_host(url));
	if (bus->sub)
		(void)natsSubscription_GetDropped(bus->sub, &lost);
	*out = bus->status;
	out->lost += (uint64_t)lost;
	pthread_mutex_unlock(&bus->lock);
}
