/* SPDX-License-Identifier: BSD-3-Clause */
/* In a simulation nobody is told what a control would log. */
#include "../log.h"

bool log_verbose;

void log_info(const char *format, ...)
{
	(void)format;
}

void log_warning(const char *format, ...)
{
	(void)format;
}

void log_debug(const char *format, ...)
{
	(void)format;
}
