/* SPDX-License-Identifier: BSD-3-Clause */
#include "reflector.h"
#include <string.h>

static bool is_session(const struct reflector_session *session, const struct reflect_from *from,
		       uint16_t id)
{
	return session->used_ns && session->port == from->port && session->id == id &&
	       IN6_ARE_ADDR_EQUAL(&session->address, &from->address);
}

static struct reflector_session *set_of(struct reflector *reflector,
					const struct reflect_from *from, uint16_t id)
{
	const uint32_t *a = from->address.s6_addr32;
	uint32_t x = (a[0] ^ a[1] * 3 ^ a[2] * 5 ^ a[3] * 7 ^ from->port ^ (uint32_t)id << 16);

	return reflector->session[(x * 0x9e3779b1u) >> 24];
}
_Static_assert(REFLECTOR_SETS == 1 << 8, "the upper 8 bits");

static struct reflector_session *session_of(struct reflector *reflector,
					    const struct reflect_from *from, uint16_t id)
{
	struct reflector_session *set = set_of(reflector, from, id), *oldest = set;

	for (unsigned i = 0; i < REFLECTOR_WAYS; i++) {
		if (is_session(&set[i], from, id))
			return &set[i];
		if (set[i].used_ns < oldest->used_ns)
			oldest = &set[i];
	}
	*oldest =
		(struct reflector_session){.address = from->address, .port = from->port, .id = id};
	return oldest;
}

size_t reflector_answer(struct reflector *reflector, const struct reflect_rule *rule, uint8_t *data,
			size_t bytes, size_t room, const struct reflect_from *from, int64_t sent_ns)
{
	size_t answer_bytes = stamp_reflected_bytes(bytes, &rule->key);
	struct reflector_session *session;
	struct stamp_probe probe;

	/* Two reflectors must not answer each other for ever. */
	if (from->port == htons(STAMP_PORT) || IN6_IS_ADDR_MULTICAST(&from->address) ||
	    IN6_IS_ADDR_UNSPECIFIED(&from->address))
		return 0;
	if (answer_bytes > room || !stamp_read(data, bytes, &rule->key, &probe))
		return 0;
	session = session_of(reflector, from, probe.session);
	session->used_ns = from->received_ns;
	stamp_reflect(data, bytes, &rule->key,
		      &(struct stamp_reflection){
			      .sequence = session->next++,
			      .received_ns = from->received_ns,
			      .sent_ns = sent_ns,
			      .error = rule->error,
			      .ttl = from->ttl,
		      });
	return answer_bytes;
}
