/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel knows of TCP sockets, by NETLINK_SOCK_DIAG (sock_diag(7)): a dump of the
 * sockets on some local ports, and its notice of each one it destroys. The service
 * is not touched and sees nothing of it; connections in other network namespaces are not seen.
 * The accept backlog comes from here too, and not from BPF's iter/tcp: that walks the tables of all
 * connections for a handful of listeners, where this asks for TCP_LISTEN alone, and needs no rights.
 *
 * A dump never tells of a socket whose notice was read before it, since a socket leaves the
 * tables first and the notice comes after. Called by the agent's loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct source_socket {
	uint64_t cookie;
	uint16_t port;	/* local */
	uint8_t state;	/* TCP_ESTABLISHED .. of netinet/tcp.h */
	bool accepted;	/* a process has it; false: in the backlog, or closed by its process */
	uint32_t queue; /* TCP_LISTEN: connections in the backlog */
	uint32_t inode; /* of the descriptor, as /proc/PID/fd shows it; 0: not accepted */
};

typedef void source_each(void *context, const struct source_socket *socket);

struct source;

/* -errno; the kernel may lack INET_DIAG (-ENOENT) or want CAP_NET_ADMIN (-EPERM). */
int source_open(struct source **out, const uint16_t *port, unsigned ports);
/* The same without notices, which cost the kernel something at each end of a connection. */
int source_open_dump(struct source **out, const uint16_t *port, unsigned ports);
void source_close(struct source *source);

/* All sockets on the ports, both families, in one of `states` (bits 1 << TCP_LISTEN ...). */
int source_dump(struct source *source, uint32_t states, source_each *each, void *context);

/*
 * All notices since the last call: connections only. 0, or -ENOBUFS if the kernel had to
 * drop some because we were too slow.
 */
int source_ended(struct source *source, source_each *each, void *context);
