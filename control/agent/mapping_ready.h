/* SPDX-License-Identifier: BSD-3-Clause */
/* Ready mappings as text: keys and expressions, ended by a key of NULL. Pure. */
#pragma once

#include "mapping.h"

const struct mapping_line *mapping_ready_lines(const char *name); /* NULL: none of that name */
