/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `bus` of a configuration, of nodes and of agents: one URL, a list of them, or a map of
 * servers, ca, certificate, certificate_key, server_name and credentials.
 */
#pragma once

#include "config_yaml.h"
#include <suanlu/publish.h>

config_set config_set_bus; /* struct sl_bus; free with config_bus_clear, also after a failure */
void config_bus_clear(struct sl_bus *bus);

/* What no single value shows: servers are there, files can be read. */
int config_check_bus(struct config_reader *reader, const struct sl_bus *bus);
