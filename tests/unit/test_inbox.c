/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/inbox.h"
#include <poll.h>
#include <pthread.h>

#define ROOM 8
#define THREADS 4
#define EACH 20000

static bool readable(const struct inbox *inbox)
{
	struct pollfd poll_fd = {.fd = inbox_fd(inbox), .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void keeps_order_and_bounds(void **state)
{
	struct inbox *inbox;
	struct inbox_message message;
	char subject[16];

	(void)state;
	assert_int_equal(inbox_open(&inbox, ROOM), 0);
	assert_true(inbox_empty(inbox));
	assert_false(readable(inbox));
	assert_false(inbox_take(inbox, &message));
	for (unsigned i = 0; i < ROOM + 3; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		inbox_put(inbox, subject, &i, sizeof(i));
	}
	assert_int_equal(inbox_refused(inbox), 3);
	for (unsigned i = 0; i < ROOM; i++) {
		assert_true(readable(inbox));
		snprintf(subject, sizeof(subject), "s%u", i);
		assert_true(inbox_take(inbox, &message));
		assert_string_equal(message.subject, subject);
		assert_int_equal(message.bytes, sizeof(i));
		assert_memory_equal(message.data, &i, sizeof(i));
		assert_true(message.received_ns > 0);
	}
	assert_false(inbox_take(inbox, &message));
	assert_false(readable(inbox));
	inbox_put(inbox, "again", NULL, 0);
	assert_true(readable(inbox));
	inbox_close(inbox);
}

/* Whatever its size and subject, a message takes its place and no more. */
static void cuts_what_is_too_long(void **state)
{
	static char huge[1 << 20], subject[4096];
	struct inbox *inbox;
	struct inbox_message message;

	(void)state;
	assert_int_equal(inbox_open(&inbox, ROOM), 0);
	memset(huge, 'x', sizeof(huge));
	memset(subject, 's', sizeof(subject) - 1);
	inbox_put(inbox, subject, huge, sizeof(huge));
	inbox_put(inbox, "a\x1b[2Jb\n", huge, CODEC_DATAGRAM_MAX);
	assert_true(inbox_take(inbox, &message));
	assert_int_equal(message.bytes, sizeof(huge));
	assert_int_equal(strlen(message.subject), SUBJECT_TEXT - 1);
	assert_true(inbox_take(inbox, &message));
	assert_string_equal(message.subject, "a?[2Jb?");
	assert_memory_equal(message.data, huge, CODEC_DATAGRAM_MAX);
	inbox_close(inbox);
}

/* Against a plain list: the last of each subject, in the order in which subjects came. */
static void keeps_the_last_of_each(void **state)
{
	unsigned value[ROOM + 4], order[ROOM], waiting = 0;
	struct inbox_message message;
	struct inbox *inbox;
	unsigned short seed[3] = {1, 2, 3};

	(void)state;
	assert_int_equal(inbox_open(&inbox, ROOM), 0);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned subject = (unsigned)(erand48(seed) * (ROOM + 4)), k = 0;
		char text[8];

		snprintf(text, sizeof(text), "s%u", subject);
		if (erand48(seed) < 0.4) {
			assert_true(inbox_take(inbox, &message) == (waiting > 0));
			if (waiting == 0)
				continue;
			snprintf(text, sizeof(text), "s%u", order[0]);
			assert_string_equal(message.subject, text);
			assert_memory_equal(message.data, &value[order[0]], sizeof(value[0]));
			memmove(order, order + 1, --waiting * sizeof(order[0]));
			continue;
		}
		inbox_put(inbox, text, &i, sizeof(i));
		while (k < waiting && order[k] != subject)
			k++;
		if (k == waiting && waiting < ROOM)
			order[waiting++] = subject;
		if (k < waiting)
			value[subject] = i;
	}
	assert_true(inbox_refused(inbox) > 100 && inbox_overtaken(inbox) > 1000);
	inbox_close(inbox);
}

static uint64_t gone(struct inbox *inbox)
{
	return inbox_overtaken(inbox) + inbox_refused(inbox);
}

static void *put_many(void *inbox)
{
	for (unsigned i = 0; i < EACH; i++) {
		char subject[16]; /* more than there is room for */

		snprintf(subject, sizeof(subject), "s%u", i % (2 * ROOM));
		inbox_put(inbox, subject, &i, sizeof(i));
	}
	return NULL;
}

/* Nothing is lost uncounted, and no wake-up is missed. */
static void many_threads(void **state)
{
	struct inbox *inbox;
	struct inbox_message message;
	pthread_t thread[THREADS];
	uint64_t taken = 0;

	(void)state;
	assert_int_equal(inbox_open(&inbox, ROOM), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, put_many, inbox), 0);
	while (taken + gone(inbox) < (uint64_t)THREADS * EACH) {
		struct pollfd poll_fd = {.fd = inbox_fd(inbox), .events = POLLIN};

		if (taken + gone(inbox) < (uint64_t)THREADS * EACH)
			poll(&poll_fd, 1, 1000);
		while (inbox_take(inbox, &message))
			taken++;
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	while (inbox_take(inbox, &message))
		taken++;
	assert_int_equal(taken + gone(inbox), THREADS * EACH);
	assert_true(inbox_empty(inbox));
	inbox_close(inbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_bounds),
		cmocka_unit_test(cuts_what_is_too_long),
		cmocka_unit_test(keeps_the_last_of_each),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
