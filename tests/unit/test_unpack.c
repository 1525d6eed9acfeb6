/* SPDX-License-Identifier: BSD-3-Clause */
/* A report in one piece is the one that protobuf-c makes, and lives as long as it is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/codec.h"
#include "control/telemetry/unpack.h"

/* As many services, each with a latency and a metric; fields that are not known after them. */
static size_t make(unsigned services, uint8_t *out)
{
	static const uint8_t unknown[] = {0xf8, 0x07, 0x01, 0xfa, 0x07, 0x03, 'a', 'b', 'c'};
	Suanlu__Report report = SUANLU__REPORT__INIT;
	Suanlu__ServiceLoad load[200], *loads[200];
	Suanlu__LatencyQuantile latency = SUANLU__LATENCY_QUANTILE__INIT, *latencies = &latency;
	Suanlu__Metric metric = SUANLU__METRIC__INIT, *metrics = &metric;
	char name[200][24], *labels[] = {"ai", "cloud"};
	size_t bytes;

	latency.quantile = 0.99;
	metric.type = "power";
	for (unsigned i = 0; i < services; i++) {
		suanlu__service_load__init(&load[i]);
		snprintf(name[i], sizeof(name[i]), "service%u", i);
		load[i].service = name[i];
		load[i].servers = i + 1;
		load[i].latency = &latencies;
		load[i].metric = &metrics;
		load[i].n_latency = load[i].n_metric = 1;
		loads[i] = &load[i];
	}
	report.sequence = 77;
	report.labels = labels;
	report.n_labels = 2;
	report.load = loads;
	report.n_load = services;
	bytes = suanlu__report__pack(&report, out);
	memcpy(out + bytes, unknown, sizeof(unknown));
	return bytes + sizeof(unknown);
}

static void is_as_packed(const Suanlu__Report *report, const uint8_t *packed, size_t bytes)
{
	uint8_t *again = malloc(bytes);

	assert_int_equal(suanlu__report__get_packed_size(report), bytes);
	suanlu__report__pack(report, again);
	assert_memory_equal(again, packed, bytes);
	free(again);
}

/* 200 services with all of that are some times what the first piece holds. */
static void reads_what_was_packed(void **state)
{
	static const unsigned services[] = {0, 1, 20, 200};

	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
		uint8_t *packed = malloc(100000), *copy;
		size_t bytes = make(services[i], packed);
		Suanlu__Report *report;

		copy = malloc(bytes); /* ASan sees a read past the end, and what refers to it */
		memcpy(copy, packed, bytes);
		report = unpack_report(copy, bytes);
		free(copy);
		assert_non_null(report);
		assert_int_equal(report->n_load, services[i]);
		is_as_packed(report, packed, bytes);
		unpack_release(report);
		free(packed);
	}
}

static void refuses_what_is_cut(void **state)
{
	uint8_t packed[4000];
	size_t bytes = make(3, packed);
	unsigned refused = 0;

	(void)state;
	for (size_t cut = 0; cut < bytes; cut++) {
		Suanlu__Report *report = unpack_report(packed, cut);
		Suanlu__Report *plain = suanlu__report__unpack(NULL, cut, packed);

		assert_int_equal(!report, !plain);
		refused += !report;
		unpack_release(report);
		if (plain)
			suanlu__report__free_unpacked(plain, NULL);
	}
	assert_true(refused > bytes / 2);
	unpack_release(NULL);
}

static void lives_as_long_as_it_is_held(void **state)
{
	uint8_t packed[4000];
	size_t bytes = make(5, packed);
	Suanlu__Report *report = unpack_report(packed, bytes);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		unpack_hold(report);
	for (unsigned i = 0; i < 3; i++) {
		unpack_release(report);
		is_as_packed(report, packed, bytes); /* ASan sees it if that was the last */
	}
	unpack_release(report); /* and a leak if it was not */
}

/* A datagram with more in it than scratch has room for: 40 reports, of which the last counts. */
static void reads_signed_reports_of_any_form(void **state)
{
	uint8_t report[20] = "a report of 20 byte", signature[crypto_sign_BYTES] = {9};
	Suanlu__SignedReport outer = SUANLU__SIGNED_REPORT__INIT, *got;
	struct unpack_scratch scratch;
	uint8_t data[4000];
	size_t bytes = 0;

	(void)state;
	outer.report = (ProtobufCBinaryData){sizeof(report), report};
	outer.signature = (ProtobufCBinaryData){sizeof(signature), signature};
	for (unsigned i = 0; i < 40; i++) {
		report[0] = (uint8_t)i;
		bytes += suanlu__signed_report__pack(&outer, data + bytes);
	}
	got = unpack_signed(&scratch, data, bytes);
	assert_non_null(got);
	assert_non_null(scratch.arena.more);
	assert_int_equal(got->report.len, sizeof(report));
	assert_memory_equal(got->report.data, report, sizeof(report));
	assert_memory_equal(got->signature.data, signature, sizeof(signature));
	unpack_clear(&scratch);
	assert_null(unpack_signed(&scratch, data, bytes - 1));
	unpack_clear(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_packed),
		cmocka_unit_test(refuses_what_is_cut),
		cmocka_unit_test(lives_as_long_as_it_is_held),
		cmocka_unit_test(reads_signed_reports_of_any_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
