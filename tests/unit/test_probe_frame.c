/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/probe_frame.h"

#define ANSWER_BYTES (40 + 8 + STAMP_BYTES)

static const struct stamp_key plain;

static struct in6_addr address(const char *text)
{
	struct in6_addr out;

	assert_int_equal(inet_pton(AF_INET6, text, &out), 1);
	return out;
}

/* RFC 1071, 16 bits at a time, over the pseudo header of RFC 8200 section 8.1 and the UDP packet.
 */
static uint16_t naive_sum(const uint8_t *ip, unsigned udp_bytes)
{
	uint32_t sum = udp_bytes + 17;

	for (unsigned i = 8; i < 40; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	for (unsigned i = 0; i < udp_bytes; i++)
		sum += i % 2 ? ip[40 + i] : ip[40 + i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void test_probe(void **state)
{
	static const uint8_t begin[] = {0x60, 0, 0, 0, 0, 8 + STAMP_BYTES, 17, 255};
	struct probe_packet packet = {.source = address("2001:db8::1"),
				      .reflector = address("2001:db8:a::2"),
				      .source_port = htons(50000),
				      .key = &plain};
	uint8_t ip[PROBE_PACKET_BYTES], payload[STAMP_AUTHENTICATED_BYTES];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		packet.probe = (struct stamp_probe){i, 1700000000123456789 + i * 12345, 0x8001, i};
		assert_int_equal(probe_packet_write(ip, &packet), ANSWER_BYTES);
		stamp_write(payload, &plain, &packet.probe);
		assert_memory_equal(ip, begin, sizeof(begin));
		assert_memory_equal(ip + 8, &packet.source, 16);
		assert_memory_equal(ip + 24, &packet.reflector, 16);
		assert_memory_equal(ip + 40, "\xc3\x50\x03\x5e\x00\x34", 6);
		assert_memory_equal(ip + 48, payload, STAMP_BYTES);
		assert_int_equal(naive_sum(ip, 8 + STAMP_BYTES), 0xffff);
		assert_true(ip[46] || ip[47]);
	}
}

/* A probe that comes from port 862 looks like an answer to there. */
static void write_answer(uint8_t *ip)
{
	struct probe_packet packet = {.source = address("2001:db8:a::2"),
				      .reflector = address("2001:db8::1"),
				      .source_port = htons(STAMP_PORT),
				      .key = &plain,
				      .probe = {1, 1700000000123456789, 0x8001, 7}};

	probe_packet_write(ip, &packet);
}

static void test_answer(void **state)
{
	struct in6_addr from = address("2001:db8:a::2");
	struct probe_answer answer = {0};
	uint8_t ip[PROBE_PACKET_BYTES];
	uint16_t sum;

	(void)state;
	write_answer(ip);
	assert_true(probe_answer_read(ip, ANSWER_BYTES, &answer));
	assert_true(IN6_ARE_ADDR_EQUAL(&answer.from, &from));
	assert_int_equal(answer.port, htons(862));
	assert_ptr_equal(answer.data, ip + 48);
	assert_int_equal(answer.bytes, STAMP_BYTES);
	assert_true(probe_answer_read(ip, ANSWER_BYTES + 1, &answer)); /* Ethernet's padding */
	assert_int_equal(answer.bytes, STAMP_BYTES);
	/* left to the interface: the pseudo header's sum alone */
	memset(ip + 46, 0, 2);
	sum = naive_sum(ip, 0) + 8 + STAMP_BYTES;
	sum += sum < 8 + STAMP_BYTES;
	ip[46] = sum >> 8;
	ip[47] = sum & 0xff;
	assert_true(probe_answer_read(ip, ANSWER_BYTES, &answer));
}

static void test_damaged(void **state)
{
	struct probe_answer answer;
	uint8_t ip[PROBE_PACKET_BYTES];

	(void)state;
	write_answer(ip);
	for (unsigned bytes = 0; bytes < ANSWER_BYTES; bytes++) {
		uint8_t *part = malloc(bytes + 1); /* so that reading on is seen */

		memcpy(part + 1, ip, bytes);
		assert_false(probe_answer_read(part + 1, bytes, &answer));
		free(part);
	}
	for (unsigned at = 0; at < ANSWER_BYTES; at++) {
		bool unread = at >= 1 && at < 8 && at != 6; /* nobody reads these */

		for (unsigned bit = at == 0 ? 4 : 0; bit < 8; bit++) {
			ip[at] ^= 1 << bit;
			assert_int_equal(probe_answer_read(ip, ANSWER_BYTES, &answer), unread);
			ip[at] ^= 1 << bit;
		}
	}
	memset(ip + 46, 0, 2); /* IPv6 has no packets without checksum */
	assert_false(probe_answer_read(ip, ANSWER_BYTES, &answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
