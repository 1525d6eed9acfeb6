/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A verifier, a sender that it knows and one that it does not, good reports and what becomes of
 * their bytes: for test_verify*.c. Each datagram comes a millisecond after the one before it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/codec.h"
#include "control/telemetry/plausible.h"
#include "control/telemetry/unpack.h"
#include "control/telemetry/verify.h"
#include <errno.h>
#include <math.h>
#include <time.h>

#define SENDER 7

static uint64_t now_us = 1700000000000000ull;

struct fixture {
	struct verify *verify;
	struct key own_key, site, stranger;
	uint8_t own[KEY_PUBLIC_BYTES];
};

static inline void make_key(struct key *key)
{
	crypto_sign_keypair(key->public, key->secret);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_true(sodium_init() >= 0);
	make_key(&f->own_key);
	memcpy(f->own, f->own_key.public, sizeof(f->own));
	make_key(&f->site);
	make_key(&f->stranger);
	assert_int_equal(verify_open(&f->verify, &f->own_key), 0);
	assert_int_equal(verify_add(f->verify, f->site.public, SENDER, NULL), 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	verify_close(f->verify);
	free(f);
	return 0;
}

static inline void put_tag(const struct key *sender, const uint8_t *receiver, uint8_t *data,
			   size_t bytes)
{
	uint8_t pair[CODEC_PAIR_BYTES];

	assert_int_equal(codec_pair(sender, receiver, pair), 0);
	codec_tag(pair, data, bytes, data + 12);
}

static inline size_t make(const struct fixture *f, const Suanlu__Report *report, uint8_t *data)
{
	int bytes = codec_sign(&f->site, report, data);

	assert_true(bytes > 0);
	put_tag(&f->site, f->own, data, (size_t)bytes);
	return (size_t)bytes;
}

static inline enum verify_reason give(struct fixture *f, const uint8_t *data, size_t bytes)
{
	/* from the heap and of the exact size, so that ASan sees any read past the end */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	Suanlu__Report *report = (void *)&report;
	unsigned sender = 99;
	int64_t ahead_us = 99;
	enum verify_reason reason;

	memcpy(copy, data, bytes);
	reason = verify_datagram(f->verify, copy, bytes, now_us, &report, &sender, &ahead_us);
	now_us += 1000;
	free(copy);
	if (reason == VERIFY_ACCEPTED) {
		assert_int_equal(sender, SENDER);
		unpack_release(report);
	} else {
		assert_ptr_equal(report, (void *)&report);
		assert_int_equal(sender,
				 reason == VERIFY_STALE || reason == VERIFY_FUTURE ? SENDER : 99);
	}
	assert_int_equal(ahead_us != 99, sender == SENDER);
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

static inline void sample_load(Suanlu__ServiceLoad *load, char *service)
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

static inline void sample_details(struct sample *s)
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

static inline void sample_init(struct sample *s)
{
	static uint64_t sequence = 1;

	suanlu__report__init(&s->report);
	s->report.sequence = sequence++;
	s->report.measured_at_us = now_us - 1000;
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
