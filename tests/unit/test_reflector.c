/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/header.h"
#include "dataplane/reflect_frame.h"

#define NOW_NS 1700000000000000000LL

static const struct reflect_rule rule = {.on = true, .error = 0x8002};
static struct reflector reflector;

static int setup(void **state)
{
	(void)state;
	memset(&reflector, 0, sizeof(reflector));
	return 0;
}

static struct reflect_from from_host(uint32_t host, uint16_t port)
{
	struct reflect_from from = {.port = htons(port), .ttl = 60, .received_ns = NOW_NS};

	inet_pton(AF_INET6, "2001:db8::", &from.address);
	from.address.s6_addr32[3] = htonl(host);
	return from;
}

/* The number of the answer; -1: there was none. */
static int64_t ask(const struct reflect_from *from, uint16_t session)
{
	struct stamp_probe probe = {.sequence = 1000, .sent_ns = NOW_NS, .session = session};
	uint8_t data[STAMP_AUTHENTICATED_BYTES];
	struct stamp_reply reply;
	unsigned bytes = stamp_write(data, &rule.key, &probe);

	if (!reflector_answer(&reflector, &rule, data, bytes, sizeof(data), from, NOW_NS + 1))
		return -1;
	assert_true(stamp_reply_read(data, STAMP_BYTES, &rule.key, &reply));
	assert_int_equal(reply.sequence, 1000);
	return reply.reflected;
}

/* By address, port and id. */
static void test_sessions(void **state)
{
	struct reflect_from a = from_host(1, 5000), b = from_host(2, 5000), c = from_host(1, 5001);

	(void)state;
	assert_int_equal(ask(&a, 0), 0);
	assert_int_equal(ask(&a, 0), 1);
	assert_int_equal(ask(&b, 0), 0);
	assert_int_equal(ask(&c, 0), 0);
	assert_int_equal(ask(&a, 7), 0);
	assert_int_equal(ask(&a, 0), 2);
	assert_int_equal(ask(&c, 0), 1);
}

/* A flood of senders: each is answered, the one that goes on asking keeps its count. */
static void test_flood(void **state)
{
	struct reflect_from steady = from_host(1, 5000);
	int64_t expected = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		struct reflect_from one = from_host(100 + i, 6000);

		one.received_ns = steady.received_ns = NOW_NS + i;
		assert_int_equal(ask(&one, 0), 0);
		assert_int_equal(ask(&steady, 0), expected++);
	}
}

static void test_refused(void **state)
{
	struct reflect_from from = from_host(1, STAMP_PORT);
	uint8_t data[STAMP_BYTES] = {0};

	(void)state;
	assert_int_equal(ask(&from, 0), -1);
	from = from_host(1, 5000);
	assert_int_equal(reflector_answer(&reflector, &rule, data, 13, sizeof(data), &from, 0), 0);
	assert_int_equal(reflector_answer(&reflector, &rule, data, 14, STAMP_BYTES - 1, &from, 0),
			 0);
	inet_pton(AF_INET6, "ff02::1", &from.address);
	assert_int_equal(ask(&from, 0), -1);
}

/* Ethernet, IPv6, UDP from port 4096, STAMP; the UDP checksum is that which scapy computes. */
static const uint8_t frame[14 + 40 + 8 + STAMP_BYTES] = {
	2,    0, 0,  0,	   0,	 2,    2,    0,	  0,	0,    0,    1, 0x86, 0xdd, 0x6b, 0x81, 0x23,
	0x45, 0, 52, 17,   64,	 0x20, 1,    0xd, 0xb8, 0,    0,    0, 0,    0,	   0,	 0,    0,
	0,    0, 0,  5,	   0xfc, 0,    0,    0xc, 0,	0,    0,    0, 0,    0,	   0,	 0,    0,
	0,    0, 1,  0x10, 0,	 3,    0x5e, 0,	  52,	0xc2, 0x53, 0, 0,    0,	   9,
};

static unsigned answer_frame(const uint8_t *in, uint8_t *out, unsigned room)
{
	struct icmp_received probe = {in, sizeof(frame), in + 14, sizeof(frame) - 14};

	return reflect_frame(&reflector, &rule, out, room, &probe, 40, NOW_NS);
}

static void test_frame(void **state)
{
	uint8_t out[256];
	const uint8_t *ip = out + 14, *udp = ip + 40;
	const uint8_t pseudo[] = {0, 52, 0, 17};

	(void)state;
	assert_int_equal(answer_frame(frame, out, sizeof(out)), sizeof(frame));
	assert_memory_equal(out, frame + 6, 6);
	assert_memory_equal(out + 6, frame, 6);
	assert_int_equal(ip[0] << 8 | (ip[1] & 0xf0), 0x6b80);
	assert_int_equal(ip[7], 255);
	assert_memory_equal(ip + 8, frame + 14 + 24, 16);
	assert_memory_equal(ip + 24, frame + 14 + 8, 16);
	assert_memory_equal(udp, ((uint8_t[]){3, 0x5e, 0x10, 0, 0, 52}), 6);
	assert_int_equal(header_checksum(header_sum(
				 header_sum(header_sum(0, ip + 8, 32), pseudo, 4), udp, 52)),
			 0);
	assert_memory_equal(udp + 8 + 24, ((uint8_t[]){0, 0, 0, 9}), 4);
	assert_int_equal(udp[8 + 40], 64); /* the hop limit that it came with */
}

static void test_bad_frames(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint8_t value;
	} wrong[] = {
		{"checksum", 14 + 46, 0},
		{"payload", 14 + 50, 1},
		{"UDP longer than the packet", 14 + 45, 53},
		{"UDP shorter than its header", 14 + 45, 7},
		{"from a group's MAC address", 6, 3},
	};
	uint8_t out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint8_t in[sizeof(frame)];

		print_message("%s\n", wrong[i].what);
		memcpy(in, frame, sizeof(in));
		in[wrong[i].at] = wrong[i].value;
		assert_int_equal(answer_frame(in, out, sizeof(out)), 0);
	}
	for (unsigned room = 0; room < sizeof(frame); room++)
		assert_int_equal(answer_frame(frame, out, room), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sessions, setup),
		cmocka_unit_test_setup(test_flood, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_frame, setup),
		cmocka_unit_test_setup(test_bad_frames, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
