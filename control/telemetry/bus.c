/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.h"
#include "bucket.h"
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
#define PENDING_MAX 8192
#define PENDING_BYTES (16 << 20)
#define BUCKET_AGAIN_MS 2000

/*
 * The thread owns nc and sub: it alone makes and ends them, with the lock held where others look.
 * Callbacks of libnats come from its threads and only set what is behind the lock.
 */
struct bus {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	natsOptions *options;
	bus_take *take;
	void *argument;
	natsConnection *nc; /* NULL: none */
	natsSubscription *sub;
	bool closing, connecting, abandoned; /* abandoned: the thread frees all of this */
	bool closed, quiet;		     /* no more callbacks of nc; of sub */
	bool renewed;			     /* connected since the bucket was looked at */
	struct bus_status status;
};

static void say(struct bus *bus, const char *what, const char *why)
{
	snprintf(bus->status.error, sizeof(bus->status.error), "%s%s%.120s", what,
		 *what ? ": " : "", why);
}

/* --- callbacks, on threads of libnats ------------------------------------------------------ */

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *message, void *argument)
{
	struct bus *bus = argument;

	(void)nc;
	(void)sub;
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
	bus->renewed |= connected;
	bus->closed |= closed;
	if (connected)
		bus->status.error[0] = '\0';
	else if (!bus->closing && natsConnection_GetLastError(nc, &why) != NATS_OK)
		say(bus, "", why && *why ? why : "connection lost");
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
	say(bus, "", why && *why ? why : natsStatus_GetText(status));
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
		say(bus, "", nats_GetLastError(NULL) ?: natsStatus_GetText(status));
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

/* Looks after the bucket whenever there is a new connection, until this one is given up. */
static void serve(struct bus *bus)
{
	char why[BUS_ERROR_TEXT];

	pthread_mutex_lock(&bus->lock);
	while (!bus->closing && !bus->closed) {
		bus_take *take = bus->status.complete ? NULL : bus->take;
		bool done;

		if (!bus->take || !bus->renewed || !bus->status.connected) {
			pthread_cond_wait(&bus->changed, &bus->lock);
			continue;
		}
		bus->renewed = bus->status.bucket = false;
		pthread_mutex_unlock(&bus->lock);
		done = bucket_keep(bus->nc, take, bus->argument, why, sizeof(why)) == 0;
		pthread_mutex_lock(&bus->lock);
		bus->status.complete |= done;
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

static int start(struct bus *bus)
{
	pthread_condattr_t clock;
	int result;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&bus->lock, NULL);
	pthread_cond_init(&bus->changed, &clock);
	pthread_condattr_destroy(&clock);
	result = pthread_create(&bus->thread, NULL, run, bus);
	if (result)
		free_all(bus);
	return -result;
}

int bus_open(struct bus **out, const struct sl_bus *config, const char *name, bus_take *take,
	     void *argument, char error[BUS_ERROR_TEXT])
{
	struct bus *bus = calloc(1, sizeof(*bus));
	natsStatus status = NATS_NO_MEMORY;
	int result = -ENOMEM;

	if (bus) {
		bus->take = take;
		bus->argument = argument;
		status = set_options(bus, config, name);
	}
	if (status == NATS_OK) {
		result = start(bus);
		snprintf(error, BUS_ERROR_TEXT, "%s", strerror(-result));
		if (result == 0)
			*out = bus;
		return result;
	}
	snprintf(error, BUS_ERROR_TEXT, "%.*s", BUS_ERROR_TEXT - 1,
		 (bus ? nats_GetLastError(NULL) : NULL) ?: natsStatus_GetText(status));
	if (bus)
		natsOptions_Destroy(bus->options);
	free(bus);
	return status == NATS_NO_MEMORY ? -ENOMEM : -EINVAL;
}

/* A connect that is under way may take seconds: then its thread ends by itself. */
void bus_close(struct bus *bus)
{
	pthread_t thread;
	bool abandoned;

	if (!bus)
		return;
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
	pthread_join(thread, NULL);
	free_all(bus);
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
	struct timespec now;
	int64_t until_ms, left_ms;
	natsStatus status = NATS_TIMEOUT;

	clock_gettime(CLOCK_MONOTONIC, &now);
	until_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + timeout_ms;
	pthread_mutex_lock(&bus->lock);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left_ms = until_ms - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
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
	char url[256] = "", *host;
	int64_t lost = 0;

	pthread_mutex_lock(&bus->lock);
	if (bus->status.connected &&
	    natsConnection_GetConnectedUrl(bus->nc, url, sizeof(url)) == NATS_OK) {
		host = strrchr(url, '@');
		host = host ? host + 1 : strstr(url, "://") ? strstr(url, "://") + 3 : url;
		snprintf(bus->status.server, sizeof(bus->status.server), "%.90s", host);
	}
	if (bus->sub)
		(void)natsSubscription_GetDropped(bus->sub, &lost);
	*out = bus->status;
	out->lost += (uint64_t)lost;
	pthread_mutex_unlock(&bus->lock);
}
