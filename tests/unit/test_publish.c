/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/telemetry/key.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <suanlu/publish.h>
#include <suanlu/telemetry.pb-c.h>
#include <sys/stat.h>

struct edge {
	uint8_t public[32], secret[64];
	char key[SL_KEY_TEXT], address[32];
	int fd;
};

struct fixture {
	char directory[32], file[64], public_key[SL_KEY_TEXT];
	uint8_t public[32];
	struct edge edge[2];
	struct sl_publisher *publisher;
};

static void open_edge(struct edge *edge)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t bytes = sizeof(any);

	crypto_sign_keypair(edge->public, edge->secret);
	sodium_bin2base64(edge->key, sizeof(edge->key), edge->public, 32,
			  sodium_base64_VARIANT_ORIGINAL);
	edge->fd = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(bind(edge->fd, (struct sockaddr *)&any, bytes), 0);
	getsockname(edge->fd, (struct sockaddr *)&any, &bytes);
	snprintf(edge->address, sizeof(edge->address), "[::1]:%u", ntohs(any.sin6_port));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t bytes;

	assert_true(sodium_init() >= 0);
	strcpy(f->directory, "/tmp/suanlu-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->file, sizeof(f->file), "%s/key", f->directory);
	assert_int_equal(sl_keygen(f->file, f->public_key), 0);
	assert_int_equal(sodium_base642bin(f->public, 32, f->public_key, 44, NULL, &bytes, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(sl_publisher_open(&f->publisher, f->file), 0);
	for (unsigned i = 0; i < 2; i++) {
		open_edge(&f->edge[i]);
		assert_int_equal(sl_publisher_add(f->publisher, f->edge[i].address, f->edge[i].key),
				 0);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sl_publisher_close(f->publisher);
	for (unsigned i = 0; i < 2; i++)
		if (f->edge[i].fd >= 0)
			close(f->edge[i].fd);
	unlink(f->file);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* -1: nothing comes */
static ssize_t receive(const struct edge *edge, uint8_t data[2048])
{
	struct pollfd wait = {.fd = edge->fd, .events = POLLIN};

	return poll(&wait, 1, 100) == 1 ? recv(edge->fd, data, 2048, 0) : -1;
}

/* The text of telemetry.proto once more, with nothing but libsodium. */
static void check_tag(const struct fixture *f, const struct edge *edge, const uint8_t *data,
		      size_t bytes)
{
	uint8_t mine[32], theirs[32], text[12 + 32] = "suanlu-tag-1", pair[32], tag[16];
	uint8_t covered[2048];

	assert_int_equal(crypto_sign_ed25519_pk_to_curve25519(theirs, f->public), 0);
	assert_int_equal(crypto_sign_ed25519_sk_to_curve25519(mine, edge->secret), 0);
	assert_int_equal(crypto_scalarmult(text + 12, mine, theirs), 0);
	crypto_generichash(pair, 32, text, sizeof(text), NULL, 0);
	memcpy(covered, data, 12);
	memcpy(covered + 12, data + 28, bytes - 28);
	crypto_generichash(tag, 16, covered, bytes - 16, pair, 32);
	assert_memory_equal(data + 12, tag, 16);
}

static Suanlu__Report *open_datagram(const struct fixture *f, const struct edge *edge,
				     const uint8_t *data, ssize_t bytes)
{
	uint8_t text[2048] = "suanlu-report-1";
	Suanlu__SignedReport *outer;
	Suanlu__Report *report;

	assert_in_range(bytes, 29, 1400);
	assert_memory_equal(data, "SL\x01", 4);
	assert_memory_equal(data + 4, f->public, 8);
	check_tag(f, edge, data, (size_t)bytes);
	outer = suanlu__signed_report__unpack(NULL, (size_t)bytes - 28, data + 28);
	assert_non_null(outer);
	assert_int_equal(outer->signature.len, 64);
	memcpy(text + 15, outer->report.data, outer->report.len);
	assert_int_equal(crypto_sign_verify_detached(outer->signature.data, text,
						     15 + outer->report.len, f->public),
			 0);
	report = suanlu__report__unpack(NULL, outer->report.len, outer->report.data);
	assert_non_null(report);
	suanlu__signed_report__free_unpacked(outer, NULL);
	return report;
}

static const struct sl_latency latency[] = {{0.5, 0.02}, {0.99, 0.11}};
static const struct sl_load infer = {
	.service = "infer",
	.servers = 4,
	.service_time_s = 0.0081,
	.service_scv = 1.25,
	.in_flight = 3,
	.queued = 2,
	.arrivals_per_s = 310.5,
	.completions_per_s = 309.25,
	.arrivals = 1ull << 40,
	.completions = (1ull << 40) - 5,
	.cpu_utilisation = -1,
	.latency = latency,
	.latencies = 2,
};

static void sends_what_was_said(void **state)
{
	struct fixture *f = *state;
	const char *labels[] = {"ai", "cloud"};
	const struct sl_site_flows flows[] = {{"a", 50, 48}, {"b", 20, 0}};
	const struct sl_demand demand = {.service = "infer",
					 .new_flows_per_s = 7,
					 .new_flows = 70,
					 .site = flows,
					 .sites = 2};
	const struct sl_path path = {.site = "a", .delay_s = 0.002};
	const struct sl_report said = {.measured_at_us = 1700000000123456,
				       .valid_for_ms = 750,
				       .label = labels,
				       .labels = 2,
				       .price_per_hour = 0.5,
				       .pue = 1.2,
				       .load = &infer,
				       .loads = 1,
				       .demand = &demand,
				       .demands = 1,
				       .path = &path,
				       .paths = 1};
	uint8_t data[2][2048];
	ssize_t bytes[2];
	Suanlu__Report *got;

	assert_int_equal(sl_publish(f->publisher, &said), 0);
	for (unsigned i = 0; i < 2; i++)
		bytes[i] = receive(&f->edge[i], data[i]);
	got = open_datagram(f, &f->edge[0], data[0], bytes[0]);
	assert_int_equal(got->measured_at_us, said.measured_at_us);
	assert_int_equal(got->valid_for_ms, 750);
	assert_int_equal(got->n_labels, 2);
	assert_string_equal(got->labels[1], "cloud");
	assert_true(got->price_per_hour == 0.5 && got->pue == 1.2);
	assert_int_equal(got->n_load, 1);
	assert_string_equal(got->load[0]->service, "infer");
	assert_int_equal(got->load[0]->servers, 4);
	assert_true(got->load[0]->service_time_s == 0.0081 && got->load[0]->service_scv == 1.25);
	assert_int_equal(got->load[0]->has_cpu_utilisation_case, 0);
	assert_int_equal(got->load[0]->in_flight, 3);
	assert_int_equal(got->load[0]->queued, 2);
	assert_true(got->load[0]->arrivals_per_s == 310.5);
	assert_true(got->load[0]->completions_per_s == 309.25);
	assert_int_equal(got->load[0]->arrivals, infer.arrivals);
	assert_int_equal(got->load[0]->completions, infer.completions);
	assert_int_equal(got->load[0]->n_latency, 2);
	assert_true(got->load[0]->latency[1]->quantile == 0.99);
	assert_true(got->load[0]->latency[1]->latency_s == 0.11);
	assert_int_equal(got->demand[0]->new_flows, 70);
	assert_int_equal(got->demand[0]->n_site, 2);
	assert_string_equal(got->demand[0]->site[0]->site, "a");
	assert_int_equal(got->demand[0]->site[0]->sent, 50);
	assert_int_equal(got->demand[0]->site[0]->closed, 48);
	assert_string_equal(got->demand[0]->site[1]->site, "b");
	assert_string_equal(got->path[0]->site, "a");
	suanlu__report__free_unpacked(got, NULL);

	/* one signature for all receivers; only the tag is the receiver's own */
	suanlu__report__free_unpacked(open_datagram(f, &f->edge[1], data[1], bytes[1]), NULL);
	assert_int_equal(bytes[0], bytes[1]);
	assert_memory_equal(data[0] + 28, data[1] + 28, (size_t)bytes[0] - 28);
	assert_memory_not_equal(data[0] + 12, data[1] + 12, 16);
}

static void cuts_long_reports(void **state)
{
	enum { LOADS = 60, DEMANDS = 200, PATHS = 5 };
	struct fixture *f = *state;
	struct sl_load load[LOADS];
	struct sl_demand demand[DEMANDS] = {0};
	struct sl_path path[PATHS] = {0};
	char name[DEMANDS][24];
	const char *label = "ai";
	unsigned loads = 0, demands = 0, paths = 0, reports = 0;
	uint64_t last = 0;
	uint8_t data[2048];
	ssize_t bytes;

	for (unsigned i = 0; i < DEMANDS; i++) {
		snprintf(name[i], sizeof(name[i]), "s%u", i);
		demand[i].service = name[i];
		if (i < LOADS) {
			load[i] = infer;
			load[i].service = name[i];
		}
		if (i < PATHS)
			path[i].site = name[i];
	}
	assert_int_equal(sl_publish(f->publisher, &(struct sl_report){.label = &label,
								      .labels = 1,
								      .load = load,
								      .loads = LOADS,
								      .demand = demand,
								      .demands = DEMANDS,
								      .path = path,
								      .paths = PATHS}),
			 0);
	while ((bytes = receive(&f->edge[0], data)) > 0) {
		Suanlu__Report *got = open_datagram(f, &f->edge[0], data, bytes);

		assert_true(got->sequence > last);
		last = got->sequence;
		assert_string_equal(got->labels[0], "ai");
		for (size_t i = 0; i < got->n_load; i++)
			assert_string_equal(got->load[i]->service, name[loads++]);
		for (size_t i = 0; i < got->n_demand; i++)
			assert_string_equal(got->demand[i]->service, name[demands++]);
		for (size_t i = 0; i < got->n_path; i++)
			assert_string_equal(got->path[i]->site, name[paths++]);
		assert_in_range(got->n_load + got->n_demand + got->n_path, 1, 128);
		suanlu__report__free_unpacked(got, NULL);
		reports++;
	}
	assert_int_equal(loads, LOADS);
	assert_int_equal(demands, DEMANDS);
	assert_int_equal(paths, PATHS);
	/* full ones: 12 loads of 101 bytes a report, then at most 128 entries */
	assert_in_range(reports, 6, 8);
}

static uint64_t sequence_of_next(struct fixture *f)
{
	uint8_t data[2048];
	Suanlu__Report *got;
	uint64_t sequence;

	assert_int_equal(sl_publish(f->publisher, &(struct sl_report){0}), 0);
	got = open_datagram(f, &f->edge[0], data, receive(&f->edge[0], data));
	sequence = got->sequence;
	assert_int_equal(got->valid_for_ms, 500);
	assert_in_range(got->measured_at_us, sequence - 1000000, sequence + 1000000);
	suanlu__report__free_unpacked(got, NULL);
	return sequence;
}

static void sequence_rises_over_restarts(void **state)
{
	struct fixture *f = *state;
	uint64_t first = sequence_of_next(f);
	uint64_t second = sequence_of_next(f);

	assert_true(second > first);
	sl_publisher_close(f->publisher);
	assert_int_equal(sl_publisher_open(&f->publisher, f->file), 0);
	assert_int_equal(sl_publisher_add(f->publisher, f->edge[0].address, f->edge[0].key), 0);
	assert_true(sequence_of_next(f) > second);
}

static void refuses_what_receivers_would(void **state)
{
	static const struct {
		const char *what;
		struct sl_load load;
	} bad[] = {
		{"load x: servers", {.service = "x"}},
		{"load x: service_time_s", {.service = "x", .servers = 1, .service_time_s = NAN}},
		{"load x: service_scv", {.service = "x", .servers = 1, .service_scv = NAN}},
		{"load x: cpu_utilisation", {.service = "x", .servers = 1, .cpu_utilisation = 2}},
		{"load ?: service name", {.service = "", .servers = 1}},
		{"load ?: service name", {.service = NULL, .servers = 1}},
	};
	struct fixture *f = *state;
	uint8_t data[2048];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(sl_publish(f->publisher,
					    &(struct sl_report){.load = &bad[i].load, .loads = 1}),
				 -EINVAL);
		if (!strstr(sl_publisher_error(f->publisher), bad[i].what))
			fail_msg("%s: %s", bad[i].what, sl_publisher_error(f->publisher));
	}
	assert_int_equal(receive(&f->edge[0], data), -1);
}

static void one_receiver_down_is_not_fatal(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage address;
	uint8_t data[2048];
	int err = 0;

	close(f->edge[0].fd);
	for (unsigned i = 0; i < 20 && !err; i++) {
		err = sl_publish(f->publisher, &(struct sl_report){0});
		suanlu__report__free_unpacked(
			open_datagram(f, &f->edge[1], data, receive(&f->edge[1], data)), NULL);
	}
	assert_int_equal(err, -ECONNREFUSED);
	assert_int_equal(sl_publisher_receiver_error(f->publisher, 0), -ECONNREFUSED);
	assert_int_equal(sl_publisher_receiver_error(f->publisher, 1), 0);
	assert_int_equal(sl_publisher_receiver_error(f->publisher, 2), -EINVAL);
	assert_non_null(strstr(sl_publisher_error(f->publisher), f->edge[0].address));

	/* each report meets the error that the one before it brought, so each was sent */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sl_publish(f->publisher, &(struct sl_report){0}), -ECONNREFUSED);
	while (receive(&f->edge[1], data) > 0)
		;

	/* it comes back: the report that meets the old error arrives all the same */
	f->edge[0].fd = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_true(key_parse_address(f->edge[0].address, &address) > 0);
	assert_int_equal(
		bind(f->edge[0].fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in6)), 0);
	(void)sl_publish(f->publisher, &(struct sl_report){0});
	suanlu__report__free_unpacked(
		open_datagram(f, &f->edge[0], data, receive(&f->edge[0], data)), NULL);
	assert_int_equal(sl_publish(f->publisher, &(struct sl_report){0}), 0);
}

static void refuses_bad_receivers(void **state)
{
	static const char *const address[] = {
		"",	   "192.0.2.1",		"192.0.2.1:",	   "192.0.2.1:0",
		":7801",   "192.0.2.1:65536",	"192.0.2.1:78x",   "2001:db8::1:7801",
		"[::1]",   "[2001:db8::1]7801", "edge1:7801",	   "192.0.2.1:-1",
		"[]:7801", "192.0.2.1:007801",	"[192.0.2.1:7801",
	};
	struct fixture *f = *state;
	struct sockaddr_storage out;

	for (size_t i = 0; i < sizeof(address) / sizeof(*address); i++)
		if (sl_publisher_add(f->publisher, address[i], f->edge[0].key) != -EINVAL)
			fail_msg("\"%s\" was taken", address[i]);
	assert_int_equal(sl_publisher_add(f->publisher, "[::1]:1", "AAAA"), -EINVAL);
	assert_int_equal(sl_publisher_add(f->publisher, "[::1]:1",
					  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
			 -EINVAL); /* of small order */
	assert_non_null(strstr(sl_publisher_error(f->publisher), "not a public key"));
	assert_int_equal(key_parse_address("192.0.2.1:7801", &out), sizeof(struct sockaddr_in));
	assert_int_equal(ntohs(((struct sockaddr_in *)&out)->sin_port), 7801);
	assert_int_equal(key_parse_address("[fe80::1%lo]:7801", &out), sizeof(struct sockaddr_in6));
	assert_int_equal(((struct sockaddr_in6 *)&out)->sin6_scope_id, 1);
}

static void keygen_never_overwrites(void **state)
{
	struct fixture *f = *state;
	char text[512] = {0}, again[512] = {0}, public_key[SL_KEY_TEXT];
	struct stat status;
	FILE *file = fopen(f->file, "r");

	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_int_equal(stat(f->file, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0600);
	assert_non_null(strstr(text, "suanlu-secret-1 "));
	assert_non_null(strstr(text, f->public_key));
	assert_int_equal(sl_key_public(f->file, public_key), 0);
	assert_string_equal(public_key, f->public_key);

	assert_int_equal(sl_keygen(f->file, public_key), -EEXIST);
	file = fopen(f->file, "r");
	assert_true(fread(again, 1, sizeof(again) - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, again);
	assert_int_equal(sl_keygen("/nonexistent/key", public_key), -ENOENT);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

#define SEED "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" /* 1, 2 .. 32 */

static void reads_only_key_files(void **state)
{
	static const struct {
		const char *what, *text;
		mode_t mode;
		int expected;
	} file[] = {
		{"good", "suanlu-secret-1 " SEED "\n", 0600, 0},
		{"read-only", "suanlu-secret-1 " SEED "\n", 0400, 0},
		{"comments, no newline", "# a\n\n# b\nsuanlu-secret-1 " SEED, 0600, 0},
		{"group may read", "suanlu-secret-1 " SEED "\n", 0640, -EACCES},
		{"all may read", "suanlu-secret-1 " SEED "\n", 0604, -EACCES},
		{"group may write", "suanlu-secret-1 " SEED "\n", 0620, -EACCES},
		{"empty", "", 0600, -EINVAL},
		{"a public key", SEED "\n", 0600, -EINVAL},
		{"other version", "suanlu-secret-2 " SEED "\n", 0600, -EINVAL},
		{"cut", "suanlu-secret-1 AQIDBAUGBwgJCgsMDQ4P\n", 0600, -EINVAL},
		{"more after it", "suanlu-secret-1 " SEED "AAAA\n", 0600, -EINVAL},
		{"in a comment", "# suanlu-secret-1 " SEED "\n", 0600, -EINVAL},
	};
	struct fixture *f = *state;
	char name[96], public_key[SL_KEY_TEXT];

	snprintf(name, sizeof(name), "%s/other", f->directory);
	for (size_t i = 0; i < sizeof(file) / sizeof(*file); i++) {
		int err;

		unlink(name);
		write_file(name, file[i].text, file[i].mode);
		err = sl_key_public(name, public_key);
		if (err != file[i].expected)
			fail_msg("%s: %d (%s)", file[i].what, err, sl_publisher_error(NULL));
		if (err == -EACCES)
			assert_non_null(strstr(sl_publisher_error(NULL), "chmod 600"));
		if (err == 0) /* of that seed, computed by python3-cryptography */
			assert_string_equal(public_key,
					    "ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ=");
	}
	unlink(name);
	assert_int_equal(sl_key_public(name, public_key), -ENOENT);
	assert_int_equal(sl_key_public(f->directory, public_key), -EINVAL);
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(sl_key_public(name, public_key), -EINVAL);
	unlink(name);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sends_what_was_said),
		T(cuts_long_reports),
		T(sequence_rises_over_restarts),
		T(refuses_what_receivers_would),
		T(one_receiver_down_is_not_fatal),
		T(refuses_bad_receivers),
		T(keygen_never_overwrites),
		T(reads_only_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
