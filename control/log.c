/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"
#include <stdarg.h>
#include <stdio.h>

bool log_verbose;

static void line(const char *level, const char *format, va_list arguments)
{
	char text[512];

	/* One write per line: lines of two processes on one terminal do not mix. */
	vsnprintf(text, sizeof(text), format, arguments);
	fprintf(stderr, "%s: %s\n", level, text);
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line("info", format, arguments);
	va_end(arguments);
}

void log_warning(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line("warning", format, arguments);
	va_end(arguments);
}

void log_debug(const char *format, ...)
{
	va_list arguments;

	if (!log_verbose)
		return;
	va_start(arguments, format);
	line("debug", format, arguments);
	va_end(arguments);
}
