/* SPDX-License-Identifier: BSD-3-Clause */
/* A frame that is answered by an error or an echo reply, or is an error about a flow. */
#include "dataplane/icmp.h"
#include "fuzz.h"

/* Whatever we say is itself well-formed, and nothing is said about it. */
static void check(uint8_t *out, unsigned bytes, unsigned room)
{
	struct packet packet = {.data = out, .bytes = bytes};
	uint8_t again[ICMP_ERROR_FRAME_MAX];
	struct icmp_received about;

	if (bytes == 0)
		return;
	assert(bytes <= room);
	assert(parse(&packet) == PARSE_OK && packet.l3 + packet.l3_bytes == bytes);
	about = (struct icmp_received){out, bytes, out + packet.l3, packet.l3_bytes};
	assert(icmp_echo_reply(again, sizeof again, &about) == 0);
	if (room == ICMP_ERROR_FRAME_MAX)
		assert(icmp_error(again, sizeof again, &about, ICMP_ERROR_HOP_LIMIT, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *frame = fuzz_copy(data, bytes), out[ICMP_ERROR_FRAME_MAX], echo[9000];
	unsigned l3 = bytes < 22 ? bytes : data[12] == 0x81 ? 18 : data[12] == 0x88 ? 22 : 14;
	struct icmp_received about = {frame, bytes, frame + l3, bytes - l3};
	struct icmp_limiter limiter;
	struct flow_key key;

	icmp_limiter_init(&limiter, 1000, 2, 10, 1);
	for (unsigned i = 0; i < bytes && i < 64; i++)
		icmp_allow(&limiter, data[i] / 64, i * 10000 * (uint64_t)data[i]);
	check(out, icmp_error(out, sizeof out, &about, ICMP_ERROR_TOO_BIG, bytes), sizeof out);
	check(out, icmp_error(out, sizeof out, &about, ICMP_ERROR_HOP_LIMIT, 0), sizeof out);
	check(echo, icmp_echo_reply(echo, sizeof echo, &about), sizeof echo);
	if (icmp_flow(about.ip, about.ip_bytes, &key) == PARSE_OK)
		assert(key.family == 4 || key.family == 6);
	free(frame);
	return 0;
}
