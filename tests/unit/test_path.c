/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/path.h"

#define MS 1000000ULL
#define UNIX_NS 1700000000000000000LL
#define INTERVAL_NS (10 * MS)

static const struct path_rule rule = {40 * MS, 1000 * MS, 60000 * MS, false};
static const struct path_rule rule_synchronised = {40 * MS, 1000 * MS, 60000 * MS, true};

/* A path whose network is simulated: reflector with a count and a clock of its own. */
struct world {
	struct sl_path_slot shared;
	struct path path;
	const struct path_rule *rule;
	uint64_t now_ns;
	int64_t there_ns, back_ns, skew_ns;
	uint32_t reflected;
	bool stateless;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->rule = &rule;
	w->now_ns = 1000 * MS;
	w->there_ns = 3 * MS;
	w->back_ns = 5 * MS;
	path_init(&w->path, &w->shared);
}

static struct stamp_reply reply_to(struct world *w, uint32_t sequence, uint64_t sent_ns)
{
	struct stamp_reply reply = {.sequence = sequence, .synchronised = true};

	reply.reflected = w->stateless ? sequence : w->reflected;
	w->reflected++;
	reply.received_ns = UNIX_NS + (int64_t)sent_ns + w->there_ns + w->skew_ns;
	reply.sent_ns = reply.received_ns + 20000;
	return reply;
}

static void arrive(struct world *w, const struct stamp_reply *reply, uint64_t sent_ns)
{
	uint64_t at_ns = sent_ns + (uint64_t)(w->there_ns + w->back_ns) + 20000;

	path_answer(&w->path, w->rule, reply, true, at_ns);
}

enum fate { ANSWERED, LOST_THERE, LOST_BACK };

/* One probe and its answer, then the interval passes; true if the state changed. */
static bool probe(struct world *w, enum fate fate)
{
	uint64_t sent_ns = w->now_ns;
	uint32_t sequence = path_send(&w->path, UNIX_NS + (int64_t)sent_ns, sent_ns);

	if (fate != LOST_THERE) {
		struct stamp_reply reply = reply_to(w, sequence, sent_ns);

		if (fate == ANSWERED)
			arrive(w, &reply, sent_ns);
	}
	w->now_ns += INTERVAL_NS;
	return path_judge(&w->path, w->rule, w->now_ns, 0);
}

static void probe_many(struct world *w, enum fate fate, unsigned n)
{
	while (n--)
		probe(w, fate);
}

static void test_delay(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.skew_ns = 3600LL * 1000 * (int64_t)MS; /* clocks an hour apart do not matter */
	probe_many(&w, ANSWERED, 50);
	assert_int_equal(w.shared.round_trip.current_ns, 8 * MS);
	assert_int_equal(w.shared.round_trip.smoothed_ns, 8 * MS);
	assert_int_equal(w.shared.way[SL_PATH_THERE].smoothed_ns, 4 * MS);
	assert_int_equal(w.shared.way[SL_PATH_BACK].smoothed_ns, 4 * MS);
	assert_int_equal(w.shared.round_trip.jitter_ns, 0);
	assert_false(w.shared.flags & SL_PATH_ONE_WAY);
	w.there_ns += 2 * MS;
	probe(&w, ANSWERED);
	assert_int_equal(w.shared.round_trip.smoothed_ns, 8 * MS + 2 * MS / 8);
	assert_int_equal(w.shared.way[SL_PATH_THERE].jitter_ns, 2 * MS / 16);
	assert_int_equal(w.shared.way[SL_PATH_BACK].jitter_ns, 0);
	assert_int_equal(w.shared.round_trip.least_ns, 8 * MS);
	probe_many(&w, ANSWERED, 13000); /* over two minutes: the least of before is forgotten */
	assert_int_equal(w.shared.round_trip.least_ns, 10 * MS);
}

static void test_one_way(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.rule = &rule_synchronised;
	probe_many(&w, ANSWERED, 20);
	assert_true(w.shared.flags & SL_PATH_ONE_WAY);
	assert_int_equal(w.shared.way[SL_PATH_THERE].smoothed_ns, 3 * MS);
	assert_int_equal(w.shared.way[SL_PATH_BACK].smoothed_ns, 5 * MS);
}

/* Random losses each way, against counts kept beside. */
static void test_losses(void **state)
{
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)atoi(text) : 4711;
	struct world w;
	uint64_t lost[3] = {0};

	(void)state;
	print_message("SEED=%u\n", seed);
	srand(seed);
	world_init(&w);
	probe(&w, ANSWERED);
	for (unsigned i = 0; i < 5000; i++) {
		unsigned draw = (unsigned)rand() % 100;
		enum fate fate = draw < 3 ? LOST_THERE : draw < 8 ? LOST_BACK : ANSWERED;

		probe(&w, fate);
		lost[fate]++;
	}
	probe(&w, ANSWERED); /* the last losses show by the answer after them */
	assert_int_equal(w.shared.lost[SL_PATH_THERE], lost[LOST_THERE]);
	assert_int_equal(w.shared.lost[SL_PATH_BACK], lost[LOST_BACK]);
	assert_false(w.shared.flags & SL_PATH_STATELESS);
	probe_many(&w, ANSWERED, 200);
	assert_int_equal(w.shared.unanswered, lost[LOST_THERE] + lost[LOST_BACK]);
	assert_int_equal(w.shared.answered + w.shared.unanswered, w.shared.sent);
	assert_int_equal(w.shared.recent, 0);
	w.reflected = 0; /* the reflector was started again */
	probe_many(&w, ANSWERED, 10);
	assert_int_equal(w.shared.lost[SL_PATH_THERE], lost[LOST_THERE]);
	probe_many(&w, LOST_THERE, 2);
	probe(&w, ANSWERED);
	assert_int_equal(w.shared.lost[SL_PATH_THERE], lost[LOST_THERE] + 2);
}

static void test_stateless(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.stateless = true;
	probe_many(&w, ANSWERED, 10);
	assert_false(w.shared.flags & SL_PATH_STATELESS);
	probe(&w, LOST_THERE);
	probe(&w, ANSWERED);
	assert_true(w.shared.flags & SL_PATH_STATELESS);
}

/* Duplicates, unknown numbers, reordering. */
static void test_strange_answers(void **state)
{
	struct stamp_reply first, second;
	uint64_t sent_ns[2];
	struct world w;

	(void)state;
	world_init(&w);
	probe(&w, ANSWERED);
	for (unsigned i = 0; i < 2; i++) {
		sent_ns[i] = w.now_ns + i;
		path_send(&w.path, UNIX_NS + (int64_t)sent_ns[i], sent_ns[i]);
	}
	first = reply_to(&w, 1, sent_ns[0]);
	second = reply_to(&w, 2, sent_ns[1]);
	arrive(&w, &second, sent_ns[1]);
	assert_int_equal(w.shared.lost[SL_PATH_BACK], 1);
	arrive(&w, &first, sent_ns[0]);
	assert_int_equal(w.shared.lost[SL_PATH_BACK], 0);
	assert_int_equal(w.shared.answered, 3);
	arrive(&w, &first, sent_ns[0]);
	assert_int_equal(w.shared.answered, 3);
	assert_int_equal(w.shared.refused, 1);
	first.sequence = 3; /* not sent yet */
	arrive(&w, &first, sent_ns[0]);
	first.sequence = 2 - PATH_RING; /* long ago */
	arrive(&w, &first, sent_ns[0]);
	assert_int_equal(w.shared.refused, 3);
	/* after absurdly long: no delay can be had, but it lives */
	path_send(&w.path, UNIX_NS, w.now_ns);
	second.sequence = 3;
	path_answer(&w.path, &rule, &second, true, w.now_ns + 61000 * MS);
	assert_int_equal(w.shared.refused, 4);
	assert_int_equal(w.shared.heard_ns, w.now_ns + 61000 * MS);
}

static void test_never_answered(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	probe_many(&w, LOST_THERE, 1000);
	assert_int_equal(w.shared.state, SL_PATH_UNKNOWN);
	assert_true(path_takes_flows(&w.shared));
	assert_int_equal(w.shared.recent, UINT64_MAX);
	assert_int_equal(path_deadline(&w.path, &rule, 0), UINT64_MAX);
}

static uint64_t until_alive_ms(struct world *w)
{
	uint64_t from_ns = w->now_ns;

	while (w->shared.state != SL_PATH_ALIVE)
		probe(w, ANSWERED);
	return (w->now_ns - from_ns) / MS;
}

static void test_death(void **state)
{
	struct world w;
	uint64_t heard_ns;

	(void)state;
	world_init(&w);
	assert_true(probe(&w, ANSWERED));
	assert_int_equal(w.shared.state, SL_PATH_ALIVE);
	probe_many(&w, ANSWERED, 20);
	heard_ns = w.shared.heard_ns;
	assert_int_equal(path_deadline(&w.path, &rule, 0), heard_ns + rule.dead_ns);
	assert_false(path_judge(&w.path, &rule, heard_ns + rule.dead_ns - 1, 0));
	assert_false(path_judge(&w.path, &rule, heard_ns + rule.dead_ns, heard_ns + 1));
	assert_true(path_judge(&w.path, &rule, heard_ns + rule.dead_ns, 0));
	assert_int_equal(w.shared.state, SL_PATH_DEAD);
	assert_int_equal(w.shared.deaths, 1);
	assert_false(path_takes_flows(&w.shared));

	/* One answer does not bring it back, nor does a time with a gap. */
	w.now_ns = heard_ns + rule.dead_ns;
	assert_true(probe(&w, ANSWERED));
	assert_int_equal(w.shared.state, SL_PATH_HELD);
	probe_many(&w, ANSWERED, 90);
	assert_int_equal(w.shared.state, SL_PATH_HELD);
	probe_many(&w, LOST_BACK, 5);
	assert_int_equal(w.shared.state, SL_PATH_DEAD);
	assert_int_equal(w.shared.deaths, 1);
	assert_in_range(until_alive_ms(&w), 1000, 1020);
}

/* Two paths with answers some ms apart; each millisecond is judged like prober.c does. Returns how
 * long the first was silent when it died. */
static uint64_t died_ms(struct world w[2], bool both)
{
	uint64_t first_ns = w[0].now_ns, at_ns = first_ns;

	for (unsigned ms = 0; w[0].shared.state == SL_PATH_ALIVE && ms < 1000; ms++) {
		uint64_t newest_ns = 0, from_ns;

		at_ns = first_ns + ms * MS;
		for (unsigned i = 0; i < 2; i++) {
			if (i == 1 && !both && ms % 10 == 0)
				w[i].shared.heard_ns = at_ns;
			if (w[i].shared.state == SL_PATH_ALIVE && w[i].shared.heard_ns > newest_ns)
				newest_ns = w[i].shared.heard_ns;
		}
		from_ns = path_judged_from(&rule, newest_ns, 0, at_ns);
		for (unsigned i = 0; i < 2; i++)
			path_judge(&w[i].path, &rule, at_ns, from_ns);
	}
	return (at_ns - w[0].shared.heard_ns) / MS;
}

static void test_shared_fate(void **state)
{
	struct world w[2];

	(void)state;
	for (unsigned both = 0; both < 2; both++)
		for (unsigned apart_ms = 0; apart_ms < 10; apart_ms++) {
			world_init(&w[0]);
			world_init(&w[1]);
			w[1].there_ns += (int64_t)(apart_ms * MS);
			probe_many(&w[0], ANSWERED, 20);
			probe_many(&w[1], ANSWERED, 20);
			assert_int_equal(died_ms(w, both), 40 + (both ? apart_ms : 0));
			assert_int_equal(w[1].shared.state, both ? SL_PATH_DEAD : SL_PATH_ALIVE);
		}
	/* One that is alone is no different. */
	world_init(&w[0]);
	world_init(&w[1]);
	probe_many(&w[0], ANSWERED, 20);
	assert_int_equal(died_ms(w, true), 40);
}

static void test_damping(void **state)
{
	uint64_t held_ms = 0, before_ms;
	struct world w;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 12; i++) {
		probe_many(&w, ANSWERED, 5);
		probe_many(&w, LOST_THERE, 6);
		assert_int_equal(w.shared.state, SL_PATH_DEAD);
		before_ms = held_ms;
		held_ms = until_alive_ms(&w);
		print_message("death %u: held %lu ms\n", i + 1, (unsigned long)held_ms);
		assert_true(held_ms <= 60020);
		assert_true(held_ms >= (before_ms < 55000 ? before_ms * 18 / 10 : 55000));
	}
	probe_many(&w, ANSWERED, 60000); /* ten minutes of peace */
	probe_many(&w, LOST_THERE, 6);
	assert_in_range(until_alive_ms(&w), 1000, 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),		cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_losses),		cmocka_unit_test(test_stateless),
		cmocka_unit_test(test_strange_answers), cmocka_unit_test(test_never_answered),
		cmocka_unit_test(test_death),		cmocka_unit_test(test_damping),
		cmocka_unit_test(test_shared_fate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
