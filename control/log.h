/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line per event on stderr, "warning: ..." or "info: ..."; systemd adds the time. A line says
 * what changed and, for a warning, what can be done. Control's only thread calls it.
 */
#pragma once

#include <stdbool.h>

extern bool log_verbose; /* -v: log_debug lines too */

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
