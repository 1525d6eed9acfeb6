/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a configuration may not change while the node runs: what its processes are built on.
 * Of the rest, that is services, sites, other edges, the node's key, address and SIDs, its steering
 * and interval, two configurations are compared here too. Called by config.c and by reload.c.
 */
#pragma once

#include "config_yaml.h"

/* 0, or -EBUSY with the first key that differs and the remedy in the reader's error. */
int config_reload_check(struct config_reader *reader, const struct config *running,
			const struct config *next);
