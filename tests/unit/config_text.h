/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration with everything in it, and files in a directory of their own: for test_config*.c
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suanlu/config.h>
#include <unistd.h>

#define KEY_TEXT 45

/* @0..@3 become public keys; the cases below replace single pieces of it. */
static const char good[] = "node: edge1\n"
			   "address: fc00:e::1\n"
			   "key: node.key\n"
			   "run_dir: /run/suanlu-test\n"
			   "user: root\n"
			   "steering: nearest\n"
			   "interval_ms: 20\n"
			   "dataplane:\n"
			   "  ports: [lo]\n"
			   "  pins: 2M\n"
			   "  cores: [0]\n"
			   "  busy_poll: true\n"
			   "  huge_pages: false\n"
			   "  sids: [\"fc00:e:0:46::/64\"]\n"
			   "telemetry:\n"
			   "  listen: \"[fc00:e::1]:7801\"\n"
			   "metrics:\n"
			   "  listen: \"127.0.0.1:9801\"\n"
			   "services:\n"
			   "  - name: infer\n" /* line 20 */
			   "    ipv4: 192.0.2.80\n"
			   "    ipv6: 2001:db8:80::80\n"
			   "    protocol: tcp\n"
			   "    port: 80\n"
			   "    affinity: client\n"
			   "    idle_s: 60\n"
			   "    max_delay_ms: 30\n"
			   "    requires: [ai]\n"
			   "    sites: [c, a]\n"
			   "  - name: dns\n" /* line 30 */
			   "    ipv4: 192.0.2.80\n"
			   "    protocol: udp\n"
			   "    port: 80\n"
			   "sites:\n"
			   "  - name: a\n"
			   "    key: @0\n"
			   "    sid4: \"fc00:a:0:4::\"\n"
			   "    sid6: [fc00:9::1, \"fc00:a:0:6::\"]\n"
			   "    delay_ms: 2.5\n"
			   "    servers: 4\n" /* line 40 */
			   "    labels: [ai, cloud]\n"
			   "  - name: b\n"
			   "    deliver4: 10.3.0.2\n"
			   "    deliver6: fc00:3::2\n"
			   "  - name: c\n"
			   "    key: @1\n"
			   "    sid: fc00:c:0:46::1\n"
			   "edges:\n"
			   "  - name: edge2\n"
			   "    key: @2\n" /* line 50 */
			   "    address: \"192.0.2.2:7801\"\n"
			   "announce:\n"
			   "  table: default\n"
			   "  metric: 7\n";

static char keys[4][KEY_TEXT];
static uint8_t raw_keys[4][SL_KEY_BYTES];

static inline void write_file(const char *name, const char *text, size_t bytes)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '@' && i + 1 < bytes)
			fputs(keys[text[++i] - '0'], file);
		else
			fputc(text[i], file);
	}
	assert_int_equal(fclose(file), 0);
}

/* The good file with `from` (its first occurrence) replaced. */
static inline void write_changed(const char *from, const char *to)
{
	char text[sizeof(good) + 8192];
	const char *place = strstr(good, from);

	if (!place)
		fail_msg("no '%s' in the good file", from);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - good), good, to,
		 place + strlen(from));
	write_file("t.yaml", text, strlen(text));
}

static inline void make_keys(void)
{
	for (unsigned i = 0; i < 4; i++) {
		uint8_t seed[crypto_sign_SEEDBYTES] = {(uint8_t)(i + 1)}, secret[64];

		crypto_sign_seed_keypair(raw_keys[i], secret, seed);
		sodium_bin2base64(keys[i], KEY_TEXT, raw_keys[i], SL_KEY_BYTES,
				  sodium_base64_VARIANT_ORIGINAL);
	}
}

/* All tests of a file, in a new directory with node.key. */
static inline int run_in_directory(const struct CMUnitTest *tests, size_t count)
{
	char directory[] = "/tmp/test_config.XXXXXX";
	int failed;

	if (sodium_init() < 0 || !mkdtemp(directory) || chdir(directory) != 0)
		return 1;
	make_keys();
	write_file("node.key", "secret", 6);
	failed = _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
	unlink("t.yaml");
	unlink("node.key");
	return chdir("/") != 0 || rmdir(directory) != 0 || failed;
}
