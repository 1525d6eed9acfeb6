/* SPDX-License-Identifier: BSD-3-Clause */
/* Real datagrams of a publisher over loopback into the state, and what is counted on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/clock.h"
#include "control/ingest.h"
#include "control/telemetry/publisher.h"

static char run_dir[] = "/tmp/test_ingest.XXXXXX";
static struct config_site sites[] = {{.name = "a", .has_key = true, .servers = 16},
				     {.name = "b", .servers = 4}};
static unsigned members[] = {1, 0};
static struct config_service services[] = {
	{.name = "infer", .site = members, .sites = 2, .max_delay_s = INFINITY}};
static struct config_edge edges[] = {{.name = "edge2"}};
static struct config_transit transits[] = {{.name = "transit1", .has_key = true}};
static struct config config = {.node = "edge1",
			       .run_dir = run_dir,
			       .site = sites,
			       .sites = 2,
			       .service = services,
			       .services = 1,
			       .edge = edges,
			       .edges = 1,
			       .transit = transits,
			       .transits = 1};
static struct key own, site_key, edge_key, transit_key, stranger;
static struct event_base *base;
static struct state state;
static struct ingest ingest;
static unsigned ready;

static void on_ready(void *argument, bool more)
{
	assert_ptr_equal(argument, &ready);
	assert_false(more); /* than a burst */
	ready++;
}

static void ingest_up(void)
{
	struct config_error error = {};

	if (ingest_open(&ingest, &state, &own, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(ingest_start(&ingest, base, on_ready, &ready), 0);
}

static int set_up(void **unused)
{
	struct sockaddr_in *address = (void *)&config.telemetry_listen;
	socklen_t bytes = sizeof(*address);
	int probe = socket(AF_INET, SOCK_DGRAM, 0); /* a port that is free */

	(void)unused;
	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(probe, (struct sockaddr *)address, bytes), 0);
	assert_int_equal(getsockname(probe, (struct sockaddr *)address, &bytes), 0);
	close(probe);
	base = event_base_new();
	ready = 0;
	assert_int_equal(state_open(&state, &config), 0);
	ingest_up();
	return 0;
}

static int tear_down(void **unused)
{
	char path[64];

	(void)unused;
	ingest_close(&ingest);
	state_close(&state);
	event_base_free(base);
	snprintf(path, sizeof(path), "%s/" REPLAY_FILE, run_dir);
	unlink(path);
	return 0;
}

static struct sl_publisher *publisher_of(const struct key *key)
{
	const struct sockaddr_in *address = (const void *)&config.telemetry_listen;
	struct sl_publisher *publisher;
	char to[32], text[SL_KEY_TEXT];

	snprintf(to, sizeof(to), "127.0.0.1:%u", ntohs(address->sin_port));
	key_print_public(own.public, text);
	assert_int_equal(publisher_open(&publisher, key), 0);
	assert_int_equal(sl_publisher_add(publisher, to, text), 0);
	return publisher;
}

static void publish(const struct key *key, const struct sl_report *report)
{
	struct sl_publisher *publisher = publisher_of(key);

	assert_int_equal(sl_publish(publisher, report), 0);
	sl_publisher_close(publisher);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void publish_load(const struct key *key, uint32_t servers, int64_t ahead_us)
{
	struct sl_load load = {.service = "infer",
			       .servers = servers,
			       .service_time_s = 0.02,
			       .service_scv = -1,
			       .in_flight = 3,
			       .cpu_utilisation = -1};

	publish(key, &(struct sl_report){.measured_at_us = clock_unix_us() + (uint64_t)ahead_us,
					 .load = &load,
					 .loads = 1});
}

static void takes_a_site(void **unused)
{
	const struct estimate *estimate = &state.service[0].member[1].estimate;
	double now_s = clock_s();

	(void)unused;
	publish_load(&site_key, 8, -100000);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 1);
	assert_int_equal(ready, 1);
	assert_int_equal(estimate->servers, 8);
	assert_int_equal(estimate->in_flight, 3);
	assert_true(state.service[0].dirty);
	assert_true(state.service[0].cause.arrived_ns > 0 &&
		    state.service[0].cause.arrived_ns <= clock_ns());
	assert_true(state.service[0].cause.measured_ns + 50000000 <
		    state.service[0].cause.arrived_ns);
	/* its age counts, on our clock */
	assert_true(fabs(estimate->measured_at_s - (now_s - 0.1)) < 0.05);
	assert_int_equal(state_site_state(&state, 0, clock_s()), ESTIMATE_FRESH);
	assert_int_equal(state_site_state(&state, 1, clock_s()), ESTIMATE_NEVER);
}

/* More than it has is cut to what the operator gave it; less is believed. */
static void bounds_a_claim(void **unused)
{
	const struct estimate *estimate = &state.service[0].member[1].estimate;

	(void)unused;
	publish_load(&site_key, 1000000, 0);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 1);
	assert_int_equal(estimate->servers, 16);
	publish_load(&site_key, 2, 0);
	assert_int_equal(estimate->servers, 2);
}

static void takes_an_edge(void **unused)
{
	struct sl_demand demand = {.service = "infer", .new_flows_per_s = 40};
	struct sl_path path[] = {{.site = "a", .delay_s = 0.005}, {.site = "nowhere"}};
	struct sl_report report = {.demand = &demand, .demands = 1, .path = path, .paths = 2};

	(void)unused;
	publish(&edge_key, &report);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 1);
	assert_true(state.edge[0].demand_per_s[0] == 40);
	assert_true(state_edge_delay_s(&state, 0, 0, clock_s()) == 0.005);
	assert_true(isinf(state_edge_delay_s(&state, 0, 1, clock_s())));
	/* drained there: at once, not only when its word has grown old */
	path[0].drained = true;
	publish(&edge_key, &report);
	assert_true(isinf(state_edge_delay_s(&state, 0, 0, clock_s())));
	path[0].drained = false;
	publish(&edge_key, &report);
	assert_true(state_edge_delay_s(&state, 0, 0, clock_s()) == 0.005);
}

static void counts_what_it_refuses(void **unused)
{
	const struct sockaddr *to = (const void *)&config.telemetry_listen;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)unused;
	publish_load(&stranger, 8, 0);
	assert_int_equal(ingest.count[VERIFY_UNKNOWN_KEY], 1);
	assert_int_equal(sendto(fd, "x", 1, 0, to, sizeof(struct sockaddr_in)), 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(ingest.count[VERIFY_SIZE], 1);
	publish_load(&site_key, 8, -2000000);
	assert_int_equal(ingest.count[VERIFY_STALE], 1);
	assert_true(ingest.off_s[0] > 0);
	publish_load(&site_key, 8, 3000000);
	assert_int_equal(ingest.count[VERIFY_FUTURE], 1);
	assert_int_equal(ready, 0);
	assert_false(state.service[0].dirty);
	publish_load(&site_key, 8, 0);
	assert_int_equal(ready, 1);
	ingest_log_refused(&ingest, clock_s());
	assert_int_equal(ingest.logged[VERIFY_UNKNOWN_KEY], 1);
	close(fd);
}

/* Lines of the log that say so, while act() is done. */
static unsigned lines_of(void (*act)(void), const char *what)
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	unsigned lines = 0;
	char line[512];

	assert_true(file && before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
	act();
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		lines += strstr(line, what) != NULL;
	fclose(file);
	return lines;
}

static const struct key *flapper;

/* Delays about as long as reports are valid: every other one comes too late. */
static void flap(void)
{
	for (unsigned i = 0; i < 20; i++)
		publish_load(flapper, 8, i % 2 ? 0 : -2000000);
}

static void come_to_rest(void)
{
	for (unsigned i = 0; i < config.sites + config.edges + config.transits; i++)
		ingest.off_s[i] -= ingest.off_s[i] > 0 ? 2 : 0; /* seconds ago */
	publish_load(flapper, 8, 0);
	publish_load(flapper, 8, 0);
}

/* Each kind of sender, by its own name. */
static void names_a_clock_once(void **unused)
{
	const struct key *key[] = {&site_key, &edge_key, &transit_key};
	const char *name[] = {"a", "edge2", "transit1"};

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		char refused[64], again[64];

		snprintf(refused, sizeof(refused), "warning: %s: its reports are refused", name[i]);
		snprintf(again, sizeof(again), "info: %s: its clock agrees", name[i]);
		flapper = key[i];
		assert_int_equal(lines_of(flap, refused), 1);
		assert_int_equal(lines_of(flap, name[i]), 0);
		assert_int_equal(lines_of(come_to_rest, again), 1);
	}
}

static void log_all(void)
{
	ingest_log_refused(&ingest, clock_s() + 100);
}

/* What was good when it came and is too old when it is read is not held against its sender. */
static void knows_what_waited(void **unused)
{
	struct sl_report report = {.measured_at_us = clock_unix_us() - 300000};
	struct sl_publisher *publisher = publisher_of(&site_key);

	(void)unused;
	assert_int_equal(sl_publish(publisher, &report), 0);
	sl_publisher_close(publisher);
	usleep(400000);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(ingest.count[VERIFY_STALE], 1);
	assert_true(ingest.off_s[0] == 0);
	assert_true(ingest.waited_s >= 0.4);
	assert_int_equal(lines_of(log_all, "they waited 0.4 s to be read"), 1);
	publish_load(&site_key, 8, -2000000);
	assert_true(ingest.off_s[0] > 0);
	assert_int_equal(lines_of(log_all, "to be read"), 0);
}

/* Of many that waited long the last ones are read: here all but the first full burst. */
static void reads_the_last_of_many(void **unused)
{
	struct sl_load load = {.service = "infer", .servers = 8, .service_time_s = 0.02};
	struct sl_report report = {.load = &load, .loads = 1};
	struct sl_publisher *publisher = publisher_of(&site_key);

	(void)unused;
	for (unsigned i = 0; i < INGEST_BURST + 5; i++)
		assert_int_equal(sl_publish(publisher, &report), 0);
	sl_publisher_close(publisher);
	usleep(300000);
	for (unsigned i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(ingest.dropped, INGEST_BURST);
	assert_true(ingest.count[VERIFY_ACCEPTED] > 0); /* more at once are a flood, of one site */
	assert_int_equal(ingest.count[VERIFY_ACCEPTED] + ingest.count[VERIFY_FLOOD], 5);
}

/* What the kernel had to drop is known as soon as anything comes again. */
static void counts_what_was_dropped(void **unused)
{
	const struct sockaddr *to = (const void *)&config.telemetry_listen;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), least = 1;
	char data[200] = {};

	(void)unused;
	assert_int_equal(setsockopt(ingest.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
	for (unsigned i = 0; i < 100; i++)
		sendto(fd, data, sizeof(data), 0, to, sizeof(struct sockaddr_in));
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	publish_load(&site_key, 8, 0);
	assert_in_range(ingest.dropped, 1, 99);
	assert_int_equal(ingest.dropped + ingest.count[VERIFY_FORMAT], 100);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 1);
	close(fd);
}

/* A recorded report after a restart: the newest may be taken once more, an older one not. */
static void remembers_over_a_restart(void **unused)
{
	struct sl_report report = {.measured_at_us = clock_unix_us() - 1000};
	uint64_t first_us = report.measured_at_us;

	(void)unused;
	publish(&site_key, &report);
	report.measured_at_us++;
	publish(&site_key, &report);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 2);
	ingest_close(&ingest);
	ingest_up();
	report.measured_at_us = first_us;
	publish(&site_key, &report);
	assert_int_equal(ingest.count[VERIFY_REPLAYED], 1);
	report.measured_at_us = first_us + 1;
	publish(&site_key, &report);
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 1);
}

/* A step back of our clock is seen by what passed on the other one. */
static void notices_its_clock_set_back(void **unused)
{
	(void)unused;
	publish(&site_key, &(struct sl_report){.measured_at_us = clock_unix_us() + 900000});
	ingest_watch_clock(&ingest);
	ingest_watch_clock(&ingest); /* nothing happened */
	publish(&site_key, &(struct sl_report){.measured_at_us = clock_unix_us() + 900000});
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 2);
	ingest.clock_us += 3600000000; /* as if it had been an hour ahead until now */
	ingest_watch_clock(&ingest);
	publish(&site_key, &(struct sl_report){.measured_at_us = clock_unix_us() - 100000});
	assert_int_equal(ingest.count[VERIFY_REPLAYED], 1);
	publish(&site_key, &(struct sl_report){});
	assert_int_equal(ingest.count[VERIFY_ACCEPTED], 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(takes_a_site),
		T(bounds_a_claim),
		T(takes_an_edge),
		T(counts_what_it_refuses),
		T(names_a_clock_once),
		T(knows_what_waited),
		T(reads_the_last_of_many),
		T(counts_what_was_dropped),
		T(remembers_over_a_restart),
		T(notices_its_clock_set_back),
	};
	struct key *key[] = {&own, &site_key, &edge_key, &transit_key, &stranger};
	int failed;

	if (sodium_init() < 0 || !mkdtemp(run_dir))
		return 1;
	for (unsigned i = 0; i < 5; i++)
		crypto_sign_keypair(key[i]->public, key[i]->secret);
	memcpy(sites[0].key, site_key.public, SL_KEY_BYTES);
	memcpy(edges[0].key, edge_key.public, SL_KEY_BYTES);
	memcpy(transits[0].key, transit_key.public, SL_KEY_BYTES);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return rmdir(run_dir) != 0 || failed;
}
