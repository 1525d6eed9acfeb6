/* SPDX-License-Identifier: BSD-3-Clause */
#include "icmp.h"
#include "header.h"
#include <netinet/in.h>
#include <rte_common.h>
#include <string.h>

#define ETHER_BYTES 14
#define TAG_BYTES 4
#define TAGS_MAX 2
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define ICMP_BYTES 8
#define UPPER_BYTES_MIN 8 /* of the quoted upper-layer header, RFC 792 */
#define HOP_LIMIT 64
#define INTERNETWORK_CONTROL 0xc0 /* precedence of errors, RFC 1812 section 4.3.2.5 */
#define DONT_FRAGMENT 0x40
#define IPV4_MTU_MIN 68	  /* RFC 791 section 3.2 */
#define IPV6_MTU_MIN 1280 /* RFC 8200 section 5 */

enum {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP4_CODE_FRAGMENTATION_NEEDED = 4,
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_HOP_LIMIT = 3,
	ICMP6_PROBLEM = 4,
	ICMP6_ECHO = 128,
	ICMP6_REPLY = 129,
};

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static void put_checksum(uint8_t *at, uint64_t sum)
{
	rte_be16_t checksum = header_checksum(sum);

	memcpy(at, &checksum, sizeof checksum);
}

/* RFC 8200 section 8.1; the parts of 32-bit length and next header that can be non-zero. */
static uint64_t pseudo_sum(const uint8_t *source, const uint8_t *destination, uint32_t bytes)
{
	uint64_t sum = header_sum(IPPROTO_ICMPV6, source, 16);

	return header_sum(sum, destination, 16) + bytes;
}

/* --- whom may we answer --- */

static bool is_unicast4(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool is_unicast6(const uint8_t *address)
{
	static const uint8_t loopback[16] = {[15] = 1}, unspecified[16];

	return address[0] != 0xff && memcmp(address, loopback, 16) != 0 &&
	       memcmp(address, unspecified, 16) != 0;
}

/* The same at both ends would be answered to ourselves. */
static bool between_two_hosts(const struct header *header)
{
	bool (*is_unicast)(const uint8_t *) = header->family == 4 ? is_unicast4 : is_unicast6;

	return is_unicast(header->source) && is_unicast(header->destination) &&
	       memcmp(header->source, header->destination, header->address_bytes) != 0;
}

/* Of ICMP only what is known to be no error may be answered; an empty one is not. */
static bool is_error(const struct header *header, const uint8_t *ip, uint32_t present)
{
	uint8_t protocol = header->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	if (header->protocol != protocol)
		return false;
	if (present <= header->l4)
		return true;
	if (header->family == 4)
		return ip[header->l4] != ICMP4_ECHO && ip[header->l4] != ICMP4_ECHO_REPLY;
	return ip[header->l4] < ICMP6_ECHO;
}

/* The header of a whole packet that may be answered. */
static bool read_answerable(const struct icmp_received *about, struct header *header)
{
	return header_read(about->ip, about->ip_bytes, header) == PARSE_OK &&
	       header->total_bytes <= about->ip_bytes && header->offset == 0 &&
	       between_two_hosts(header);
}

unsigned icmp_put_ethernet(uint8_t *out, unsigned room, const struct icmp_received *received,
			   uint8_t family)
{
	const uint8_t *frame = received->frame;
	unsigned bytes = ETHER_BYTES;

	if (received->frame_bytes < ETHER_BYTES || ((frame[0] | frame[6]) & 1))
		return 0;
	for (unsigned n = 0; n < TAGS_MAX; n++) {
		unsigned type = frame[bytes - 2] << 8 | frame[bytes - 1];
		if (type != 0x8100 && type != 0x88a8)
			break;
		bytes += TAG_BYTES;
		if (bytes > received->frame_bytes)
			return 0;
	}
	if (bytes > room)
		return 0;
	memcpy(out, frame + 6, 6);
	memcpy(out + 6, frame, 6);
	memcpy(out + 12, frame + 12, bytes - 12);
	put16(out + bytes - 2, family == 4 ? 0x0800 : 0x86dd);
	return bytes;
}

static void put_ipv4(uint8_t *at, const struct header *to, uint8_t tos, uint16_t total_bytes)
{
	memset(at, 0, IPV4_BYTES);
	at[0] = 0x45;
	at[1] = tos;
	put16(at + 2, total_bytes);
	at[6] = DONT_FRAGMENT; /* so that identification 0 is right, RFC 6864 section 4.1 */
	at[8] = HOP_LIMIT;
	at[9] = IPPROTO_ICMP;
	memcpy(at + 12, to->destination, 4);
	memcpy(at + 16, to->source, 4);
	put_checksum(at + 10, header_sum(0, at, IPV4_BYTES));
}

static void put_ipv6(uint8_t *at, const struct header *to, uint8_t traffic_class,
		     uint16_t payload_bytes)
{
	memset(at, 0, IPV6_BYTES);
	at[0] = 0x60 | traffic_class >> 4;
	at[1] = traffic_class << 4;
	put16(at + 4, payload_bytes);
	at[6] = IPPROTO_ICMPV6;
	at[7] = HOP_LIMIT;
	memcpy(at + 8, to->destination, 16);
	memcpy(at + 24, to->source, 16);
}

/* ICMP of `bytes` at `icmp`, whose checksum field is 0, gets IP in front of it and its sum. */
static void complete(uint8_t *ip, uint8_t *icmp, uint32_t bytes, const struct header *to,
		     uint8_t traffic_class)
{
	if (to->family == 4) {
		put_ipv4(ip, to, traffic_class, IPV4_BYTES + bytes);
		put_checksum(icmp + 2, header_sum(0, icmp, bytes));
	} else {
		put_ipv6(ip, to, traffic_class, bytes);
		put_checksum(icmp + 2, header_sum(pseudo_sum(to->destination, to->source, bytes),
						  icmp, bytes));
	}
}

/* --- errors --- */

static void put_error(uint8_t *icmp, uint8_t family, enum icmp_error error, uint16_t mtu_bytes)
{
	memset(icmp, 0, ICMP_BYTES);
	if (error == ICMP_ERROR_HOP_LIMIT) {
		icmp[0] = family == 4 ? ICMP4_TIME_EXCEEDED : ICMP6_HOP_LIMIT;
	} else if (family == 4) {
		icmp[0] = ICMP4_UNREACHABLE;
		icmp[1] = ICMP4_CODE_FRAGMENTATION_NEEDED;
		put16(icmp + 6, RTE_MAX(mtu_bytes, IPV4_MTU_MIN)); /* RFC 1191 section 4 */
	} else {
		icmp[0] = ICMP6_TOO_BIG;
		put16(icmp + 6, RTE_MAX(mtu_bytes, IPV6_MTU_MIN));
	}
}

bool icmp_may_fragment(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 && !(ip[6] & DONT_FRAGMENT);
}

unsigned icmp_error(uint8_t *out, unsigned room, const struct icmp_received *about,
		    enum icmp_error error, uint16_t mtu_bytes)
{
	struct header header;
	unsigned ether, ip, quoted;
	uint8_t *icmp;

	if (!read_answerable(about, &header) || is_error(&header, about->ip, header.total_bytes))
		return 0;
	if (error == ICMP_ERROR_TOO_BIG && icmp_may_fragment(about->ip))
		return 0;
	ether = icmp_put_ethernet(out, room, about, header.family);
	ip = header.family == 4 ? IPV4_BYTES : IPV6_BYTES;
	quoted = (header.family == 4 ? ICMP_IPV4_ERROR_MAX : ICMP_IPV6_ERROR_MAX) - ip - ICMP_BYTES;
	quoted = RTE_MIN(quoted, header.total_bytes);
	if (ether == 0 || ether + ip + ICMP_BYTES + quoted > room)
		return 0;
	icmp = out + ether + ip;
	put_error(icmp, header.family, error, mtu_bytes);
	memcpy(icmp + ICMP_BYTES, about->ip, quoted);
	complete(out + ether, icmp, ICMP_BYTES + quoted, &header,
		 header.family == 4 ? INTERNETWORK_CONTROL : 0);
	return ether + ip + ICMP_BYTES + quoted;
}

/* --- messages to a service address --- */

static bool checksum_holds(const struct header *header, const uint8_t *icmp, uint32_t bytes)
{
	uint64_t sum = 0;

	if (header->family == 6)
		sum = pseudo_sum(header->source, header->destination, bytes);
	return header_checksum(header_sum(sum, icmp, bytes)) == 0;
}

/* A whole message, its length and checksum right. */
static enum sl_verdict read_message(const uint8_t *ip, uint32_t present, struct header *header)
{
	enum sl_verdict verdict = header_read(ip, present, header);

	if (verdict != PARSE_OK)
		return verdict;
	if (header->total_bytes > present)
		return SL_VERDICT_TRUNCATED;
	if (header->fragments)
		return SL_VERDICT_FRAGMENT;
	if (header->protocol != (header->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return SL_VERDICT_NOT_TRANSPORT;
	if (header->total_bytes - header->l4 < ICMP_BYTES)
		return SL_VERDICT_TRUNCATED;
	if (!checksum_holds(header, ip + header->l4, header->total_bytes - header->l4))
		return SL_VERDICT_BAD_CHECKSUM;
	return PARSE_OK;
}

unsigned icmp_echo_reply(uint8_t *out, unsigned room, const struct icmp_received *request)
{
	struct header header;
	unsigned ether, ip, bytes;
	const uint8_t *echo;
	uint8_t *icmp;

	if (!read_answerable(request, &header) ||
	    read_message(request->ip, request->ip_bytes, &header) != PARSE_OK)
		return 0;
	echo = request->ip + header.l4;
	bytes = header.total_bytes - header.l4;
	if (echo[0] != (header.family == 4 ? ICMP4_ECHO : ICMP6_ECHO) || echo[1] != 0)
		return 0;
	ether = icmp_put_ethernet(out, room, request, header.family);
	ip = header.family == 4 ? IPV4_BYTES : IPV6_BYTES;
	if (ether == 0 || ether + ip + bytes > room)
		return 0;
	icmp = out + ether + ip;
	memcpy(icmp, echo, bytes);
	icmp[0] = header.family == 4 ? ICMP4_ECHO_REPLY : ICMP6_REPLY;
	put16(icmp + 2, 0);
	complete(out + ether, icmp, bytes, &header, header.traffic_class);
	return ether + ip + bytes;
}

static bool is_reported_error(uint8_t family, uint8_t type)
{
	if (family == 4)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED ||
		       type == ICMP4_PARAMETER_PROBLEM;
	return type >= ICMP6_UNREACHABLE && type <= ICMP6_PROBLEM;
}

/* The quoted packet went from the service to the client: the flow we know goes the other way. */
static void set_reversed(struct flow_key *key, const struct header *quoted, const uint8_t *ports)
{
	memset(key, 0, sizeof *key);
	memcpy(key->source, quoted->destination, quoted->address_bytes);
	memcpy(key->destination, quoted->source, quoted->address_bytes);
	memcpy(&key->destination_port, ports, 2);
	memcpy(&key->source_port, ports + 2, 2);
	key->protocol = quoted->protocol;
	key->family = quoted->family;
}

static enum sl_verdict read_quote(const uint8_t *quote, uint32_t bytes, const struct header *about,
				  struct flow_key *key)
{
	struct header quoted;
	enum sl_verdict verdict = header_read(quote, bytes, &quoted);

	if (verdict != PARSE_OK)
		return verdict == SL_VERDICT_NOT_IP ? SL_VERDICT_BAD_HEADER : verdict;
	if (quoted.family != about->family ||
	    memcmp(quoted.source, about->destination, quoted.address_bytes) != 0)
		return SL_VERDICT_BAD_HEADER;
	if (quoted.offset != 0)
		return SL_VERDICT_FRAGMENT;
	if (quoted.protocol != IPPROTO_TCP && quoted.protocol != IPPROTO_UDP)
		return SL_VERDICT_NOT_TRANSPORT;
	if (quoted.total_bytes - quoted.l4 < UPPER_BYTES_MIN)
		return SL_VERDICT_BAD_HEADER;
	if (bytes - quoted.l4 < UPPER_BYTES_MIN)
		return SL_VERDICT_TRUNCATED;
	set_reversed(key, &quoted, quote + quoted.l4);
	return PARSE_OK;
}

enum sl_verdict icmp_flow(const uint8_t *ip, uint32_t bytes, struct flow_key *key)
{
	struct header header;
	enum sl_verdict verdict = read_message(ip, bytes, &header);
	uint32_t quote;

	if (verdict != PARSE_OK)
		return verdict;
	if (!is_reported_error(header.family, ip[header.l4]))
		return SL_VERDICT_NOT_TRANSPORT;
	quote = header.l4 + ICMP_BYTES;
	return read_quote(ip + quote, header.total_bytes - quote, &header, key);
}

/* --- how often --- */

#define NS_PER_S 1000000000ULL

/* The generic cell rate algorithm: a bucket is the time at which it will be full again. */
static bool has_token(const struct icmp_limit *limit, uint64_t until_ns, uint64_t now_ns)
{
	return until_ns <= now_ns || until_ns - now_ns + limit->every_ns <= limit->depth_ns;
}

static uint64_t take_token(const struct icmp_limit *limit, uint64_t until_ns, uint64_t now_ns)
{
	return RTE_MAX(until_ns, now_ns) + limit->every_ns;
}

static struct icmp_limit limit_of(uint32_t per_s, uint32_t burst)
{
	uint64_t every_ns = (NS_PER_S + per_s - 1) / per_s;

	return (struct icmp_limit){.every_ns = every_ns, .depth_ns = every_ns * burst};
}

void icmp_limiter_init(struct icmp_limiter *limiter, uint32_t per_s, uint32_t burst,
		       uint32_t group_per_s, uint32_t group_burst)
{
	memset(limiter, 0, sizeof *limiter);
	limiter->all = limit_of(per_s, burst);
	limiter->each = limit_of(group_per_s, group_burst);
}

bool icmp_allow(struct icmp_limiter *limiter, uint64_t hash, uint64_t now_ns)
{
	uint64_t *group = &limiter->group_until_ns[hash % ICMP_GROUPS];

	if (!has_token(&limiter->each, *group, now_ns) ||
	    !has_token(&limiter->all, limiter->empty_until_ns, now_ns))
		return false;
	*group = take_token(&limiter->each, *group, now_ns);
	limiter->empty_until_ns = take_token(&limiter->all, limiter->empty_until_ns, now_ns);
	return true;
}
