/* SPDX-License-Identifier: BSD-3-Clause */
#include "ingest.h"
#include "address.h"
#include "clock.h"
#include "log.h"
#include "telemetry/unpack.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define DATAGRAM_BYTES 2048 /* more than the 1,400 that are allowed: longer ones show */
#define LOG_S 10
#define CALM_S 1
#define LATE_NS 250000000    /* half of what a report is valid for, as a rule */
#define QUEUE_NS 10000000000 /* nothing waits so long: the clock was set */
#define INSTANCE_S 10
#define STEP_US 500000 /* more than NTP slews between two bursts */

static int refuse(struct config_error *error, int code, const char *what)
{
	snprintf(error->text, sizeof(error->text), "telemetry.listen: %s: %s", what,
		 strerror(-code));
	return code;
}

/* Senders are numbered: sites, then edges, then transit nodes. NULL: that one has no key. */
static const uint8_t *key_of(const struct config *config, unsigned sender, const char **name)
{
	if (sender < config->sites) {
		*name = config->site[sender].name;
		return config->site[sender].has_key ? config->site[sender].key : NULL;
	}
	sender -= config->sites;
	if (sender < config->edges) {
		*name = config->edge[sender].name;
		return config->edge[sender].key;
	}
	sender -= config->edges;
	*name = config->transit[sender].name;
	return config->transit[sender].has_key ? config->transit[sender].key : NULL;
}

static int add_keys(struct verify *verify, const struct config *config, const struct verify *before,
		    struct config_error *error)
{
	for (unsigned i = 0; i < config->sites + config->edges + config->transits; i++) {
		const char *name;
		const uint8_t *key = key_of(config, i, &name);
		int result = key ? verify_add(verify, key, i, before) : 0;

		if (result < 0)
			return refuse(error, result, name);
	}
	return 0;
}

int ingest_verifier(struct verify **out, const struct config *config, const struct key *key,
		    const struct verify *before, struct config_error *error)
{
	struct verify *verify;
	int result = verify_open(&verify, key);

	if (result < 0)
		return refuse(error, result, "keys");
	result = add_keys(verify, config, before, error);
	if (result < 0)
		verify_close(verify);
	else
		*out = verify;
	return result;
}

static int bind_socket(struct ingest *ingest, struct config_error *error)
{
	const struct sockaddr_storage *address = &ingest->state->config->telemetry_listen;
	int one = 1, bytes = INGEST_BUFFER_BYTES;
	char text[ADDRESS_TEXT];

	ingest->fd =
		socket(address->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (ingest->fd < 0)
		return refuse(error, -errno, "socket");
	/* Best effort: more room for bursts, the kernel's arrival time for reaction times. */
	if (setsockopt(ingest->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(ingest->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)setsockopt(ingest->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	(void)setsockopt(ingest->fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	if (bind(ingest->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return refuse(error, -errno, address_text(address, text));
	return 0;
}

/* Who is off is said again after a reload. */
static void remember(struct ingest *ingest)
{
	const struct config *config = ingest->state->config;

	free(ingest->off_s);
	ingest->off_s = calloc(config->sites + config->edges + config->transits + 1,
			       sizeof(*ingest->off_s));
	replay_close(&ingest->replay);
	replay_open(&ingest->replay, config, ingest->verify, clock_unix_us());
}

int ingest_open(struct ingest *ingest, struct state *state, const struct key *key,
		struct config_error *error)
{
	int result;

	*ingest = (struct ingest){.state = state, .fd = -1};
	for (unsigned i = 0; i < VERIFY_REASON_COUNT; i++)
		ingest->logged_s[i] = -LOG_S;
	if (!state->config->telemetry_listen.ss_family && !state->config->bus.servers)
		return 0;
	result = ingest_verifier(&ingest->verify, state->config, key, NULL, error);
	if (result == 0 && state->config->telemetry_listen.ss_family)
		result = bind_socket(ingest, error);
	if (result < 0)
		ingest_close(ingest);
	else
		remember(ingest);
	return result;
}

void ingest_reload(struct ingest *ingest, struct verify *verify)
{
	if (!ingest->verify)
		return;
	verify_close(ingest->verify);
	ingest->verify = verify;
	remember(ingest);
}

void ingest_close(struct ingest *ingest)
{
	if (ingest->readable)
		event_free(ingest->readable);
	if (ingest->fd >= 0)
		close(ingest->fd);
	verify_close(ingest->verify);
	replay_close(&ingest->replay);
	free(ingest->off_s);
	*ingest = (struct ingest){.fd = -1};
}

/* The kernel's arrival time, as CLOCK_MONOTONIC; now if it did not say. */
static uint64_t received_ns(struct msghdr *message)
{
	uint64_t now_ns = clock_ns(), unix_ns = clock_read_ns(CLOCK_REALTIME);
	struct timespec stamp;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		uint64_t at_ns = (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec;
		if (at_ns < unix_ns && unix_ns - at_ns < QUEUE_NS)
			return now_ns - (unix_ns - at_ns);
	}
	return now_ns;
}

static const char *sender_name(const struct ingest *ingest, unsigned sender)
{
	const char *name;

	(void)key_of(ingest->state->config, sender, &name);
	return name;
}

/* Said once when it begins and once when it is over: where delays are about as long as reports are
 * valid, some count and some do not. A measurement before its time can only be a clock; one long
 * after may be a slow network too. */
static void note_time(struct ingest *ingest, unsigned sender, enum verify_reason reason,
		      int64_t ahead_us)
{
	double *off_s = ingest->off_s ? &ingest->off_s[sender] : NULL, now_s = clock_s();
	const char *name = sender_name(ingest, sender);
	bool known = off_s && *off_s > 0;

	if (!off_s || (reason == VERIFY_ACCEPTED && (!known || now_s - *off_s < CALM_S)))
		return;
	*off_s = reason == VERIFY_ACCEPTED ? 0 : now_s;
	if (reason == VERIFY_ACCEPTED)
		log_info("%s: its clock agrees with ours again", name);
	else if (!known && reason == VERIFY_FUTURE)
		log_warning("%s: its reports are refused, its clock is %.1f s ahead of ours (see "
			    "timedatectl on both)",
			    name, (double)ahead_us / 1e6);
	else if (!known)
		log_warning(
			"%s: its reports are refused, they are %.1f s old by our clock: its clock "
			"is behind (see timedatectl on both) or they come late",
			name, (double)-ahead_us / 1e6);
}

/* Most of its age it waited here, to be read: that is no fault of its sender's. */
static bool waited_for_us(struct ingest *ingest, int64_t ahead_us, uint64_t arrived_ns)
{
	int64_t waited_us = (int64_t)(clock_ns() - arrived_ns) / 1000;

	if (waited_us <= -ahead_us / 2)
		return false;
	ingest->waited_s = (double)waited_us / 1e6;
	return true;
}

/* Of two publishers with one key each comes back after the other; one that restarts does not. */
static void note_instance(struct ingest *ingest, unsigned sender, uint32_t instance, double now_s)
{
	struct state_site *site = &ingest->state->site[sender];

	if (instance == 0 || instance == site->instance)
		return;
	if (instance == site->instance_before && now_s - site->instance_s < INSTANCE_S) {
		site->instance_conflicts++;
		if (site->instance_conflicts == 1)
			log_warning(
				"site %s: two agents publish with its key; stop one of them, or "
				"give it a site and a key of its own",
				sender_name(ingest, sender));
	}
	site->instance_before = site->instance;
	site->instance = instance;
	site->instance_s = now_s;
}

static void apply(struct ingest *ingest, Suanlu__Report *report, unsigned sender, int64_t ahead_us,
		  uint64_t arrived_ns)
{
	unsigned sites = ingest->state->config->sites;
	double now_s = clock_s();

	/* A clock a little ahead of ours does not make a report younger than new. */
	if (sender < sites)
		note_instance(ingest, sender, report->instance, now_s);
	if (sender < sites && report->announcement) {
		if (ingest->discover)
			discover_report(ingest->discover, sender, report, clock_unix_us(), now_s);
	} else if (sender < sites) {
		state_site_report(ingest->state, sender, report, now_s,
				  now_s + fmin(0, (double)ahead_us / 1e6), arrived_ns);
		state_site_said(ingest->state, sender, report);
	} else if (sender - sites < ingest->state->config->edges) {
		state_edge_report(ingest->state, sender - sites, report, now_s);
	} else {
		state_transit_report(ingest->state, sender - sites - ingest->state->config->edges,
				     report, now_s);
	}
}

void ingest_expect(const struct ingest *ingest, const uint8_t *data, size_t bytes)
{
	int sender = verify_claimed(ingest->verify, data, bytes);

	if (sender >= 0 && sender < (int)ingest->state->config->sites)
		state_site_expect(ingest->state, (unsigned)sender);
}

void ingest_count(struct ingest *ingest, enum verify_reason reason, Suanlu__Report *report,
		  unsigned sender, int64_t ahead_us, uint64_t arrived_ns)
{
	ingest->count[reason]++;
	if (reason == VERIFY_ACCEPTED || reason == VERIFY_FUTURE ||
	    (reason == VERIFY_STALE && !waited_for_us(ingest, ahead_us, arrived_ns)))
		note_time(ingest, sender, reason, ahead_us);
	if (reason != VERIFY_ACCEPTED)
		return;
	apply(ingest, report, sender, ahead_us, arrived_ns);
	unpack_release(report);
}

static void meet_stranger(struct ingest *ingest, struct mmsghdr *datagram, uint64_t now_us)
{
	char text[ADDRESS_TEXT];

	discover_stranger(ingest->discover, datagram->msg_hdr.msg_iov->iov_base, datagram->msg_len,
			  NULL, address_text(datagram->msg_hdr.msg_name, text), now_us, clock_s());
}

struct verdict {
	Suanlu__Report *report;
	unsigned sender;
	int64_t ahead_us;
	enum verify_reason reason;
};

static bool take(struct ingest *ingest, struct mmsghdr *datagram, const struct verdict *v,
		 uint64_t now_us)
{
	enum verify_reason reason = v->reason;
	uint64_t arrived_ns = 0;

	/* two clocks are read for it: not for each of a flood */
	if (reason == VERIFY_ACCEPTED || reason == VERIFY_STALE)
		arrived_ns = received_ns(&datagram->msg_hdr);
	ingest_count(ingest, reason, v->report, v->sender, v->ahead_us, arrived_ns);
	if (reason != VERIFY_ACCEPTED) {
		memcpy(&ingest->refused_from[reason], datagram->msg_hdr.msg_name,
		       sizeof(struct sockaddr_storage));
		ingest->refused_on[reason][0] = '\0';
	}
	if (reason == VERIFY_UNKNOWN_KEY && ingest->discover && ingest->state->config->operators)
		meet_stranger(ingest, datagram, now_us);
	return reason == VERIFY_ACCEPTED;
}

/* The socket's own count of drops comes with each datagram once it is not zero; it wraps. */
static void note_dropped(struct ingest *ingest, struct msghdr *message)
{
	uint32_t dropped;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
		ingest->dropped += dropped - ingest->dropped_seen;
		ingest->dropped_seen = dropped;
	}
}

/*
 * Who is behind reads what is new, as from the bus (inbox.h): once the queue is longer than reports
 * are valid, each that is verified in order has expired, and nobody is heard ever again. Newer ones
 * of the same senders are behind a full burst that has waited for so long.
 */
static bool overtaken(struct mmsghdr *datagram, int count)
{
	return count == INGEST_BURST &&
	       clock_ns() - received_ns(&datagram[count - 1].msg_hdr) > LATE_NS;
}

static void on_readable(int fd, short what, void *argument)
{
	static uint8_t data[INGEST_BURST][DATAGRAM_BYTES];
	static _Alignas(struct cmsghdr) char control[INGEST_BURST][128];
	struct ingest *ingest = argument;
	struct sockaddr_storage from[INGEST_BURST];
	struct iovec part[INGEST_BURST];
	struct mmsghdr datagram[INGEST_BURST];
	uint64_t now_us = clock_unix_us();
	struct verdict verdict[INGEST_BURST];
	bool changed = false;
	int count;

	(void)what;
	for (unsigned i = 0; i < INGEST_BURST; i++) {
		part[i] = (struct iovec){data[i], DATAGRAM_BYTES};
		datagram[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
						      .msg_namelen = sizeof(from[i]),
						      .msg_iov = &part[i],
						      .msg_iovlen = 1,
						      .msg_control = control[i],
						      .msg_controllen = sizeof(control[i])};
	}
	count = recvmmsg(fd, datagram, INGEST_BURST, MSG_DONTWAIT, NULL);
	if (count > 0)
		note_dropped(ingest, &datagram[count - 1].msg_hdr);
	if (overtaken(datagram, count)) {
		ingest->dropped += (unsigned)count;
		return;
	}
	/* one thing after the other: both are faster with their own in the caches */
	for (int i = 0; i < count; i++)
		verdict[i].reason = verify_datagram(ingest->verify, data[i], datagram[i].msg_len,
						    now_us, &verdict[i].report, &verdict[i].sender,
						    &verdict[i].ahead_us);
	for (int i = 0; i < count; i++) {
		if (verdict[i].reason == VERIFY_ACCEPTED)
			ingest_expect(ingest, data[i], datagram[i].msg_len);
		changed |= take(ingest, &datagram[i], &verdict[i], now_us);
	}
	if (changed)
		ingest->ready(ingest->argument, count == INGEST_BURST);
}

int ingest_start(struct ingest *ingest, struct event_base *base, ingest_ready *ready,
		 void *argument)
{
	ingest->ready = ready;
	ingest->argument = argument;
	if (ingest->fd < 0)
		return 0;
	ingest->readable = event_new(base, ingest->fd, EV_READ | EV_PERSIST, on_readable, ingest);
	return ingest->readable && event_add(ingest->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static void log_refused(struct ingest *ingest, enum verify_reason reason, uint64_t refused)
{
	char text[ADDRESS_TEXT], waited[128] = "";

	if (reason == VERIFY_STALE && ingest->waited_s > 0)
		snprintf(waited, sizeof(waited),
			 "; they waited %.1f s to be read: more come than one core verifies, or it "
			 "has other work",
			 ingest->waited_s);
	log_warning("refused %lu report%s (%s), the last from %s%s", (unsigned long)refused,
		    refused == 1 ? "" : "s", verify_reason_text(reason),
		    *ingest->refused_on[reason] ? ingest->refused_on[reason]
						: address_text(&ingest->refused_from[reason], text),
		    waited);
	ingest->waited_s = reason == VERIFY_STALE ? 0 : ingest->waited_s;
}

void ingest_log_refused(struct ingest *ingest, double now_s)
{
	for (unsigned i = VERIFY_ACCEPTED + 1; i < VERIFY_REASON_COUNT; i++) {
		uint64_t refused = ingest->count[i] - ingest->logged[i];

		if (refused == 0 || now_s - ingest->logged_s[i] < LOG_S)
			continue;
		log_refused(ingest, i, refused);
		ingest->logged[i] = ingest->count[i];
		ingest->logged_s[i] = now_s;
	}
}

/*
 * A clock of ours that was ahead has made what was taken look younger than what comes now, and
 * would shut out whoever starts to count anew. What was measured before the step stays taken.
 */
void ingest_watch_clock(struct ingest *ingest)
{
	uint64_t now_us = clock_unix_us();
	int64_t clock_us = (int64_t)(now_us - clock_ns() / 1000);
	int64_t step_us = ingest->clock_us ? clock_us - ingest->clock_us : 0;

	ingest->clock_us = clock_us;
	if (step_us > -STEP_US && step_us < STEP_US)
		return;
	log_warning("our clock was set %s by %.1f s", step_us < 0 ? "back" : "forward",
		    fabs((double)step_us) / 1e6);
	if (step_us < 0 && ingest->verify)
		verify_set_back(ingest->verify, now_us);
}
