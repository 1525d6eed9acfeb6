/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between suanlu-control (and the CLI) and suanlu-dataplane.
 *
 * A Unix SEQPACKET socket, RUN_DIR/dataplane.sock, where the dataplane
 * listens. One message per datagram, host byte order, both ends on one machine;
 * addresses are in network order. The dataplane checks every field and answers
 * each SL_MSG_SERVICE and SL_MSG_WITHDRAW with one SL_MSG_ACK, in order, once its
 * workers use the new routes (RCU swap done). A refused message changes nothing.
 *
 * A service is described whole, never by difference: its addresses and all of its
 * candidates with their weights. So a lost connection is repaired by sending
 * everything again, and SL_MSG_SYNC withdraws what was not named since SL_MSG_HELLO. Until
 * then a service that was not named yet gives up its addresses to one that is: so services may
 * exchange names and addresses in one update. The same update carries a new configuration.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#define SL_ROUTE_VERSION 4
#define SL_DRAWS_MAX 10 /* of weighted draws, of which a flow takes the best */

#define SL_NAME_MAX 32 /* bytes with the final NUL: service, site and node names */
#define SL_SERVICES_MAX 4096
#define SL_CANDIDATES_MAX 64 /* sites per service */
#define SL_SEGMENTS_MAX 3    /* two transit nodes and the site */
#define SL_SIDS_MAX 16	     /* of a node's own */
#define SL_VNIS_MAX 16	     /* the same */
#define SL_TRANSITS_MAX (SL_SEGMENTS_MAX - 1)
#define SL_PATHS_MAX 1024 /* that are probed */

enum sl_msg_type {
	SL_MSG_HELLO = 1, /* control -> dataplane: header only, opens a full update */
	SL_MSG_SERVICE,	  /* control -> dataplane: struct sl_msg_service */
	SL_MSG_WITHDRAW,  /* control -> dataplane: struct sl_msg_withdraw */
	SL_MSG_SYNC,	  /* control -> dataplane: header only, closes a full update */
	SL_MSG_ACK,	  /* dataplane -> control: struct sl_msg_ack */
	SL_MSG_TRACE,	  /* CLI -> dataplane: struct sl_msg_trace */
	SL_MSG_TRACED,	  /* dataplane -> CLI: struct sl_msg_traced */
	SL_MSG_STATE,	  /* CLI -> dataplane: header only, asks for next-hop states */
	SL_MSG_TARGETS,	  /* dataplane -> CLI: struct sl_msg_targets, one per 64 targets */
	SL_MSG_NODE,	  /* control -> dataplane: struct sl_msg_node, acknowledged */
	SL_MSG_PATH,	  /* control -> dataplane: struct sl_msg_path, not acknowledged */
	SL_MSG_PATH_END,  /* the same, of a path that is not to be probed any more */
};

struct sl_msg_header {
	uint16_t version;    /* SL_ROUTE_VERSION */
	uint16_t type;	     /* enum sl_msg_type */
	uint32_t bytes;	     /* whole message, this header included */
	uint64_t generation; /* sender's, rising; echoed in the answer */
};
_Static_assert(sizeof(struct sl_msg_header) == 16, "message header");

/* How packets of one inner family reach a site. */
enum sl_via_kind {
	SL_VIA_NONE = 0, /* not reachable in this family */
	SL_VIA_SRV6,	 /* H.Encaps.Red, RFC 8986 section 5.2: segments in travel order */
	SL_VIA_L2,	 /* new Ethernet header only: segment[0] is the neighbour's
			    address, IPv4 as ::ffff:a.b.c.d */
	SL_VIA_VXLAN,	 /* RFC 7348 over IPv4: segment[0] is the remote tunnel end as
			    ::ffff:a.b.c.d, and vni counts */
};

/*
 * VXLAN carries Ethernet, so the inner packet gets a header: to SL_VXLAN_MAC and the four bytes
 * of the remote tunnel end's address, from SL_VXLAN_MAC and those of our own. The receiver gives
 * its device the address that is so derived: for 10.0.0.7 on Linux
 *	ip link add vx7 address 02:73:0a:00:00:07 type vxlan id VNI dstport 4789 local 10.0.0.7
 */
#define SL_VXLAN_MAC       \
	{                  \
		0x02, 0x73 \
	}

struct sl_via {
	uint8_t kind; /* enum sl_via_kind */
	uint8_t segments;
	uint8_t vni[3]; /* VXLAN only, most significant byte first; else 0 */
	uint8_t zero[3];
	struct in6_addr segment[SL_SEGMENTS_MAX];
};
_Static_assert(sizeof(struct sl_via) == 56, "via");

enum { SL_INNER_IPV4 = 0, SL_INNER_IPV6 = 1, SL_INNER_FAMILIES = 2 };

/* The second way serves while the path of the first is dead; SL_VIA_NONE: there is none. */
struct sl_candidate {
	char site[SL_NAME_MAX];
	uint32_t weight;  /* share of new flows, relative; 0: keeps its pins, takes no new flow */
	uint32_t standby; /* the same if no candidate with a weight is alive; 0: not even then */
	float wait_s;	  /* of a flow that comes now, as far as known; 0..1e6 */
	float step_s;	  /* what one flow adds to that; 0: neither is known */
	struct sl_via via[SL_INNER_FAMILIES];
	struct sl_via second[SL_INNER_FAMILIES];
};
_Static_assert(sizeof(struct sl_candidate) == 272, "candidate");

enum sl_affinity {
	SL_AFFINITY_FLOW = 0, /* 5-tuple */
	SL_AFFINITY_CLIENT,   /* source address */
	SL_AFFINITY_NONE,     /* each datagram on its own */
};

/* Variable length: `candidates` elements of struct sl_candidate follow. */
struct sl_msg_service {
	struct sl_msg_header header;
	char service[SL_NAME_MAX];
	struct in_addr ipv4;  /* 0.0.0.0: none */
	struct in6_addr ipv6; /* :: : none; at least one of the two is set */
	uint16_t port;	      /* host order, 1..65535 */
	uint8_t protocol;     /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t affinity;     /* enum sl_affinity */
	uint32_t idle_s;      /* a pin unused for so long is forgotten, 1..16383 */
	uint16_t candidates;  /* 0..SL_CANDIDATES_MAX */
	uint16_t draws;	      /* by weight, of which a new flow takes the best; 1..SL_DRAWS_MAX */
	struct sl_candidate candidate[];
};
_Static_assert(sizeof(struct sl_msg_service) == 80, "service message");

/* A gateway's own SID, behaviour End.DT46 (RFC 8986 section 4.8): packets to it are
 * decapsulated and the inner packet is steered by this node's services. */
struct sl_sid {
	struct in6_addr prefix; /* nothing set past its bits */
	uint8_t bits;
	uint8_t zero[7];
};

/* What the node itself is. At start the dataplane takes it from its configuration. */
struct sl_msg_node {
	struct sl_msg_header header;
	struct in6_addr address; /* outer source of SRv6; :: none */
	struct in_addr address4; /* outer source of VXLAN, and where its VNIs end; 0.0.0.0: none */
	uint32_t sids;		 /* in use of sid[]; the rest is zero */
	uint32_t vnis;		 /* the same of vni[]; only with an address4 */
	uint32_t zero;
	struct sl_sid sid[SL_SIDS_MAX];
	uint32_t vni[SL_VNIS_MAX]; /* at address4: frames in them are decapsulated and steered */
};
_Static_assert(sizeof(struct sl_msg_node) == 48 + SL_SIDS_MAX * 24 + SL_VNIS_MAX * 4,
	       "node message");

/* A path's name: where it ends, and what it passes on the way there. */
struct sl_path_name {
	char end[SL_NAME_MAX];			    /* site or transit node */
	char transit[SL_TRANSITS_MAX][SL_NAME_MAX]; /* in travel order; "": none */
};
_Static_assert(sizeof(struct sl_path_name) == 96, "path name");

/*
 * Probe this path by STAMP: packets to the reflector travel as those to the site do. While it is
 * dead (suanlu/paths.h) no candidate is reached by these ways. SL_MSG_SYNC ends the paths that
 * were not named since SL_MSG_HELLO. What the dataplane refuses it logs, and
 * it has no slot in suanlu/paths.h.
 */
struct sl_msg_path {
	struct sl_msg_header header;
	struct sl_path_name name;
	struct in6_addr reflector;	      /* IPv6 */
	struct sl_via via[SL_INNER_FAMILIES]; /* probes go by that of the reflector's family */
};
_Static_assert(sizeof(struct sl_msg_path) == 240, "path message");

struct sl_msg_withdraw {
	struct sl_msg_header header;
	char service[SL_NAME_MAX];
};

enum sl_ack_status {
	SL_ACK_DONE = 0,
	SL_ACK_VERSION,	 /* version or length not understood */
	SL_ACK_FIELD,	 /* a field is out of range: `field` names it */
	SL_ACK_CONFLICT, /* another service owns this address, protocol and port */
	SL_ACK_FULL,	 /* more services or members than the tables hold */
};

struct sl_msg_ack {
	struct sl_msg_header header;
	uint32_t status; /* enum sl_ack_status */
	uint32_t zero;
	char field[SL_NAME_MAX];
};

/* Where would a packet of this flow go? Nothing is changed by asking. */
struct sl_msg_trace {
	struct sl_msg_header header;
	uint8_t family;				/* 4 or 6 */
	uint8_t protocol;			/* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t source_port, destination_port; /* host order */
	uint16_t zero;
	struct in6_addr source, destination; /* IPv4 in the first four bytes */
};

enum sl_trace_how {
	SL_TRACE_NO_SERVICE = 0, /* the fast path leaves it alone */
	SL_TRACE_PINNED,	 /* `site` by a pin, `age_s` since its last packet */
	SL_TRACE_CHOSEN,	 /* no pin: `site` wins the weighted rendezvous */
	SL_TRACE_NO_CANDIDATE,	 /* no site takes new flows now */
};

struct sl_msg_traced {
	struct sl_msg_header header;
	uint32_t how; /* enum sl_trace_how */
	uint32_t age_s;
	char service[SL_NAME_MAX];
	char site[SL_NAME_MAX];
	struct sl_via via; /* of the flow's family */
	char next_hop[64]; /* "o0 via fc00:1::1 lladdr 02:..", or why there is none */
	uint32_t candidates;
	uint32_t zero;
	struct {
		char site[SL_NAME_MAX];
		uint32_t weight;
		float score; /* -log2(draw) / weight: the lowest wins; infinite at weight 0 */
	} candidate[SL_CANDIDATES_MAX];
};

/* Every way that the dataplane knows, with the state of its next hop. */
struct sl_target_state {
	struct sl_via via;
	uint8_t resolved;
	uint8_t zero;
	uint16_t mtu_bytes;  /* of the outgoing interface, or of the route if that is less */
	uint32_t references; /* members that use it */
	uint32_t changes;    /* how often the next hop came, went or became another */
	uint32_t changed_s;  /* boot time (CLOCK_BOOTTIME) of the last */
	char next_hop[64];   /* as in struct sl_msg_traced */
};

struct sl_msg_targets {
	struct sl_msg_header header;
	uint32_t total;	  /* in all messages of this answer */
	uint32_t targets; /* in this one */
	struct sl_target_state target[];
};
