/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The JetStream key-value bucket that keeps the last value of each subject (subject.h), so that
 * an edge that starts has the last report of every site at once. It is in memory, of as many
 * servers as there are up to three, and forgets what is older than any report may be valid.
 */
#pragma once

#include "bus.h"
#include <nats/nats.h>

/*
 * Makes the bucket if there is none. With `take` it also reads all last values. Waits for the
 * server: for the thread of bus.c. 0, or -EIO and `why`.
 */
int bucket_keep(natsConnection *nc, bus_take *take, void *argument, char *why, size_t why_bytes);
