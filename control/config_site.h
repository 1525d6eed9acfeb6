/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An entry of `sites` in the configuration: above all the way to it, one of SRv6 segments
 * (sid, sid4, sid6) and delivery on a link (deliver4, deliver6) for each inner family.
 */
#pragma once

#include "config_yaml.h"

config_set config_set_site; /* struct config_site */
