/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log says of the bus: no place in a library's source, no password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/telemetry/bus_text.h"

static void leaves_out_where_in_the_library(void **state)
{
	(void)state;
	assert_string_equal(bus_plain("(conn.c:2088): No server", NATS_NO_SERVER), "No server");
	assert_string_equal(bus_plain("(unfinished", NATS_NO_SERVER), "(unfinished");
	assert_string_equal(bus_plain("plain: text", NATS_OK), "plain: text");
	assert_string_equal(bus_plain("", NATS_TIMEOUT), natsStatus_GetText(NATS_TIMEOUT));
	assert_string_equal(bus_plain(NULL, NATS_TIMEOUT), natsStatus_GetText(NATS_TIMEOUT));
	assert_non_null(strstr(bus_remedy(NATS_CONNECTION_AUTH_FAILED), "credentials"));
	assert_string_equal(bus_remedy(NATS_OK), "");
}

static void names_servers_without_passwords(void **state)
{
	static const char *const server[] = {"nats://user:p@ss@[fc00::1]:4222",
					     "tls://n2.example.net:4222"};
	const struct sl_bus bus = {.server = server, .servers = 2};
	char text[80], little[16];

	(void)state;
	bus_hosts(&bus, text, sizeof(text));
	assert_string_equal(text, "[fc00::1]:4222, n2.example.net:4222");
	bus_hosts(&bus, little, sizeof(little));
	assert_string_equal(little, "[fc00::1]:4222,");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_out_where_in_the_library),
		cmocka_unit_test(names_servers_without_passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
