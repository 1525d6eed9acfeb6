/* SPDX-License-Identifier: BSD-3-Clause */
#include "route_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TIME_MAX_S 1e6f
#define IDLE_MAX_S 16383 /* what a pin's 14 bits of age can tell apart */

static enum sl_ack_status wrong(char field[SL_NAME_MAX], const char *name)
{
	snprintf(field, SL_NAME_MAX, "%s", name);
	return SL_ACK_FIELD;
}

/* Printable, not empty, terminated: names end up in files and on terminals. */
static bool name_ok(const char name[SL_NAME_MAX])
{
	size_t n = strnlen(name, SL_NAME_MAX);
	if (n == 0 || n == SL_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

static bool is_unicast(const struct in6_addr *address)
{
	return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_MULTICAST(address);
}

static bool via_ok(const struct sl_via *via)
{
	switch (via->kind) {
	case SL_VIA_NONE:
		return via->segments == 0;
	case SL_VIA_SRV6:
		if (via->segments < 1 || via->segments > SL_SEGMENTS_MAX)
			return false;
		break;
	case SL_VIA_L2:
		if (via->segments != 1)
			return false;
		break;
	case SL_VIA_VXLAN:
		return via->segments == 1 && IN6_IS_ADDR_V4MAPPED(&via->segment[0]) &&
		       !IN_MULTICAST(ntohl(via->segment[0].s6_addr32[3])) &&
		       via->segment[0].s6_addr32[3] != 0;
	default:
		return false;
	}
	for (unsigned i = 0; i < via->segments; i++)
		if (!is_unicast(&via->segment[i]))
			return false;
	return true;
}

static bool named_before(const struct sl_msg_service *message, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(message->candidate[i].site, message->candidate[index].site) == 0)
			return true;
	return false;
}

/* NaN is neither. */
static bool time_ok(float time_s)
{
	return time_s >= 0 && time_s <= TIME_MAX_S;
}

static enum sl_ack_status check_candidates(const struct sl_msg_service *message,
					   char field[SL_NAME_MAX])
{
	for (uint32_t i = 0; i < message->candidates; i++) {
		const struct sl_candidate *candidate = &message->candidate[i];
		if (!name_ok(candidate->site))
			return wrong(field, "candidate.site");
		if (named_before(message, i))
			return wrong(field, "candidate.site twice");
		if (!time_ok(candidate->wait_s))
			return wrong(field, "candidate.wait_s");
		if (!time_ok(candidate->step_s))
			return wrong(field, "candidate.step_s");
		for (unsigned family = 0; family < SL_INNER_FAMILIES; family++)
			if (!via_ok(&candidate->via[family]) || !via_ok(&candidate->second[family]))
				return wrong(field, "candidate.via");
	}
	return SL_ACK_DONE;
}

enum sl_ack_status route_check_header(const struct sl_msg_header *header, size_t bytes,
				      char field[SL_NAME_MAX])
{
	if (bytes < sizeof(*header) || header->version != SL_ROUTE_VERSION ||
	    header->bytes != bytes) {
		snprintf(field, SL_NAME_MAX, "header");
		return SL_ACK_VERSION;
	}
	return SL_ACK_DONE;
}

enum sl_ack_status route_check_service(const struct sl_msg_service *message, size_t bytes,
				       char field[SL_NAME_MAX])
{
	if (bytes < sizeof(*message))
		return wrong(field, "length");
	if (message->candidates > SL_CANDIDATES_MAX)
		return wrong(field, "candidates");
	if (message->draws < 1 || message->draws > SL_DRAWS_MAX)
		return wrong(field, "draws");
	if (bytes != sizeof(*message) + message->candidates * sizeof(struct sl_candidate))
		return wrong(field, "length");
	if (!name_ok(message->service))
		return wrong(field, "service");
	if (message->ipv4.s_addr == 0 && IN6_IS_ADDR_UNSPECIFIED(&message->ipv6))
		return wrong(field, "ipv4, ipv6");
	if (IN_MULTICAST(ntohl(message->ipv4.s_addr)))
		return wrong(field, "ipv4");
	if (IN6_IS_ADDR_MULTICAST(&message->ipv6))
		return wrong(field, "ipv6");
	if (message->port == 0)
		return wrong(field, "port");
	if (message->protocol != IPPROTO_TCP && message->protocol != IPPROTO_UDP)
		return wrong(field, "protocol");
	if (message->affinity > SL_AFFINITY_NONE)
		return wrong(field, "affinity");
	if (message->idle_s < 1 || message->idle_s > IDLE_MAX_S)
		return wrong(field, "idle_s");
	return check_candidates(message, field);
}

/* Nothing set past its bits. */
static bool prefix_ok(const struct sl_sid *sid)
{
	if (sid->bits > 128 || IN6_IS_ADDR_MULTICAST(&sid->prefix))
		return false;
	for (unsigned bit = sid->bits; bit < 128; bit++)
		if (sid->prefix.s6_addr[bit / 8] & 0x80 >> bit % 8)
			return false;
	return true;
}

enum sl_ack_status route_check_node(const struct sl_msg_node *message, size_t bytes,
				    char field[SL_NAME_MAX])
{
	if (bytes != sizeof(*message))
		return wrong(field, "length");
	if (IN6_IS_ADDR_MULTICAST(&message->address))
		return wrong(field, "address");
	if (message->sids > SL_SIDS_MAX)
		return wrong(field, "sids");
	for (uint32_t i = 0; i < message->sids; i++)
		if (!prefix_ok(&message->sid[i]))
			return wrong(field, "sid");
	if (IN_MULTICAST(ntohl(message->address4.s_addr)))
		return wrong(field, "address4");
	if (message->vnis > SL_VNIS_MAX || (message->vnis && message->address4.s_addr == 0))
		return wrong(field, "vnis");
	for (uint32_t i = 0; i < message->vnis; i++)
		if (message->vni[i] > 0xffffff)
			return wrong(field, "vni");
	return SL_ACK_DONE;
}

enum sl_ack_status route_check_withdraw(const struct sl_msg_withdraw *message, size_t bytes,
					char field[SL_NAME_MAX])
{
	if (bytes != sizeof(*message))
		return wrong(field, "length");
	if (!name_ok(message->service))
		return wrong(field, "service");
	return SL_ACK_DONE;
}

/* Transit nodes come first to last, without a gap. */
static bool path_name_ok(const struct sl_path_name *name)
{
	bool more = true;

	for (unsigned i = 0; i < SL_TRANSITS_MAX; i++) {
		if (name->transit[i][0] ? !more || !name_ok(name->transit[i])
					: name->transit[i][SL_NAME_MAX - 1] != 0)
			return false;
		more = name->transit[i][0];
	}
	return name_ok(name->end);
}

enum sl_ack_status route_check_path(const struct sl_msg_path *message, size_t bytes,
				    char field[SL_NAME_MAX])
{
	if (bytes != sizeof(*message))
		return wrong(field, "length");
	if (!path_name_ok(&message->name))
		return wrong(field, "name");
	if (!is_unicast(&message->reflector) || IN6_IS_ADDR_V4MAPPED(&message->reflector))
		return wrong(field, "reflector");
	for (unsigned family = 0; family < SL_INNER_FAMILIES; family++)
		if (!via_ok(&message->via[family]))
			return wrong(field, "via");
	return SL_ACK_DONE;
}
