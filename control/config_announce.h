/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `announce` section of the configuration: where the host routes of service addresses go.
 * Tables are numbers, or names of iproute2's rt_tables files.
 */
#pragma once

#include "config_yaml.h"

config_set config_set_announce; /* struct config_announce */

/* What only the whole file shows. */
int config_check_announce(struct config_reader *reader, const struct config *config);
