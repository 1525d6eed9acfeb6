/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments one after the other, each behind two bytes of length and one of time. As in the
 * worker: what parse calls a fragment is read, tracked, and each packet comes back once.
 */
#include "dataplane/fragment.h"
#include "fuzz.h"

static uint64_t hash_of(const struct flow_key *key)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	for (size_t i = 0; i < sizeof *key; i++)
		hash = (hash ^ ((const uint8_t *)key)[i]) * 1099511628211ULL;
	return hash;
}

#define SETS 4096
static unsigned sets, used[SETS];

static void take(struct fragments *fragments, uint8_t *ip, size_t bytes, uint32_t now_ms)
{
	struct packet packet = {.data = ip, .bytes = bytes};
	struct fragment_way way = {.member = bytes};
	bool is_fragment = parse_ip(&packet) == SL_VERDICT_FRAGMENT;
	struct fragment fragment;
	uint64_t datagram;

	if (fragment_read(ip, bytes, &packet, &fragment) != PARSE_OK)
		return;
	assert(is_fragment && packet.l4 <= packet.l3_bytes && packet.l3_bytes <= bytes);
	datagram = hash_of(&fragment.datagram);
	if (!fragment.first) {
		fragment_later(fragments, datagram, ip, bytes, now_ms, &way);
		return;
	}
	fragment_first(fragments, datagram, &way, now_ms);
	used[sets++] = (datagram + (datagram == 0)) % FRAGMENT_SETS;
	while (fragment_release(fragments, datagram))
		;
	assert(fragment_later(fragments, datagram, ip, bytes, now_ms, &way) == FRAGMENT_KNOWN);
	assert(way.member == (uint16_t)bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct fragments fragments;
	uint32_t now_ms = 0;

	while (bytes >= 3 && sets < SETS) {
		size_t n = data[0] << 8 | data[1];
		uint8_t *ip;
		now_ms += data[2] * 8;
		data += 3;
		bytes -= 3;
		n = n < bytes ? n : bytes;
		ip = fuzz_copy(data, n);
		take(&fragments, ip, n, now_ms);
		free(ip); /* waits only by address */
		data += n;
		bytes -= n;
		while (fragment_overdue(&fragments, now_ms))
			;
	}
	while (fragment_drain(&fragments))
		;
	assert(fragments.waiting_bytes == 0 && fragments.packets == 0);
	for (; sets > 0; sets--) /* all of them would be too much for every run */
		memset(fragments.known[used[sets - 1]], 0, sizeof fragments.known[0]);
	return 0;
}
