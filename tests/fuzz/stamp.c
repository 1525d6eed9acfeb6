/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STAMP packets from the network: the first byte chooses the mode, the rest is read as a probe, as
 * an answer, and as a whole packet of IPv6 and UDP out of the overlay.
 */
#include "dataplane/header.h"
#include "dataplane/reflect_frame.h"
#include "fuzz.h"

static const uint8_t ether[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd};

static void whole_packet(struct reflector *reflector, const struct reflect_rule *rule,
			 const uint8_t *data, size_t bytes)
{
	uint8_t *ip = fuzz_copy(data, bytes), out[2048];
	struct icmp_received probe = {ether, sizeof(ether), ip, (uint16_t)bytes};
	struct header header;
	unsigned answer;

	if (bytes < 65536 && header_read(ip, bytes, &header) == PARSE_OK && header.family == 6 &&
	    header.total_bytes <= bytes && header.l4 + 8 <= header.total_bytes) {
		probe.ip_bytes = header.total_bytes;
		answer = reflect_frame(reflector, rule, out, sizeof(out), &probe, header.l4, 1);
		assert(answer == 0 || answer >= 14 + 40 + 8 + stamp_bytes(&rule->key));
		assert(answer <= sizeof(out));
	}
	free(ip);
}

/* What our own prober writes comes back as it was, whatever its fields are. */
static void round_trip(struct reflector *reflector, const struct reflect_rule *rule,
		       const uint8_t *data, size_t bytes)
{
	struct reflect_from from = {
		.address = {{{0x20, 2}}}, .port = 7, .ttl = 64, .received_ns = 5};
	struct stamp_probe sent = {0}, read;
	struct stamp_reply reply;
	uint8_t packet[STAMP_AUTHENTICATED_BYTES];
	uint32_t error_ns;
	unsigned n;

	if (bytes < 10)
		return;
	memcpy(&sent.sequence, data, 4);
	memcpy(&error_ns, data + 4, 4);
	memcpy(&sent.session, data + 8, 2);
	sent.sent_ns = 1700000000000000000 + error_ns;
	sent.error = stamp_error(data[0] & 1, error_ns);
	n = stamp_write(packet, &rule->key, &sent);
	assert(stamp_read(packet, n, &rule->key, &read) && read.sequence == sent.sequence &&
	       read.session == sent.session && read.error == sent.error);
	assert(reflector_answer(reflector, rule, packet, n, sizeof(packet), &from, 6) == n);
	assert(stamp_reply_read(packet, n, &rule->key, &reply) && reply.sequence == sent.sequence &&
	       reply.session == sent.session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct reflector reflector;
	struct reflect_rule rule = {.on = true};
	struct reflect_from from = {.port = 1, .address = {{{0x20, 1}}}, .received_ns = 1};
	struct stamp_reply reply;
	struct stamp_probe probe;
	size_t room, answer;
	uint8_t *copy;

	if (bytes == 0)
		return 0;
	if (*data++ & 1)
		stamp_key_set(&rule.key, (const uint8_t *)"0123456789abcdef", 16);
	bytes--;
	copy = fuzz_copy(data, bytes);
	stamp_read(copy, bytes, &rule.key, &probe);
	stamp_reply_read(copy, bytes, &rule.key, &reply);
	free(copy);
	room = stamp_reflected_bytes(bytes, &rule.key);
	copy = malloc(room);
	if (bytes)
		memcpy(copy, data, bytes);
	answer = reflector_answer(&reflector, &rule, copy, bytes, room, &from, 2);
	assert(answer == 0 || answer == room);
	free(copy);
	whole_packet(&reflector, &rule, data, bytes);
	round_trip(&reflector, &rule, data, bytes);
	return 0;
}
