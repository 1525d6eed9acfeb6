/* SPDX-License-Identifier: BSD-3-Clause */
#include "inbox.h"
#include "clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct inbox {
	pthread_mutex_t lock;
	int fd;
	unsigned room, first, count;
	uint64_t refused;
	struct inbox_message message[];
};

int inbox_open(struct inbox **out, unsigned messages)
{
	struct inbox *inbox = calloc(1, sizeof(*inbox) + messages * sizeof(inbox->message[0]));
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (!inbox || fd < 0) {
		int err = inbox ? -errno : -ENOMEM;

		if (fd >= 0)
			close(fd);
		free(inbox);
		return err;
	}
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
	free(inbox);
}

int inbox_fd(const struct inbox *inbox)
{
	return inbox->fd;
}

static void copy(struct inbox_message *out, const char *subject, const void *data, size_t bytes)
{
	size_t length = strnlen(subject, sizeof(out->subject) - 1);

	/* It is shown and logged. */

	out->received_ns = clock_ns();
	out->bytes = bytes;
	for (size_t i = 0; i < length; i++)
		out->subject[i] = subject[i] > ' ' && subject[i] <= '~' ? subject[i] : '?';
	out->subject[length] = '\0';
	if (bytes > 0 && bytes <= sizeof(out->data))
		memcpy(out->data, data, bytes);
}

void inbox_put(void *argument, const char *subject, const void *data, size_t bytes)
{
	struct inbox *inbox = argument;
	bool first = false;

	pthread_mutex_lock(&inbox->lock);
	if (inbox->count < inbox->room) {
		first = inbox->count == 0;
		copy(&inbox->message[(inbox->first + inbox->count++) % inbox->room], subject, data,
		     bytes);
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

uint64_t inbox_refused(struct inbox *inbox)
{
	uint64_t refused;

	pthread_mutex_lock(&inbox->lock);
	refused = inbox->refused;
	pthread_mutex_unlock(&inbox->lock);
	return refused;
}
