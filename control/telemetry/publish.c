/* SPDX-License-Identifier: BSD-3-Clause */
#include "codec.h"
#include "draft.h"
#include "plausible.h"
#include "publisher.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct receiver {
	struct sockaddr_storage address;
	socklen_t address_bytes;
	int fd;	   /* connected, so that ICMP errors come back; -1: not open */
	int error; /* of the last sl_publish */
	char text[64];
	uint8_t pair[CODEC_PAIR_BYTES];
};

struct sl_publisher {
	struct key key;
	uint64_t sequence;
	uint32_t instance;
	struct receiver *receiver;
	size_t receivers;
	struct bus *bus; /* NULL: none */
	bool owns_bus;
	struct subject subject; /* there */
	int bus_error;		/* of the last sl_publish */
	char error[256];
};

static uint64_t unix_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

__attribute__((format(printf, 3, 4))) static int fail(struct sl_publisher *publisher, int error,
						      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(publisher->error, sizeof(publisher->error), format, arguments);
	va_end(arguments);
	return error;
}

int publisher_open(struct sl_publisher **out, const struct key *key)
{
	struct sl_publisher *publisher = calloc(1, sizeof(*publisher));

	if (!publisher) {
		snprintf(key_last_error, sizeof(key_last_error), "out of memory");
		return -ENOMEM;
	}
	publisher->key = *key;
	publisher->instance = 1 + randombytes_uniform(UINT32_MAX);
	*out = publisher;
	return 0;
}

int sl_publisher_open(struct sl_publisher **out, const char *key_file)
{
	struct key key;
	int err = key_read(key_file, &key, key_last_error, sizeof(key_last_error));

	if (!err)
		err = publisher_open(out, &key);
	sodium_memzero(&key, sizeof(key));
	return err;
}

void sl_publisher_close(struct sl_publisher *publisher)
{
	if (!publisher)
		return;
	for (size_t i = 0; i < publisher->receivers; i++) {
		if (publisher->receiver[i].fd >= 0)
			close(publisher->receiver[i].fd);
		sodium_memzero(publisher->receiver[i].pair, CODEC_PAIR_BYTES);
	}
	free(publisher->receiver);
	if (publisher->owns_bus)
		bus_close(publisher->bus);
	sodium_memzero(publisher, sizeof(*publisher));
	free(publisher);
}

const char *sl_publisher_error(const struct sl_publisher *publisher)
{
	return publisher ? publisher->error : key_last_error;
}

int sl_publisher_receiver_error(const struct sl_publisher *publisher, size_t receiver)
{
	return receiver < publisher->receivers ? publisher->receiver[receiver].error : -EINVAL;
}

static int append_receiver(struct sl_publisher *publisher, const struct receiver *receiver)
{
	/* not realloc: it could leave a copy of the pair keys behind */
	struct receiver *grown = calloc(publisher->receivers + 1, sizeof(*grown));

	if (!grown)
		return fail(publisher, -ENOMEM, "out of memory");
	if (publisher->receivers > 0) {
		memcpy(grown, publisher->receiver, publisher->receivers * sizeof(*grown));
		sodium_memzero(publisher->receiver, publisher->receivers * sizeof(*grown));
	}
	free(publisher->receiver);
	grown[publisher->receivers++] = *receiver;
	publisher->receiver = grown;
	return 0;
}

int sl_publisher_add(struct sl_publisher *publisher, const char *address, const char *public_key)
{
	struct receiver receiver = {.fd = -1};
	uint8_t key[KEY_PUBLIC_BYTES];
	int bytes, err;

	bytes = key_parse_address(address, &receiver.address);
	if (bytes < 0)
		return fail(publisher, -EINVAL,
			    "\"%s\": expected ADDRESS:PORT or [ADDRESS]:PORT, in numbers", address);
	receiver.address_bytes = (socklen_t)bytes;
	snprintf(receiver.text, sizeof(receiver.text), "%s", address);
	if (key_parse_public(public_key, key) < 0 ||
	    codec_pair(&publisher->key, key, receiver.pair) < 0)
		return fail(publisher, -EINVAL, "%s: \"%s\": not a public key", address,
			    public_key);
	err = append_receiver(publisher, &receiver);
	sodium_memzero(&receiver, sizeof(receiver));
	return err;
}

int publisher_use_bus(struct sl_publisher *publisher, struct bus *bus, enum subject_kind kind,
		      const char *name)
{
	if (publisher->bus)
		return fail(publisher, -EEXIST, "there is a bus already");
	if (!subject_name_valid(name))
		return fail(
			publisher, -EINVAL,
			"\"%s\": expected 1 to 31 of A-Z a-z 0-9 . _ -, no dot at an end or beside "
			"another",
			name);
	publisher->bus = bus;
	publisher->subject.kind = kind;
	strcpy(publisher->subject.name, name);
	return 0;
}

int sl_publisher_add_bus(struct sl_publisher *publisher, const struct sl_bus *config,
			 const char *name)
{
	char why[BUS_ERROR_TEXT];
	struct bus *bus;
	int err = bus_open(&bus, config, name, NULL, NULL, why);

	if (err < 0)
		return fail(publisher, err, "bus: %s", why);
	err = publisher_use_bus(publisher, bus, SUBJECT_SITE, name);
	if (err == 0) {
		err = bus_start(bus);
		if (err < 0) {
			publisher->bus = NULL;
			fail(publisher, err, "bus: %s", strerror(-err));
		}
	}
	if (err < 0)
		bus_close(bus);
	else
		publisher->owns_bus = true;
	return err;
}

int sl_publisher_bus_error(const struct sl_publisher *publisher)
{
	return publisher->bus_error;
}

static int fail_bus(struct sl_publisher *publisher, int err)
{
	struct bus_status status;

	bus_status(publisher->bus, &status);
	return fail(publisher, err, "bus: %s", *status.error ? status.error : strerror(-err));
}

int sl_publisher_flush(struct sl_publisher *publisher, unsigned timeout_ms)
{
	int err = publisher->bus ? bus_flush(publisher->bus, timeout_ms) : 0;

	return err < 0 ? fail_bus(publisher, err) : 0;
}

static int receiver_open(struct receiver *receiver)
{
	int err;

	if (receiver->fd >= 0)
		return 0;
	receiver->fd =
		socket(receiver->address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (receiver->fd < 0)
		return -errno;
	if (connect(receiver->fd, (struct sockaddr *)&receiver->address, receiver->address_bytes) <
	    0) {
		err = -errno;
		close(receiver->fd);
		receiver->fd = -1;
		return err;
	}
	return 0;
}

/*
 * A connected UDP socket reports the ICMP error of an earlier datagram in place of sending:
 * then send again, and still tell. Other errors may be of the route or the source address
 * that connect chose: the next report chooses anew.
 */
static int receiver_send(struct receiver *receiver, const uint8_t *datagram, size_t bytes)
{
	int err = receiver_open(receiver);

	if (err < 0)
		return err;
	if (send(receiver->fd, datagram, bytes, MSG_NOSIGNAL) >= 0)
		return 0;
	err = -errno;
	if (err == -ECONNREFUSED) {
		(void)send(receiver->fd, datagram, bytes, MSG_NOSIGNAL);
	} else if (err != -EAGAIN) {
		close(receiver->fd);
		receiver->fd = -1;
	}
	return err;
}

/* On the bus the tag is zero: it would be another for each receiver. */
static void send_to_bus(struct sl_publisher *publisher, const uint8_t *datagram, size_t bytes)
{
	int err = publisher->subject.part < SUBJECT_PARTS_MAX
			  ? bus_publish(publisher->bus, &publisher->subject, datagram, bytes)
			  : -EMSGSIZE;

	publisher->subject.part++;
	if (err < 0 && publisher->bus_error == 0)
		publisher->bus_error = err;
}

static void send_to_all(struct sl_publisher *publisher, uint8_t *datagram, size_t bytes)
{
	uint8_t *tag = datagram + offsetof(struct codec_header, tag);

	for (size_t i = 0; i < publisher->receivers; i++) {
		struct receiver *receiver = &publisher->receiver[i];
		int err;

		codec_tag(receiver->pair, datagram, bytes, tag);
		err = receiver_send(receiver, datagram, bytes);
		if (err < 0 && receiver->error == 0)
			receiver->error = err;
	}
}

/* Rises by at least one, and over restarts, as long as the clock is not set back. */
static uint64_t next_sequence(struct sl_publisher *publisher, uint64_t now_us)
{
	publisher->sequence = now_us > publisher->sequence ? now_us : publisher->sequence + 1;
	return publisher->sequence;
}

/* Before anything is sent: would every receiver take every part? */
static int check_draft(struct sl_publisher *publisher, const struct draft *draft)
{
	char why[128];
	size_t first = 0, end;

	do {
		Suanlu__Report report;

		end = draft_cut(draft, first);
		report = draft_slice(draft, first, end);
		if (!plausible(&report, why, sizeof(why)))
			return fail(publisher, -EINVAL, "a report that cannot be: %s", why);
		first = end;
	} while (first < draft->entries);
	return 0;
}

static int send_draft(struct sl_publisher *publisher, const struct draft *draft, uint64_t now_us)
{
	uint8_t datagram[CODEC_DATAGRAM_MAX];
	size_t first = 0, end;

	do {
		Suanlu__Report report;
		int bytes;

		end = draft_cut(draft, first);
		report = draft_slice(draft, first, end);
		report.sequence = next_sequence(publisher, now_us);
		report.instance = publisher->instance;
		bytes = codec_sign(&publisher->key, &report, datagram);
		if (bytes < 0)
			return fail(publisher, bytes, "a report would be longer than %d bytes",
				    CODEC_DATAGRAM_MAX);
		if (publisher->bus)
			send_to_bus(publisher, datagram, (size_t)bytes);
		send_to_all(publisher, datagram, (size_t)bytes);
		first = end;
	} while (first < draft->entries);
	return 0;
}

static int first_error(struct sl_publisher *publisher)
{
	for (size_t i = 0; i < publisher->receivers; i++) {
		const struct receiver *receiver = &publisher->receiver[i];

		if (receiver->error < 0)
			return fail(publisher, receiver->error, "%s: %s", receiver->text,
				    strerror(-receiver->error));
	}
	return publisher->bus_error < 0 ? fail_bus(publisher, publisher->bus_error) : 0;
}

int sl_publish(struct sl_publisher *publisher, const struct sl_report *report)
{
	const uint64_t now_us = unix_us();
	struct draft draft;
	int err;

	for (size_t i = 0; i < publisher->receivers; i++)
		publisher->receiver[i].error = 0;
	publisher->bus_error = 0;
	/* a key of its own: the last one of each is kept */
	publisher->subject.part = report->announcement ? SUBJECT_PARTS_MAX - 1 : 0;
	publisher->error[0] = '\0';
	if (draft_init(&draft, report, now_us) < 0)
		return fail(publisher, -ENOMEM, "out of memory");
	err = check_draft(publisher, &draft);
	if (!err)
		err = send_draft(publisher, &draft, now_us);
	if (!err)
		err = first_error(publisher);
	draft_free(&draft);
	return err;
}
