/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watches the TCP services of this host: by BPF (kernel.h, tally.h) those that ask for it or take
 * what there is, by sock_diag (source.h, meter.h) the others, and all where BPF cannot be had.
 */
#pragma once

#include "config.h"
#include "meter.h"

struct watch;

/* -errno; error->text says why and the remedy. `config` must outlive it. Says which way on stderr.
 */
int watch_open(struct watch **out, const struct agent_config *config, struct config_error *error);
void watch_close(struct watch *watch);

/* Some service is sampled, so that looking often matters. */
bool watch_samples(const struct watch *watch);

/* Looks once. now_ns: CLOCK_MONOTONIC. */
void watch_step(struct watch *watch, uint64_t now_ns);

/* At each report: who listens (told when that changes), latencies, run-queue delay. */
void watch_refresh(struct watch *watch, uint64_t now_ns);

/* Below, of services with agent_watches(). */
bool watch_listening(const struct watch *watch, unsigned service);
void watch_read(const struct watch *watch, unsigned service, struct meter_load *out);
uint32_t watch_present(const struct watch *watch, unsigned service);
double watch_runqueue_s(const struct watch *watch, unsigned service); /* negative: unknown */
bool watch_by_kernel(const struct watch *watch, unsigned service);

/*
 * By kernel: readable when the connections present at a service jump (pace.h) from what was said
 * by watch_reported; watch_wake_again arms it. -1: nothing wakes, look often (watch_samples).
 */
int watch_wake_fd(const struct watch *watch);
void watch_reported(struct watch *watch, unsigned service, uint32_t present);
void watch_wake_again(struct watch *watch);

/* Events that the BPF programs missed, and were made up for by a dump. */
uint64_t watch_missed(const struct watch *watch);
