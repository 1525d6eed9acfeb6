/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a configuration says that no single value shows: names that meet, sites that a
 * service cannot reach, keys used twice. Called once by config_load, after every field.
 */
#pragma once

#include "config_yaml.h"

/* Resolves each service's `sites` by name; all sites where it gives none. */
int config_resolve_sites(struct config_reader *reader, struct config *config);

/* 0, or -EINVAL with the reader's error set. */
int config_check(struct config_reader *reader, const struct config *config);

/* What is sent there comes back to this node: a service's address, a SID or address of its own. */
bool config_is_here(const struct config *config, const struct in6_addr *address);
