/* SPDX-License-Identifier: BSD-3-Clause */
#include "pin.h"

#define BYTES_PER_FLOW 16

size_t pin_buckets(uint32_t flows)
{
	size_t buckets = (size_t)flows * BYTES_PER_FLOW / sizeof(struct pin_bucket);

	return buckets < 2 ? 2 : buckets & ~(size_t)1;
}
