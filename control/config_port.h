/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An entry of dataplane.ports: the name of an interface, or `name` and `device` of a card that DPDK
 * drives. A device is a PCI address or a virtual device, either with the driver's arguments.
 */
#pragma once

#include "config_yaml.h"

config_set config_set_port_entry; /* struct config_port */
