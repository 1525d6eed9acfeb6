/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STAMP Session-Reflector (RFC 8762 section 4.3), stateful: answers of a session are numbered by
 * themselves, so that its sender can tell losses there from losses back. Pure: time is passed in.
 *
 * A session is the sender's address, port and id. At most 1,024 are remembered, the longest unused
 * gives way: a flood costs others their counts, nothing else.
 */
#pragma once

#include "stamp.h"
#include <netinet/in.h>

#define REFLECTOR_SETS 256
#define REFLECTOR_WAYS 4

struct reflector_session {
	struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port, id;	 /* as they came */
	uint32_t next;		 /* number of its next answer */
	int64_t used_ns;	 /* 0: free */
};

/* Of one thread; zero bytes are an empty one. */
struct reflector {
	struct reflector_session session[REFLECTOR_SETS][REFLECTOR_WAYS];
};

/* What a process answers with; in the dataplane main: rw, workers: ro. */
struct reflect_rule {
	bool on;
	struct stamp_key key;
	struct in6_addr address; /* this node's; its SIDs answer too */
	uint16_t error;		 /* of our clock, stamp_error */
};

struct reflect_from {
	struct in6_addr address;
	uint16_t port;
	uint8_t ttl;
	int64_t received_ns; /* Unix time */
};

/*
 * Turns a probe into its answer, in place: `data` holds `bytes` and has `room`. Returns the
 * answer's length; 0 if it is no probe that this key answers, or comes from port 862, where
 * another reflector is.
 */
size_t reflector_answer(struct reflector *reflector, const struct reflect_rule *rule, uint8_t *data,
			size_t bytes, size_t room, const struct reflect_from *from,
			int64_t sent_ns);
