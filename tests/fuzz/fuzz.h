/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the targets share. Input is copied into memory of exactly its size, so that one byte
 * too far is seen even where the fuzzer's own buffer is larger, and may be written to.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static inline void *fuzz_copy(const uint8_t *data, size_t bytes)
{
	void *copy = malloc(bytes ? bytes : 1);

	if (bytes)
		memcpy(copy, data, bytes);
	return copy;
}
