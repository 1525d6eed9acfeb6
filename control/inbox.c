/* SPDX-License-Identifier: BSD-3-Clause */
#include "inbox.h"
#include "clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BEHIND_PART 8 /* of the ring waits */

struct inbox {
	pthread_mutex_t lock;
	int fd;
	unsigned room, first, count;
	uint64_t refused, overtaken;
	unsigned *chain; /* by hash: the message that came last, 1 + its place; 0: none */
	unsigned *next;	 /* by place: who came before it with that hash */
	struct inbox_message message[];
};

int inbox_open(struct inbox **out, unsigned messages)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox) + messages * sizeof(inbox->message[0]));
	unsigned *chain = calloc(2 * (size_t)messages, sizeof(*chain));
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (!inbox || !chain || fd < 0) {
		int err = inbox && chain ? -errno : -ENOMEM;

		if (fd >= 0)
			close(fd);
		free(chain);
		free(inbox);
		return err;
	}
	inbox->chain = chain;
	inbox->next = chain + messages;
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->fd = fd;
	inbox->room = messages;
	*out = inbox;
	return 0;
}

void inbox_close(struct inbox *inbox)
{
	if (!inbox)
		return;
	close(inbox->fd);
	pthread_mutex_destroy(&inbox->lock);
	free(inbox->chain);
	free(inbox);
}

int inbox_fd(const struct inbox *inbox)
{
	return inbox->fd;
}

/* As it is shown and logged. */
static void clean(const char *subject, char out[SUBJECT_TEXT])
{
	size_t length = strnlen(subject, SUBJECT_TEXT - 1);

	for (size_t i = 0; i < length; i++)
		out[i] = subject[i] > ' ' && subject[i] <= '~' ? subject[i] : '?';
	out[length] = '\0';
}

static void copy(struct inbox_message *out, const void *data, size_t bytes)
{
	out->received_ns = clock_ns();
	out->bytes = bytes;
	if (bytes > 0 && bytes <= sizeof(out->data))
		memcpy(out->data, data, bytes);
}

/* FNV-1a. Who may publish on many subjects can make chains long, by his own messages' number. */
static unsigned *chain_of(struct inbox *inbox, const char *subject)
{
	uint32_t hash = 2166136261;

	for (; *subject != '\0'; subject++)
		hash = (hash ^ (uint8_t)*subject) * 16777619;
	return &inbox->chain[hash % inbox->room];
}

static struct inbox_message *find(struct inbox *inbox, unsigned at, const char *subject)
{
	for (; at > 0; at = inbox->next[at - 1])
		if (strcmp(inbox->message[at - 1].subject, subject) == 0)
			return &inbox->message[at - 1];
	return NULL;
}

static void append(struct inbox *inbox, unsigned *chain, const char *subject, const void *data,
		   size_t bytes)
{
	unsigned place = (inbox->first + inbox->count++) % inbox->room;

	strcpy(inbox->message[place].subject, subject);
	copy(&inbox->message[place], data, bytes);
	inbox->next[place] = *chain;
	*chain = place + 1;
}

/* The first one is the last of its chain, as all others came after it. */
static void unchain_first(struct inbox *inbox)
{
	unsigned *at = chain_of(inbox, inbox->message[inbox->first].subject);

	while (*at != inbox->first + 1)
		at = &inbox->next[*at - 1];
	*at = 0;
}

void inbox_put(void *argument, const char *subject, const void *data, size_t bytes)
{
	struct inbox *inbox = argument;
	struct inbox_message *waits;
	char name[SUBJECT_TEXT];
	bool first = false;
	unsigned *chain;

	clean(subject, name);
	chain = chain_of(inbox, name);
	pthread_mutex_lock(&inbox->lock);
	waits = inbox->count < inbox->room / BEHIND_PART ? NULL : find(inbox, *chain, name);
	if (waits) {
		copy(waits, data, bytes);
		inbox->overtaken++;
	} else if (inbox->count < inbox->room) {
		first = inbox->count == 0;
		append(inbox, chain, name, data, bytes);
	} else {
		inbox->refused++;
	}
	pthread_mutex_unlock(&inbox->lock);
	if (first)
		(void)eventfd_write(inbox->fd, 1);
}

bool inbox_take(struct inbox *inbox, struct inbox_message *out)
{
	eventfd_t wakes;
	bool some;

	pthread_mutex_lock(&inbox->lock);
	some = inbox->count > 0;
	if (some) {
		const struct inbox_message *from = &inbox->message[inbox->first];
		size_t bytes = from->bytes <= sizeof(from->data) ? from->bytes : 0;

		memcpy(out, from, offsetof(struct inbox_message, data) + bytes);
		unchain_first(inbox);
		inbox->first = (inbox->first + 1) % inbox->room;
		inbox->count--;
	} else {
		(void)eventfd_read(inbox->fd, &wakes);
	}
	pthread_mutex_unlock(&inbox->lock);
	return some;
}

bool inbox_empty(struct inbox *inbox)
{
	bool empty;

	pthread_mutex_lock(&inbox->lock);
	empty = inbox->count == 0;
	pthread_mutex_unlock(&inbox->lock);
	return empty;
}

static uint64_t counted(struct inbox *inbox, const uint64_t *count)
{
	uint64_t value;

	pthread_mutex_lock(&inbox->lock);
	value = *count;
	pthread_mutex_unlock(&inbox->lock);
	return value;
}

uint64_t inbox_overtaken(struct inbox *inbox)
{
	return counted(inbox, &inbox->overtaken);
}

uint64_t inbox_refused(struct inbox *inbox)
{
	return counted(inbox, &inbox->refused);
}
