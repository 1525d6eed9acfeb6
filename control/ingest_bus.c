/* SPDX-License-Identifier: BSD-3-Clause */
#include "ingest_bus.h"
#include "clock.h"
#include "log.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 8192
#define LOG_S 10
#define LINES 4

int ingest_bus_open(struct ingest_bus *in, struct ingest *ingest, const struct config *config,
		    struct config_error *error)
{
	char why[BUS_ERROR_TEXT];
	int result;

	*in = (struct ingest_bus){.ingest = ingest, .lost_told_s = -LOG_S};
	if (config->bus.servers == 0)
		return 0;
	in->message = calloc(1, sizeof(*in->message));
	if (!in->message || inbox_open(&in->inbox, MESSAGES_MAX) < 0) {
		snprintf(error->text, sizeof(error->text), "bus: no memory");
		ingest_bus_close(in);
		return -ENOMEM;
	}
	result = bus_open(&in->bus, &config->bus, config->node, inbox_put, in->inbox, why);
	if (result < 0) {
		snprintf(error->text, sizeof(error->text), "bus: %s", why);
		ingest_bus_close(in);
	}
	return result;
}

void ingest_bus_close(struct ingest_bus *in)
{
	if (in->readable)
		event_free(in->readable);
	bus_close(in->bus);
	inbox_close(in->inbox);
	free(in->message);
	*in = (struct ingest_bus){};
}

/* Senders are numbered as in ingest.c: sites, then edges. -1: not configured here. */
static int find_sender(struct state *state, const struct subject *subject)
{
	const struct config *config = state->config;

	if (subject->kind == SUBJECT_SITE)
		return state_find_site(state, subject->name);
	for (unsigned i = 0; i < config->edges; i++)
		if (strcmp(config->edge[i].name, subject->name) == 0)
			return (int)(config->sites + i);
	return -1;
}

static bool take(struct ingest_bus *in)
{
	struct inbox_message *message = in->message;
	struct ingest *ingest = in->ingest;
	enum verify_reason reason = VERIFY_SUBJECT;
	uint64_t now_us = clock_unix_us();
	Suanlu__Report *report = NULL;
	int64_t ahead_us = 0;
	struct subject subject;
	int sender = 0;

	if (subject_parse(message->subject, &subject)) {
		sender = find_sender(ingest->state, &subject);
		if (sender < 0 && subject.kind == SUBJECT_SITE && ingest->discover &&
		    ingest->state->config->operators)
			discover_stranger(ingest->discover, message->data, message->bytes,
					  subject.name, message->subject, now_us, clock_s());
		if (sender < 0) {
			in->elsewhere++;
			return false;
		}
		ingest_expect(ingest, message->data, message->bytes);
		reason = verify_message(ingest->verify, message->data, message->bytes, now_us,
					(unsigned)sender, &report, &ahead_us);
	}
	ingest_count(ingest, reason, report, (unsigned)sender, ahead_us, message->received_ns);
	if (reason != VERIFY_ACCEPTED)
		strcpy(ingest->refused_on[reason], message->subject);
	return reason == VERIFY_ACCEPTED;
}

static void on_readable(int fd, short what, void *argument)
{
	struct ingest_bus *in = argument;
	bool changed = false;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < INGEST_BURST && inbox_take(in->inbox, in->message); i++)
		changed |= take(in);
	if (changed)
		in->ingest->ready(in->ingest->argument, !inbox_empty(in->inbox));
}

int ingest_bus_start(struct ingest_bus *in, struct event_base *base)
{
	if (!in->bus)
		return 0;
	in->readable = event_new(base, inbox_fd(in->inbox), EV_READ | EV_PERSIST, on_readable, in);
	if (!in->readable || event_add(in->readable, NULL) < 0)
		return -ENOMEM;
	return bus_start(in->bus);
}

bool ingest_bus_complete(struct ingest_bus *in)
{
	struct bus_status status = {.complete = true};

	if (in->bus)
		bus_status(in->bus, &status);
	return status.complete && (!in->bus || inbox_empty(in->inbox));
}

static void log_lost(struct ingest_bus *in, uint64_t lost, double now_s)
{
	if (lost == in->lost_told || now_s - in->lost_told_s < LOG_S)
		return;
	log_warning("bus: lost %lu messages that came faster than they could be looked at; see "
		    "which subject floods it, and give each site leave to publish on its own only",
		    (unsigned long)(lost - in->lost_told));
	in->lost_told = lost;
	in->lost_told_s = now_s;
}

/* One line each LOG_S in the mean, four at once: a bus that comes and goes does not fill the log.
 */
static bool may_tell(struct ingest_bus *in, double now_s)
{
	in->told_due_s = fmax(in->told_due_s, now_s);
	if (in->told_due_s > now_s + (LINES - 1) * LOG_S)
		return false;
	in->told_due_s += LOG_S;
	return true;
}

static void log_link(struct ingest_bus *in, const struct bus_status *status)
{
	if (status->connected)
		log_info("bus: connected to %s", status->server);
	else
		log_warning("bus: not connected (%s); reports count for as long as they are "
			    "valid, then the last routes stay",
			    *status->error ? status->error : "connection lost");
	in->told = status->connected ? INGEST_BUS_UP : INGEST_BUS_DOWN;
	strcpy(in->told_error, status->connected ? "" : status->error);
}

void ingest_bus_log(struct ingest_bus *in, double now_s)
{
	struct bus_status status;
	bool known;

	if (!in->bus)
		return;
	bus_status(in->bus, &status);
	known = status.connected || *status.error || in->told == INGEST_BUS_UP;
	if (known &&
	    (in->told == INGEST_BUS_UNKNOWN || status.connected != (in->told == INGEST_BUS_UP)) &&
	    may_tell(in, now_s))
		log_link(in, &status);
	if (known && status.connected == (in->told == INGEST_BUS_UP) && *status.error &&
	    strcmp(status.error, in->told_error) != 0 && may_tell(in, now_s)) {
		log_warning("bus: %s", status.error);
		strcpy(in->told_error, status.error);
	}
	if (status.connected && in->told == INGEST_BUS_UP && !*status.error && *in->told_error &&
	    may_tell(in, now_s)) {
		log_info("bus: nothing to complain of any more");
		in->told_error[0] = '\0';
	}
	log_lost(in, status.lost + inbox_refused(in->inbox), now_s);
}
