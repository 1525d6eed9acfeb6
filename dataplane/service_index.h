/* SPDX-License-Identifier: BSD-3-Clause */
/* Which service a packet is for: the classifier's table, made of the services that there are. */
#pragma once

#include "routes.h"

/* services: by slot, NULL where there is none. The caller frees it; NULL: no memory. */
struct classify *service_index_build(struct service *const services[SL_SERVICES_MAX]);

/* Slot of another service that has one of the addresses with this protocol and port, or -1. */
int service_index_holder(const struct classify *classify, const struct service *service);
