/* SPDX-License-Identifier: BSD-3-Clause */
/* What well-signed reports may say, value by value, and what decoding them costs at most. */
#include "reports.h"

static void accepts_good(void **state)
{
	struct sample s;
	uint8_t data[CODEC_DATAGRAM_MAX];

	sample_init(&s);
	assert_int_equal(give(*state, data, make(*state, &s.report, data)), VERIFY_ACCEPTED);
}

/* Of the second demand, to two sites; the second one's numbers. */
static void tell_flows(struct sample *s, const char *first, const char *second, uint64_t sent,
		       uint64_t closed)
{
	static Suanlu__SiteFlows flows[2];
	static Suanlu__SiteFlows *list[] = {&flows[0], &flows[1]};

	suanlu__site_flows__init(&flows[0]);
	suanlu__site_flows__init(&flows[1]);
	flows[0].site = (char *)(uintptr_t)first;
	flows[1].site = (char *)(uintptr_t)second;
	flows[1].sent = sent;
	flows[1].closed = closed;
	s->demand[1].site = list;
	s->demand[1].n_site = 2;
}

#define M(name, statement)                 \
	static void name(struct sample *s) \
	{                                  \
		statement;                 \
	}
M(nothing, (void)s)
M(stale, s->report.measured_at_us = now_us - 500001)
M(just_valid, s->report.measured_at_us = now_us - 500000)
M(stale_default, (s->report.valid_for_ms = 0, s->report.measured_at_us = now_us - 500001))
M(valid_default, (s->report.valid_for_ms = 0, s->report.measured_at_us = now_us - 500000))
M(long_ago, s->report.measured_at_us = 0)
M(future, s->report.measured_at_us = now_us + 1000001)
M(ahead, s->report.measured_at_us = now_us + 1000000)
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
M(flows, tell_flows(s, "a", "b", 7, 7))
M(flows_closed, tell_flows(s, "a", "b", 7, 8))
M(flows_twice, tell_flows(s, "a", "a", 7, 7))
M(flows_empty, tell_flows(s, "a", "", 7, 7))
M(flows_most, tell_flows(s, "a", "b", 1ull << 53, 0))
M(flows_many, tell_flows(s, "a", "b", (1ull << 53) + 1, 0))
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
	ROW(metric_level, ACCEPTED), /* unknown ones are ignored */
	ROW(metric_type, IMPLAUSIBLE),
	ROW(metric_unit, IMPLAUSIBLE),
	ROW(metric_nan, IMPLAUSIBLE),
	ROW(metric_infinite, IMPLAUSIBLE),
	ROW(demand_negative, IMPLAUSIBLE),
	ROW(demand_nan, IMPLAUSIBLE),
	ROW(demand_empty, IMPLAUSIBLE),
	ROW(demand_twice, IMPLAUSIBLE),
	ROW(flows, ACCEPTED),
	ROW(flows_closed, IMPLAUSIBLE),
	ROW(flows_twice, IMPLAUSIBLE),
	ROW(flows_empty, IMPLAUSIBLE),
	ROW(flows_most, ACCEPTED),
	ROW(flows_many, IMPLAUSIBLE),
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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(accepts_good),
		T(judges_values),
		T(judges_number_of_entries),
		cmocka_unit_test(decodes_into_bounded_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
