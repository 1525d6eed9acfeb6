/* SPDX-License-Identifier: BSD-3-Clause */
/* From a dataplane's counters file to rates, and to a datagram that another edge can verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/clock.h"
#include "control/demand.h"
#include "control/telemetry/unpack.h"
#include "control/telemetry/verify.h"

static char run_dir[] = "/tmp/test_demand.XXXXXX";
static struct config_site sites[] = {{.name = "a", .servers = 1, .delay_s = 0.002},
				     {.name = "b", .servers = 1, .delay_s = 0.008}};
static unsigned members[] = {0, 1};
static struct config_service services[] = {{.name = "infer", .site = members, .sites = 2},
					   {.name = "dns", .site = &members[1], .sites = 1}};
static struct config_edge edges[] = {{.name = "edge2"}};
static struct config config = {.node = "edge1",
			       .run_dir = run_dir,
			       .interval_ms = 50,
			       .site = sites,
			       .sites = 2,
			       .service = services,
			       .services = 2,
			       .edge = edges,
			       .edges = 1};
static struct key own, other;
static struct state state;
static struct demand demand;
static struct sl_counters *map;
static double now_s;
static int receiver;
static struct verify *verify;

static size_t file_bytes(void)
{
	return sizeof(struct sl_counters) + sizeof(struct sl_worker_counters);
}

/* A new file in the place of the old one, as a dataplane makes it. */
static void make_file(void)
{
	static const char *const name[][2] = {{"infer", "a"}, {"infer", "b"}, {"dns", "b"}};
	char path[64], next[64];
	int fd;

	snprintf(path, sizeof(path), "%s/counters", run_dir);
	snprintf(next, sizeof(next), "%s/next", run_dir);
	fd = open(next, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)file_bytes()), 0);
	if (map)
		munmap(map, file_bytes());
	map = mmap(NULL, file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);
	map->magic = SL_COUNTERS_MAGIC;
	map->version = SL_COUNTERS_VERSION;
	map->workers = 1;
	for (unsigned i = 0; i < 3; i++) {
		strcpy(map->member[i].service, name[i][0]);
		strcpy(map->member[i].site, name[i][1]);
	}
	assert_int_equal(rename(next, path), 0);
}

static void remove_file(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/counters", run_dir);
	unlink(path);
}

static int set_up(void **unused)
{
	struct sockaddr_in *address = (void *)&edges[0].address;
	socklen_t bytes = sizeof(*address);
	struct config_error error;

	(void)unused;
	receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(receiver, (struct sockaddr *)address, bytes), 0);
	assert_int_equal(getsockname(receiver, (struct sockaddr *)address, &bytes), 0);
	now_s = 1000;
	assert_int_equal(verify_open(&verify, &other), 0);
	assert_int_equal(verify_add(verify, own.public, 7, NULL), 0);
	return state_open(&state, &config) < 0 ||
	       demand_open(&demand, &state, &own, NULL, &error) < 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	demand_close(&demand);
	state_close(&state);
	verify_close(verify);
	close(receiver);
	remove_file();
	return 0;
}

/* The next datagram at the other edge; NULL: there is none. */
static Suanlu__Report *heard(void)
{
	uint8_t data[2048];
	Suanlu__Report *report;
	unsigned sender;
	int64_t ahead_us;
	ssize_t bytes = recv(receiver, data, sizeof(data), 0);

	if (bytes < 0)
		return NULL;
	assert_int_equal(verify_datagram(verify, data, (size_t)bytes, clock_unix_us(), &report,
					 &sender, &ahead_us),
			 VERIFY_ACCEPTED);
	return report;
}

/* `flows` of each member in each of `samples` intervals of 50 ms. */
static void pass(unsigned samples, const uint64_t flows[3])
{
	for (unsigned i = 0; i < samples; i++) {
		now_s += 0.05;
		for (unsigned m = 0; m < 3; m++)
			map->worker[0].member[m].new_flows += flows[m];
		demand_sample(&demand, now_s);
	}
}

static void counts_flows(void **unused)
{
	(void)unused;
	make_file();
	map->worker[0].member[0].new_flows = 1000000; /* of before we looked */
	pass(1, (uint64_t[]){0, 0, 0});
	assert_true(state.service[0].demand_per_s == 0);
	assert_true(demand.counting_s == now_s);
	pass(40, (uint64_t[]){5, 10, 1});
	assert_true(fabs(state.service[0].demand_per_s - 300) < 3);
	assert_true(fabs(state.service[1].demand_per_s - 20) < 2);
	assert_true(fabs(state.service[0].member[0].own_per_s - 100) < 2);
	assert_true(fabs(state.service[0].member[1].own_per_s - 200) < 4);
	assert_int_equal(state.service[0].flows, 600);
	assert_int_equal(state.service[1].flows, 40);
}

/* Neither a dataplane that starts with other totals nor one that is away is a change of demand. */
static void keeps_rates_over_restarts(void **unused)
{
	double before;

	(void)unused;
	make_file();
	pass(40, (uint64_t[]){5, 10, 1});
	before = state.service[0].demand_per_s;
	remove_file();
	for (unsigned i = 0; i < 20; i++)
		demand_sample(&demand, now_s += 0.05);
	assert_true(state.service[0].demand_per_s == before);
	assert_true(demand.counting_s == 0);
	make_file();
	map->worker[0].member[0].new_flows = 5000;
	demand_sample(&demand, now_s += 0.05);
	assert_true(state.service[0].demand_per_s == before);
	map->worker[0].member[0].new_flows = 10; /* a counter that went backwards */
	demand_sample(&demand, now_s += 0.05);
	assert_true(state.service[0].demand_per_s <= before);
	assert_int_equal(state.service[0].flows, 39 * 15);
}

/* What closed is no more there; sites that got nothing are not named. */
static void tells_flows_by_site(void **unused)
{
	struct flows *flows = &state.service[0].member[1].flows;
	Suanlu__Report *report;

	(void)unused;
	make_file();
	map->worker[0].member[1].new_flows = 50; /* control starts beside a dataplane */
	map->worker[0].member[1].closed_flows = 20;
	pass(1, (uint64_t[]){0, 0, 0});
	assert_true(flows->open == 30);
	map->worker[0].member[1].closed_flows += 25;
	pass(1, (uint64_t[]){0, 10, 0});
	assert_true(flows->open == 15);
	map->worker[0].member[1].closed_flows += 60; /* pins that are older than the counters */
	pass(1, (uint64_t[]){0, 0, 0});
	demand_publish(&demand, now_s);
	report = heard();
	assert_int_equal(report->demand[0]->n_site, 1);
	assert_string_equal(report->demand[0]->site[0]->site, "b");
	assert_int_equal(report->demand[0]->site[0]->sent, 60);
	assert_int_equal(report->demand[0]->site[0]->closed, 60);
	assert_int_equal(report->demand[1]->n_site, 0);
	unpack_release(report);
}

static void knows_what_is_not_counted_yet(void **unused)
{
	const struct state_member *member = state.service[0].member;

	(void)unused;
	make_file();
	map->worker[0].member[0].new_flows = 1000000;
	demand_peek(&demand, 0);
	assert_int_equal(member[0].uncounted, 0); /* never sampled */
	pass(2, (uint64_t[]){5, 10, 1});
	map->worker[0].member[0].new_flows += 7;
	demand_peek(&demand, 0);
	assert_int_equal(member[0].uncounted, 7);
	assert_int_equal(member[1].uncounted, 0);
	map->worker[0].member[0].new_flows = 3; /* went backwards */
	demand_peek(&demand, 0);
	assert_int_equal(member[0].uncounted, 0);
	pass(1, (uint64_t[]){5, 10, 1});
	demand_peek(&demand, 0);
	assert_int_equal(member[0].uncounted, 0);
}

static void ignores_a_sample_without_time(void **unused)
{
	(void)unused;
	make_file();
	pass(10, (uint64_t[]){5, 10, 1});
	double before = state.service[0].demand_per_s;

	map->worker[0].member[0].new_flows += 1000;
	demand_sample(&demand, now_s);
	assert_true(state.service[0].demand_per_s == before);
}

static void tells_other_edges(void **unused)
{
	Suanlu__Report *report;

	(void)unused;
	state.service[0].demand_per_s = 123;
	state.service[0].flows = 4567;
	state.site[1].drained = true;
	demand_publish(&demand, now_s);
	report = heard();
	assert_int_equal(report->n_load, 0);
	assert_int_equal(report->n_demand, 2);
	assert_string_equal(report->demand[0]->service, "infer");
	assert_true(report->demand[0]->new_flows_per_s == 123);
	assert_int_equal(report->demand[0]->new_flows, 4567);
	assert_int_equal(report->n_path, 2);
	assert_string_equal(report->path[0]->site, "a");
	assert_true(report->path[0]->delay_s == 0.002 && !report->path[0]->drained);
	assert_true(report->path[1]->delay_s == 0.008 && report->path[1]->drained);
	assert_int_equal(report->valid_for_ms, 500);
	unpack_release(report);
}

/* The services and paths in what is told when so much time has passed; -1, -1: nothing is. */
static void assert_told(double elapsed_s, int services_told, int paths_told)
{
	Suanlu__Report *report;

	now_s += elapsed_s;
	demand_publish(&demand, now_s);
	report = heard();
	assert_int_equal(report ? (int)report->n_demand : -1, services_told);
	assert_int_equal(report ? (int)report->n_path : -1, paths_told);
	if (report)
		unpack_release(report);
	assert_null(heard());
}

static void tells_changes(void **unused)
{
	(void)unused;
	state.service[0].demand_per_s = 100;
	assert_told(0.05, 2, 2); /* all, at first */
	assert_told(0.05, -1, -1);
	state.service[0].demand_per_s = 100.5;
	assert_told(0.05, -1, -1);
	state.service[0].demand_per_s = 102;
	assert_told(0.05, 1, 0);
	assert_told(0.05, 2, 2); /* all, each 0.2 s */
	state.site[1].path_dead = true;
	assert_told(0.05, 0, 1);
	state.site[1].path_dead = false;
	demand.total[0]++; /* a flow of infer at a */
	assert_told(0.05, 1, 1);
	demand.closed[2]++; /* one of dns ended */
	assert_told(0.05, 1, 0);
	assert_told(0.05, 2, 2);
}

/* So many edges that each would have to verify 10,000 datagrams a second. */
static void tells_many_edges_seldomer(void **unused)
{
	unsigned told = 0;

	(void)unused;
	config.edges = 500;
	for (unsigned i = 0; i < 100; i++) {
		Suanlu__Report *report;

		now_s += config.interval_ms / 1e3;
		demand.total[0]++;
		demand_publish(&demand, now_s);
		report = heard();
		if (report) {
			assert_true(report->valid_for_ms >= 2500);
			unpack_release(report);
			told++;
		}
	}
	config.edges = 1;
	assert_in_range(told, 19, 21); /* of 5 s: each 250 ms */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts_flows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_flows_by_site, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_rates_over_restarts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_what_is_not_counted_yet, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ignores_a_sample_without_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_other_edges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_many_edges_seldomer, set_up, tear_down),
	};
	int failed;

	if (sodium_init() < 0 || !mkdtemp(run_dir))
		return 1;
	crypto_sign_keypair(own.public, own.secret);
	crypto_sign_keypair(other.public, other.secret);
	memcpy(edges[0].key, other.public, SL_KEY_BYTES);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return rmdir(run_dir) != 0 || failed;
}
