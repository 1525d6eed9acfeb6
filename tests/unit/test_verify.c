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

#include "control/telemetry/codec.h"
#include "control/telemetry/plausible.h"
#include "control/telemetry/verify.h"
#include <errno.h>
#include <math.h>
#include <time.h>

#define NOW_US 1700000000000000ull
#define SENDER 7

struct fixture {
	struct verify *verify;
	struct key own_key, site, stranger;
	uint8_t own[KEY_PUBLIC_BYTES];
	uint64_t now_us, step_us; /* of give: a step after each */
};

static void make_key(struct key *key)
{
	crypto_sign_keypair(key->public, key->secret);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_true(sodium_init() >= 0);
	f->now_us = NOW_US;
	make_key(&f->own_key);
	memcpy(f->own, f->own_key.public, sizeof(f->own));
	make_key(&f->site);
	make_key(&f->stranger);
	assert_int_equal(verify_open(&f->verify, &f->own_key), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	verify_close(f->verify);
	free(f);
	return 0;
}

static void put_tag(const struct key *sender, const uint8_t *receiver, uint8_t *data, size_t bytes)
{
	uint8_t pair[CODEC_PAIR_BYTES];

	assert_int_equal(codec_pair(sender, receiver, pair), 0);
	codec_tag(pair, data, bytes, data + 12);
}

static size_t make(const struct fixture *f, const Suanlu__Report *report, uint8_t *data)
{
	int bytes = codec_sign(&f->site, report, data);

	assert_true(bytes > 0);
	put_tag(&f->site, f->own, data, (size_t)bytes);
	return (size_t)bytes;
}

/* A signed report of arbitrary bytes: what only a broken or hostile known sender makes. */
static size_t make_raw(const struct fixture *f, const uint8_t *report, size_t report_bytes,
		       size_t signature_bytes, uint8_t *data)
{
	uint8_t text[15 + CODEC_DATAGRAM_MAX] = "suanlu-report-1", signature[64];
	Suanlu__SignedReport outer = SUANLU__SIGNED_REPORT__INIT;
	size_t bytes;

	memcpy(text + 15, report, report_bytes);
	crypto_sign_detached(signature, NULL, text, 15 + report_bytes, f->site.secret);
	outer.report = (ProtobufCBinaryData){report_bytes, (uint8_t *)report};
	outer.signature = (ProtobufCBinaryData){signature_bytes, signature};
	memcpy(data, (uint8_t[28]){'S', 'L', 1, 0}, 28);
	memcpy(data + 4, f->site.public, 8);
	bytes = 28 + suanlu__signed_report__pack(&outer, data + 28);
	put_tag(&f->site, f->own, data, bytes);
	return bytes;
}

static enum verify_reason give(struct fixture *f, const uint8_t *data, size_t bytes)
{
	/* from the heap and of the exact size, so that ASan sees any read past the end */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	Suanlu__Report *report = (void *)&report;
	unsigned sender = 99;
	enum verify_reason reason;

	memcpy(copy, data, bytes);
	reason = verify_datagram(f->verify, copy, bytes, f->now_us, &report, &sender);
	f->now_us += f->step_us;
	free(copy);
	if (reason == VERIFY_ACCEPTED) {
		assert_int_equal(sender, SENDER);
		suanlu__report__free_unpacked(report, NULL);
	} else {
		assert_ptr_equal(report, (void *)&report);
		assert_int_equal(sender, 99);
	}
	return reason;
}

/* A good report with one of everything; mutations start from it. */
struct sample {
	Suanlu__Report report;
	Suanlu__ServiceLoad load[2], *loads[2];
	Suanlu__ServiceDemand demand[2], *demands[2];
	Suanlu__PathDelay path[2], *paths[2];
	Suanlu__LatencyQuantile latency, *latencies[PLAUSIBLE_DETAILS_MAX + 1];
	Suanlu__Metric metric, *metrics[PLAUSIBLE_DETAILS_MAX + 1];
	char *labels[SL_LABELS_MAX + 1];
};

static void sample_load(Suanlu__ServiceLoad *load, char *service)
{
	suanlu__service_load__init(load);
	load->service = service;
	load->servers = 4;
	load->service_time_s = 0.008;
	load->has_service_scv_case = SUANLU__SERVICE_LOAD__HAS_SERVICE_SCV_SERVICE_SCV;
	load->service_scv = 1.2;
	load->has_cpu_utilisation_case = SUANLU__SERVICE_LOAD__HAS_CPU_UTILISATION_CPU_UTILISATION;
	load->cpu_utilisation = 0.5;
	load->in_flight = 3;
	load->queued = 1;
	load->arrivals_per_s = load->completions_per_s = 300;
	load->arrivals = 1000;
	load->completions = 996;
}

static void sample_details(struct sample *s)
{
	suanlu__latency_quantile__init(&s->latency);
	s->latency.quantile = 0.99;
	s->latency.latency_s = 0.05;
	suanlu__metric__init(&s->metric);
	s->metric.type = "energy";
	s->metric.unit = "J per request";
	s->metric.value = 2.5;
	for (unsigned i = 0; i <= PLAUSIBLE_DETAILS_MAX; i++) {
		s->latencies[i] = &s->latency;
		s->metrics[i] = &s->metric;
	}
	s->load[0].latency = s->latencies;
	s->load[0].metric = s->metrics;
	s->load[0].n_latency = s->load[0].n_metric = 1;
}

static void sample_init(struct sample *s)
{
	static uint64_t sequence = 1;

	suanlu__report__init(&s->report);
	s->report.sequence = sequence++;
	s->report.measured_at_us = NOW_US - 1000;
	s->report.valid_for_ms = 500;
	s->report.pue = 1.2;
	for (unsigned i = 0; i <= SL_LABELS_MAX; i++)
		s->labels[i] = "ai";
	s->report.labels = s->labels;
	s->report.n_labels = 1;
	for (unsigned i = 0; i < 2; i++) {
		sample_load(&s->load[i], i == 0 ? "infer" : "train");
		suanlu__service_demand__init(&s->demand[i]);
		s->demand[i].service = i == 0 ? "infer" : "train";
		suanlu__path_delay__init(&s->path[i]);
		s->path[i].site = i == 0 ? "a" : "b";
		s->loads[i] = &s->load[i];
		s->demands[i] = &s->demand[i];
		s->paths[i] = &s->path[i];
	}
	sample_details(s);
	s->report.load = s->loads;
	s->report.demand = s->demands;
	s->report.path = s->paths;
	s->report.n_load = s->report.n_demand = s->report.n_path = 2;
}

static void accepts_good(void **state)
{
	struct sample s;
	uint8_t data[CODEC_DATAGRAM_MAX];

	sample_init(&s);
	assert_int_equal(give(*state, data, make(*state, &s.report, data)), VERIFY_ACCEPTED);
}

#define M(name, statement)                 \
	static void name(struct sample *s) \
	{                                  \
		statement;                 \
	}
M(nothing, (void)s)
M(stale, s->report.measured_at_us = NOW_US - 500001)
M(just_valid, s->report.measured_at_us = NOW_US - 500000)
M(stale_default, (s->report.valid_for_ms = 0, s->report.measured_at_us = NOW_US - 500001))
M(valid_default, (s->report.valid_for_ms = 0, s->report.measured_at_us = NOW_US - 500000))
M(long_ago, s->report.measured_at_us = 0)
M(future, s->report.measured_at_us = NOW_US + 1000001)
M(ahead, s->report.measured_at_us = NOW_US + 1000000)
M(far_future, s->report.measured_at_us = UINT64_MAX)
M(valid_long, s->report.valid_for_ms = 60001)
M(valid_max, s->report.valid_for_ms = 60000)
M(price_nan, s->report.price_per_hour = NAN)
M(price_negative, s->report.price_per_hour = -1)
M(pue_low, s->report.pue = 0.9)
M(pue_nan, s->report.pue = NAN)
M(pue_unset, s->report.pue = 0)
M(labels_many, s->report.n_labels = SL_LABELS_MAX + 1)
M(label_empty, s->labels[0] = "")
M(label_long, s->labels[0] = "abcdefghijklmnopqrstuvwxyz123456")
M(label_full, s->labels[0] = "abcdefghijklmnopqrstuvwxyz12345")
M(label_newline, s->labels[0] = "a\nb")
M(servers_none, s->load[0].servers = 0)
M(servers_many, s->load[0].servers = 1000001)
M(time_nan, s->load[0].service_time_s = NAN)
M(time_infinite, s->load[0].service_time_s = INFINITY)
M(time_negative, s->load[0].service_time_s = -1e-9)
M(time_long, s->load[0].service_time_s = 1.1e5)
M(time_unknown, s->load[0].service_time_s = 0)
M(scv_nan, s->load[0].service_scv = NAN)
M(scv_negative, s->load[0].service_scv = -0.1)
M(scv_large, s->load[0].service_scv = 1.1e4)
M(scv_absent, s->load[0].has_service_scv_case = 0)
M(in_flight_many, s->load[0].in_flight = UINT32_MAX)
M(queued_many, s->load[0].queued = UINT32_MAX)
M(arrivals_nan, s->load[0].arrivals_per_s = NAN)
M(arrivals_negative, s->load[0].arrivals_per_s = -1)
M(completions_infinite, s->load[0].completions_per_s = INFINITY)
M(cpu_over, s->load[0].cpu_utilisation = 1.01)
M(service_empty, s->load[0].service = "")
M(service_long, s->load[0].service = "abcdefghijklmnopqrstuvwxyz123456")
M(service_space, s->load[0].service = "a b")
M(service_latin, s->load[0].service = "caf\xc3\xa9")
M(service_twice, s->load[1].service = "infer")
M(second_wrong, s->load[1].servers = 0)
M(quantile_over, s->latency.quantile = 1.1)
M(latency_nan, s->latency.latency_s = NAN)
M(latencies_many, s->load[0].n_latency = PLAUSIBLE_DETAILS_MAX + 1)
M(metrics_many, s->load[0].n_metric = PLAUSIBLE_DETAILS_MAX + 1)
M(metric_level, s->metric.level = 3)
M(metric_type, s->metric.type = "")
M(metric_unit, s->metric.unit = "\x1b[31m")
M(metric_nan, s->metric.value = NAN)
M(metric_infinite, s->metric.value = -INFINITY)
M(demand_negative, s->demand[0].new_flows_per_s = -1)
M(demand_nan, s->demand[1].new_flows_per_s = NAN)
M(demand_empty, s->demand[0].service = "")
M(demand_twice, s->demand[1].service = "infer")
M(path_negative, s->path[0].delay_s = -1)
M(path_infinite, s->path[1].delay_s = INFINITY)
M(path_empty, s->path[0].site = "")
M(path_twice, s->path[1].site = "a")

static const struct {
	const char *what;
	enum verify_reason reason;
	void (*mutate)(struct sample *);
} mutations[] = {
#define ROW(name, reason)                    \
	{                                    \
#name, VERIFY_##reason, name \
	}
	ROW(nothing, ACCEPTED),
	ROW(stale, STALE),
	ROW(just_valid, ACCEPTED),
	ROW(stale_default, STALE),
	ROW(valid_default, ACCEPTED),
	ROW(long_ago, STALE),
	ROW(future, FUTURE),
	ROW(ahead, ACCEPTED),
	ROW(far_future, FUTURE),
	ROW(valid_long, IMPLAUSIBLE),
	ROW(valid_max, ACCEPTED),
	ROW(price_nan, IMPLAUSIBLE),
	ROW(price_negative, IMPLAUSIBLE),
	ROW(pue_low, IMPLAUSIBLE),
	ROW(pue_nan, IMPLAUSIBLE),
	ROW(pue_unset, ACCEPTED),
	ROW(labels_many, IMPLAUSIBLE),
	ROW(label_empty, IMPLAUSIBLE),
	ROW(label_long, IMPLAUSIBLE),
	ROW(label_full, ACCEPTED),
	ROW(label_newline, IMPLAUSIBLE),
	ROW(servers_none, IMPLAUSIBLE),
	ROW(servers_many, IMPLAUSIBLE),
	ROW(time_nan, IMPLAUSIBLE),
	ROW(time_infinite, IMPLAUSIBLE),
	ROW(time_negative, IMPLAUSIBLE),
	ROW(time_long, IMPLAUSIBLE),
	ROW(time_unknown, ACCEPTED),
	ROW(scv_nan, IMPLAUSIBLE),
	ROW(scv_negative, IMPLAUSIBLE),
	ROW(scv_large, IMPLAUSIBLE),
	ROW(scv_absent, ACCEPTED),
	ROW(in_flight_many, IMPLAUSIBLE),
	ROW(queued_many, IMPLAUSIBLE),
	ROW(arrivals_nan, IMPLAUSIBLE),
	ROW(arrivals_negative, IMPLAUSIBLE),
	ROW(completions_infinite, IMPLAUSIBLE),
	ROW(cpu_over, IMPLAUSIBLE),
	ROW(service_empty, IMPLAUSIBLE),
	ROW(service_long, IMPLAUSIBLE),
	ROW(service_space, IMPLAUSIBLE),
	ROW(service_latin, IMPLAUSIBLE),
	ROW(service_twice, IMPLAUSIBLE),
	ROW(second_wrong, IMPLAUSIBLE),
	ROW(quantile_over, IMPLAUSIBLE),
	ROW(latency_nan, IMPLAUSIBLE),
	ROW(latencies_many, IMPLAUSIBLE),
	ROW(metrics_many, IMPLAUSIBLE),
	ROW(metric_level, IMPLAUSIBLE),
	ROW(metric_type, IMPLAUSIBLE),
	ROW(metric_unit, IMPLAUSIBLE),
	ROW(metric_nan, IMPLAUSIBLE),
	ROW(metric_infinite, IMPLAUSIBLE),
	ROW(demand_negative, IMPLAUSIBLE),
	ROW(demand_nan, IMPLAUSIBLE),
	ROW(demand_empty, IMPLAUSIBLE),
	ROW(demand_twice, IMPLAUSIBLE),
	ROW(path_negative, IMPLAUSIBLE),
	ROW(path_infinite, IMPLAUSIBLE),
	ROW(path_empty, IMPLAUSIBLE),
	ROW(path_twice, IMPLAUSIBLE),
};

static void judges_values(void **state)
{
	for (size_t i = 0; i < sizeof(mutations) / sizeof(*mutations); i++) {
		struct sample s;
		uint8_t data[CODEC_DATAGRAM_MAX];
		enum verify_reason reason;

		sample_init(&s);
		mutations[i].mutate(&s);
		reason = give(*state, data, make(*state, &s.report, data));
		if (reason != mutations[i].reason)
			fail_msg("%s: %s, expected %s", mutations[i].what,
				 verify_reason_text(reason),
				 verify_reason_text(mutations[i].reason));
		/* a refused sequence is not used up: the same report put right is taken */
		if (reason == VERIFY_ACCEPTED)
			continue;
		uint64_t sequence = s.report.sequence;

		sample_init(&s);
		s.report.sequence = sequence;
		assert_int_equal(give(*state, data, make(*state, &s.report, data)),
				 VERIFY_ACCEPTED);
	}
}

static void judges_number_of_entries(void **state)
{
	enum { COUNT = PLAUSIBLE_ENTRIES_MAX + 1 };
	static char name[COUNT][8];
	Suanlu__ServiceDemand demand[COUNT], *demands[COUNT];
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct sample s;

	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name[i], sizeof(name[i]), "%u", i);
		suanlu__service_demand__init(&demand[i]);
		demand[i].service = name[i];
		demands[i] = &demand[i];
	}
	sample_init(&s);
	s.report.n_load = s.report.n_path = s.report.n_labels = 0;
	s.report.demand = demands;
	s.report.n_demand = COUNT;
	assert_int_equal(give(*state, data, make(*state, &s.report, data)), VERIFY_IMPLAUSIBLE);
	s.report.n_demand = COUNT - 1;
	assert_int_equal(give(*state, data, make(*state, &s.report, data)), VERIFY_ACCEPTED);
}

static void refuses_by_name(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX + 1] = {0}, good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	sample_init(&s);
	bytes = make(f, &s.report, good);
	assert_int_equal(give(f, good, 27), VERIFY_SIZE);
	assert_int_equal(give(f, data, CODEC_DATAGRAM_MAX + 1), VERIFY_SIZE);
	assert_int_equal(give(f, data, 28), VERIFY_FORMAT);

	memcpy(data, good, bytes);
	memcpy(data + 4, f->stranger.public, 8);
	assert_int_equal(give(f, data, bytes), VERIFY_UNKNOWN_KEY);

	/* another sender under a known key id */
	memcpy(data, good, bytes);
	put_tag(&f->stranger, f->own, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_TAG);
	/* meant for another receiver */
	put_tag(&f->site, f->stranger.public, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_TAG);

	assert_int_equal(give(f, data, make_raw(f, (uint8_t *)"\xff\xff", 2, 64, data)),
			 VERIFY_DECODE);
	assert_int_equal(give(f, data, make_raw(f, (uint8_t *)"", 0, 63, data)), VERIFY_SIGNATURE);

	/* not a SignedReport */
	memcpy(data, good, 28);
	memset(data + 28, 0xff, 8);
	put_tag(&f->site, f->own, data, 36);
	assert_int_equal(give(f, data, 36), VERIFY_DECODE);

	/* a right tag over a report that was changed after it was signed */
	memcpy(data, good, bytes);
	data[bytes - 1] ^= 1;
	put_tag(&f->site, f->own, data, bytes);
	assert_int_equal(give(f, data, bytes), VERIFY_SIGNATURE);

	assert_int_equal(give(f, good, bytes), VERIFY_ACCEPTED);
	assert_int_equal(give(f, good, bytes), VERIFY_REPLAYED);
}

static void refuses_every_truncation_and_bit_flip(void **state)
{
	uint8_t data[CODEC_DATAGRAM_MAX], good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	sample_init(&s);
	bytes = make(*state, &s.report, good);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_not_equal(give(*state, good, cut), VERIFY_ACCEPTED);
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		memcpy(data, good, bytes);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(give(*state, data, bytes), VERIFY_ACCEPTED);
	}
	memcpy(data, good, bytes);
	data[bytes] = 0;
	assert_int_not_equal(give(*state, data, bytes + 1), VERIFY_ACCEPTED);
	assert_int_equal(give(*state, good, bytes), VERIFY_ACCEPTED);
}

/* The same behind a right tag: a known sender whose bytes go wrong reaches the decoder. */
static void survives_every_corruption_behind_the_tag(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX], good[CODEC_DATAGRAM_MAX];
	struct sample s;
	size_t bytes;

	f->step_us = 1000; /* as fast as a sender may */
	sample_init(&s);
	s.report.valid_for_ms = 60000;
	bytes = make(f, &s.report, good);
	for (size_t at = 28; at < bytes; at++) {
		enum verify_reason reason;

		memcpy(data, good, bytes);
		put_tag(&f->site, f->own, data, at);
		reason = give(f, data, at);
		assert_true(reason == VERIFY_DECODE || reason == VERIFY_SIGNATURE);
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(data, good, bytes);
			data[at] ^= (uint8_t)(1 << bit);
			put_tag(&f->site, f->own, data, bytes);
			reason = give(f, data, bytes);
			assert_true(reason == VERIFY_DECODE || reason == VERIFY_SIGNATURE);
		}
	}
	assert_int_equal(give(f, good, bytes), VERIFY_ACCEPTED);
}

static enum verify_reason give_sequence(struct fixture *f, uint64_t sequence)
{
	uint8_t data[CODEC_DATAGRAM_MAX];
	struct sample s;

	sample_init(&s);
	s.report.sequence = sequence;
	s.report.measured_at_us = f->now_us;
	return give(f, data, make(f, &s.report, data));
}

static void takes_each_sequence_once(void **state)
{
	struct fixture *f = *state;
	const uint64_t start = 1ull << 50;

	/* every second one, then the others late and out of order, then all again */
	for (uint64_t i = 0; i < 60; i += 2)
		assert_int_equal(give_sequence(f, start + i), VERIFY_ACCEPTED);
	for (uint64_t i = 59; i < 60; i -= 2)
		assert_int_equal(give_sequence(f, start + i), VERIFY_ACCEPTED);
	for (uint64_t i = 0; i < 60; i++)
		assert_int_equal(give_sequence(f, start + i), VERIFY_REPLAYED);

	/* the publisher restarts: far ahead; what was on the way still counts, once */
	assert_int_equal(give_sequence(f, start + 100000000), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, start + 70), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, start + 70), VERIFY_REPLAYED);

	/* older than the 64 highest */
	for (uint64_t i = 1; i <= 64; i++)
		assert_int_equal(give_sequence(f, start + 100000000 + i), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, start + 80), VERIFY_REPLAYED);
	assert_int_equal(give_sequence(f, start + 100000000), VERIFY_REPLAYED);
	assert_int_equal(give_sequence(f, UINT64_MAX), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, UINT64_MAX), VERIFY_REPLAYED);
}

/* Naive oracle: a set of all sequences ever taken, and the rule in words. */
static void replay_window_against_oracle(void **state)
{
	enum { ROUNDS = 3000, WINDOW = 64 };
	struct fixture *f = *state;
	static uint64_t taken[ROUNDS];
	unsigned count = 0;
	unsigned seed = (unsigned)time(NULL);

	srandom(seed);
	f->step_us = 1000;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t sequence = round / 4 + (uint64_t)random() % 150;
		unsigned above = 0;
		bool seen = false, expected;

		for (unsigned i = 0; i < count; i++) {
			seen |= taken[i] == sequence;
			above += taken[i] > sequence;
		}
		expected = !seen && above < WINDOW;
		if ((give_sequence(f, sequence) == VERIFY_ACCEPTED) != expected)
			fail_msg("seed %u round %u", seed, round);
		if (expected)
			taken[count++] = sequence;
	}
	assert_in_range(count, 100, ROUNDS);
}

static void separates_senders(void **state)
{
	struct fixture *f = *state;
	struct key other = f->site;
	uint8_t twin[KEY_PUBLIC_BYTES];

	assert_int_equal(verify_add(f->verify, f->site.public, 1), -EEXIST);
	memcpy(twin, f->site.public, sizeof(twin));
	twin[31] ^= 1;
	assert_int_equal(verify_add(f->verify, twin, 1), -EEXIST);
	assert_int_equal(verify_add(f->verify, (uint8_t[32]){0}, 1), -EINVAL);

	/* each key has a window of its own */
	f->site = f->stranger;
	assert_int_equal(verify_add(f->verify, f->stranger.public, SENDER), 0);
	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	f->site = other;
	assert_int_equal(give_sequence(f, 5), VERIFY_ACCEPTED);
	assert_int_equal(give_sequence(f, 5), VERIFY_REPLAYED);
}

/* ---- memory of the worst reports that fit a datagram ---- */

static struct {
	size_t now, peak;
} memory;

static void *counted_alloc(void *data, size_t bytes)
{
	size_t *block = malloc(bytes + 16);

	(void)data;
	*block = bytes;
	memory.now += bytes + 32; /* with malloc's own overhead */
	if (memory.now > memory.peak)
		memory.peak = memory.now;
	return (char *)block + 16;
}

static void counted_free(void *data, void *pointer)
{
	size_t *block = pointer ? (void *)((char *)pointer - 16) : NULL;

	(void)data;
	if (block)
		memory.now -= *block + 32;
	free(block);
}

static void decodes_into_bounded_memory(void **state)
{
	static const struct {
		const char *what;
		uint8_t unit[4];
		unsigned bytes;
	} worst[] = {
		{"empty loads", {0x52, 0}, 2},	  {"empty demands", {0x5a, 0}, 2},
		{"empty paths", {0x62, 0}, 2},	  {"empty labels", {0x22, 0}, 2},
		{"unknown fields", {0x78, 0}, 2}, {"loads with a metric", {0x52, 3, 0xa2, 0x01}, 4},
	};
	ProtobufCAllocator counting = {.alloc = counted_alloc, .free = counted_free};

	(void)state;
	for (size_t i = 0; i < sizeof(worst) / sizeof(*worst); i++) {
		uint8_t data[CODEC_DATAGRAM_MAX] = {0};
		size_t bytes = 0, step = worst[i].bytes == 4 ? 5 : 2;
		Suanlu__Report *report;

		memset(&memory, 0, sizeof(memory));
		for (; bytes + step <= CODEC_REPORT_MAX; bytes += step)
			memcpy(data + bytes, worst[i].unit, worst[i].bytes);
		report = suanlu__report__unpack(&counting, bytes, data);
		assert_non_null(report);
		suanlu__report__free_unpacked(report, &counting);
		print_message("%s: %zu bytes\n", worst[i].what, memory.peak);
		assert_in_range(memory.peak, 1, 256 * 1024);
		assert_int_equal(memory.now, 0);
	}
}

static double ns_per(struct fixture *f, const uint8_t *data, size_t bytes, unsigned count,
		     enum verify_reason expected)
{
	struct timespec from, to;
	Suanlu__Report *report;
	unsigned sender;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned i = 0; i < count; i++) {
		enum verify_reason reason =
			verify_datagram(f->verify, data, bytes, NOW_US, &report, &sender);

		if (reason != expected)
			fail_msg("%s", verify_reason_text(reason));
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
	       count;
}

/* Garbage must be cheap; how cheap is printed, and only the order of magnitude asserted. */
static void garbage_is_cheap(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CODEC_DATAGRAM_MAX];
	double tag_ns, signature_ns;
	struct sample s;
	size_t bytes;

	sample_init(&s);
	bytes = make(f, &s.report, data);
	give(f, data, bytes);
	signature_ns = ns_per(f, data, bytes, 200, VERIFY_REPLAYED);
	data[12] ^= 1;
	tag_ns = ns_per(f, data, bytes, 20000, VERIFY_TAG);
	print_message("%zu bytes: whole check %.0f ns, bad tag %.0f ns", bytes, signature_ns,
		      tag_ns);
	print_message(" (1400 bytes: %.0f ns)", ns_per(f, data, sizeof(data), 20000, VERIFY_TAG));
	data[4] ^= 1;
	print_message(", unknown key %.0f ns\n", ns_per(f, data, bytes, 20000, VERIFY_UNKNOWN_KEY));
	assert_true(tag_ns * 5 < signature_ns);
}

static void names_reasons(void **state)
{
	(void)state;
	assert_string_equal(verify_reason_text(VERIFY_ACCEPTED), "accepted");
	assert_string_equal(verify_reason_text(VERIFY_IMPLAUSIBLE), "implausible");
	assert_string_equal(verify_reason_text(VERIFY_REASON_COUNT), "?");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(accepts_good),
		T(judges_values),
		T(judges_number_of_entries),
		T(refuses_by_name),
		T(refuses_every_truncation_and_bit_flip),
		T(survives_every_corruption_behind_the_tag),
		T(takes_each_sequence_once),
		T(replay_window_against_oracle),
		T(separates_senders),
		T(garbage_is_cheap),
		cmocka_unit_test(decodes_into_bounded_memory),
		cmocka_unit_test(names_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
