/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `probes` section of the configuration: how paths are measured (STAMP, RFC 8762).
 */
#pragma once

#include "config_yaml.h"

#define CONFIG_PROBES_DEFAULT                                                           \
	{                                                                               \
		.interval_ms = 100, .dead_ms = 0, .hold_ms = 1000, .hold_max_ms = 60000 \
	}

config_set config_set_probes; /* struct config_probes */

config_set config_set_transit; /* struct config_transit */

/* What only the whole file shows, and the defaults that depend on other keys. */
int config_check_probes(struct config_reader *reader, struct config *config);
