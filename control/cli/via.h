/* SPDX-License-Identifier: BSD-3-Clause */
/* How a site is reached (route.h), in words. */
#pragma once

#include <stddef.h>
#include <suanlu/route.h>

/* "SRv6 fc00:a:0:4::", "SRv6 A > B" in travel order, "link 10.3.0.2", "not reachable". */
void via_text(const struct sl_via *via, char *out, size_t bytes);
