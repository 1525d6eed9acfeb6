/* SPDX-License-Identifier: BSD-3-Clause */
#include "fragment.h"
#include "header.h"
#include <netinet/in.h>
#include <string.h>

#define PLACES (FRAGMENT_WAITING_MAX + FRAGMENT_WAITING_SLACK)
#define TCP_BYTES 20
#define UDP_BYTES 8
#define TCP_FLAGS 13

/* --- what a fragment says --- */

static enum sl_verdict read_ports(const uint8_t *l4, uint32_t bytes, struct packet *packet)
{
	bool tcp = packet->key.protocol == IPPROTO_TCP;

	if (!tcp && packet->key.protocol != IPPROTO_UDP)
		return PARSE_OK;
	if (bytes < (tcp ? TCP_BYTES : UDP_BYTES))
		return SL_VERDICT_TRUNCATED;
	if (tcp && (l4[12] >> 4) * 4 < TCP_BYTES)
		return SL_VERDICT_BAD_HEADER;
	memcpy(&packet->key.source_port, l4, 2);
	memcpy(&packet->key.destination_port, l4 + 2, 2);
	packet->tcp_flags = tcp ? l4[TCP_FLAGS] : 0;
	return PARSE_OK;
}

/* RFC 791 tells datagrams apart by protocol too, RFC 8200 section 4.5 does not. */
static void set_datagram(struct flow_key *datagram, const struct header *header)
{
	memset(datagram, 0, sizeof *datagram);
	memcpy(datagram->source, header->source, header->address_bytes);
	memcpy(datagram->destination, header->destination, header->address_bytes);
	memcpy(&datagram->source_port, &header->id, 2);
	memcpy(&datagram->destination_port, (const uint8_t *)&header->id + 2, 2);
	datagram->protocol = header->family == 4 ? header->protocol : IPPROTO_FRAGMENT;
	datagram->family = header->family;
}

static enum sl_verdict check(const uint8_t *ip, uint32_t bytes, const struct header *header)
{
	uint32_t data_bytes;

	if (header->family == 4 && header_checksum(header_sum(0, ip, header->l4)) != 0)
		return SL_VERDICT_BAD_CHECKSUM;
	if (header->total_bytes > bytes || header->l4 > header->total_bytes)
		return SL_VERDICT_TRUNCATED;
	if (!header->fragments || header->total_bytes > UINT16_MAX)
		return SL_VERDICT_BAD_HEADER;
	data_bytes = header->total_bytes - header->l4;
	if (header->offset + data_bytes > UINT16_MAX || data_bytes == 0)
		return SL_VERDICT_BAD_HEADER;
	/* of a first fragment l4 may lie past extension headers, which are multiples of 8 */
	return header->more && data_bytes % 8 ? SL_VERDICT_BAD_HEADER : PARSE_OK;
}

enum sl_verdict fragment_read(uint8_t *ip, uint32_t bytes, struct packet *packet,
			      struct fragment *fragment)
{
	struct header header;
	struct packet out = {.data = ip, .bytes = bytes};
	enum sl_verdict verdict = header_read(ip, bytes, &header);

	if (verdict == PARSE_OK)
		verdict = check(ip, bytes, &header);
	if (verdict != PARSE_OK)
		return verdict;
	out.l4 = header.l4;
	out.l3_bytes = header.total_bytes;
	out.traffic_class = header.traffic_class;
	memcpy(out.key.source, header.source, header.address_bytes);
	memcpy(out.key.destination, header.destination, header.address_bytes);
	out.key.protocol = header.protocol;
	out.key.family = header.family;
	if (header.offset == 0)
		verdict = read_ports(ip + out.l4, header.total_bytes - header.l4, &out);
	if (verdict != PARSE_OK)
		return verdict;
	*packet = out;
	set_datagram(&fragment->datagram, &header);
	fragment->first = header.offset == 0;
	return PARSE_OK;
}

/* --- known ways --- */

/* 0 means none. */
static uint64_t name_of(uint64_t datagram)
{
	return datagram + (datagram == 0);
}

static struct fragment_known *set_of(struct fragments *fragments, uint64_t datagram)
{
	return fragments->known[datagram % FRAGMENT_SETS];
}

static struct fragment_known *find(struct fragments *fragments, uint64_t datagram, uint32_t now_ms)
{
	struct fragment_known *set = set_of(fragments, datagram);

	for (unsigned i = 0; i < FRAGMENT_WAYS; i++)
		if (set[i].datagram == datagram && now_ms - set[i].since_ms <= FRAGMENT_KNOWN_MS)
			return &set[i];
	return NULL;
}

/* The same datagram's, else an empty one, else the oldest. */
static struct fragment_known *place_for(struct fragments *fragments, uint64_t datagram,
					uint32_t now_ms)
{
	struct fragment_known *set = set_of(fragments, datagram), *place = &set[0];

	for (unsigned i = 0; i < FRAGMENT_WAYS; i++)
		if (set[i].datagram == datagram)
			return &set[i];
	for (unsigned i = 0; i < FRAGMENT_WAYS; i++) {
		if (set[i].datagram == 0)
			return &set[i];
		if (now_ms - set[i].since_ms > now_ms - place->since_ms)
			place = &set[i];
	}
	return place;
}

void fragment_first(struct fragments *fragments, uint64_t datagram, const struct fragment_way *way,
		    uint32_t now_ms)
{
	datagram = name_of(datagram);
	*place_for(fragments, datagram, now_ms) = (struct fragment_known){
		.datagram = datagram,
		.flow_hash = way->flow_hash,
		.since_ms = now_ms,
		.member = way->member,
	};
}

/* --- those that wait --- */

static unsigned place_at(const struct fragments *fragments, unsigned i)
{
	return (fragments->head + i) % PLACES;
}

static void *take_out(struct fragments *fragments, unsigned place)
{
	void *packet = fragments->ring[place].packet;

	fragments->waiting_bytes -= fragments->ring[place].bytes;
	fragments->packets--;
	fragments->ring[place].packet = NULL;
	fragments->datagram[place] = 0;
	return packet;
}

/* The oldest place holds a packet, or nothing waits. */
static void drop_gone(struct fragments *fragments)
{
	while (fragments->waiting > 0 && !fragments->ring[fragments->head].packet) {
		fragments->head = (fragments->head + 1) % PLACES;
		fragments->waiting--;
	}
}

enum fragment_fate fragment_later(struct fragments *fragments, uint64_t datagram, void *packet,
				  uint32_t bytes, uint32_t now_ms, struct fragment_way *way)
{
	struct fragment_known *known;
	unsigned place;

	datagram = name_of(datagram);
	known = find(fragments, datagram, now_ms);
	if (known) {
		*way = (struct fragment_way){known->flow_hash, known->member};
		return FRAGMENT_KNOWN;
	}
	drop_gone(fragments);
	if (fragments->waiting == PLACES || bytes > FRAGMENT_WAITING_BYTES)
		return FRAGMENT_REFUSED;
	place = place_at(fragments, fragments->waiting++);
	fragments->datagram[place] = datagram;
	fragments->ring[place] = (struct fragment_waiting){packet, bytes, now_ms};
	fragments->waiting_bytes += bytes;
	fragments->packets++;
	return FRAGMENT_WAITS;
}

void *fragment_release(struct fragments *fragments, uint64_t datagram)
{
	datagram = name_of(datagram);
	if (fragments->packets == 0)
		return NULL;
	for (unsigned i = 0; i < fragments->waiting; i++) {
		unsigned place = place_at(fragments, i);
		if (fragments->datagram[place] == datagram)
			return take_out(fragments, place);
	}
	return NULL;
}

void *fragment_drain(struct fragments *fragments)
{
	drop_gone(fragments);
	return fragments->waiting > 0 ? take_out(fragments, fragments->head) : NULL;
}

void *fragment_overdue(struct fragments *fragments, uint32_t now_ms)
{
	drop_gone(fragments);
	if (fragments->waiting == 0)
		return NULL;
	if (fragments->waiting <= FRAGMENT_WAITING_MAX &&
	    fragments->waiting_bytes <= FRAGMENT_WAITING_BYTES &&
	    now_ms - fragments->ring[fragments->head].since_ms <= FRAGMENT_WAITING_MS)
		return NULL;
	return take_out(fragments, fragments->head);
}
