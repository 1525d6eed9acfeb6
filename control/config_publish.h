/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `publish` and `site` of a node's configuration: a site's gateway, which answers to the edges
 * for its instances (control/upward.h).
 */
#pragma once

#include "config_yaml.h"

config_set config_set_publish; /* struct config */

/* What no single value shows: each receiver is whole and there once; a name on a bus. */
int config_check_publish(struct config_reader *reader, const struct config *config);
