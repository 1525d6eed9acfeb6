/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define BUFFER_BYTES 65536
#define NOTICE_BUFFER_BYTES (8 << 20)
#define PORTS_MAX 64

/* One port: compare, and jump behind the last one if it is this. */
struct port_test {
	struct inet_diag_bc_op equal, port, found;
};

struct source {
	struct mnl_socket *dump, *notices;
	uint32_t sequence;
	unsigned ports;
	struct port_test test[PORTS_MAX];
	char buffer[BUFFER_BYTES];
};

struct reader {
	source_each *each;
	void *context;
};

static int read_message(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	const struct reader *reader = data;
	struct source_socket socket;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_OK;
	socket = (struct source_socket){
		.cookie = (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0],
		.port = ntohs(message->id.idiag_sport),
		.state = message->idiag_state,
		.accepted = message->idiag_inode != 0,
		.queue = message->idiag_rqueue,
		.inode = message->idiag_inode,
	};
	reader->each(reader->context, &socket);
	return MNL_CB_OK;
}

/* Listeners end too; they have no peer. */
static int read_notice(const struct nlmsghdr *header, void *data)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message) || message->id.idiag_dport == 0)
		return MNL_CB_OK;
	return read_message(header, data);
}

/*
 * The kernel's filter of dumps (inet_diag_bc_op): a jump to the very end accepts, one past
 * the end refuses.
 */
static void build_filter(struct source *source, const uint16_t *port, unsigned ports)
{
	const uint16_t op = sizeof(struct inet_diag_bc_op), test = sizeof(struct port_test);

	source->ports = ports;
	for (unsigned i = 0; i < ports; i++) {
		const uint16_t behind =
			(uint16_t)((ports - i) * test); /* from `equal` to the end */
		const bool last = i + 1 == ports;

		source->test[i] = (struct port_test){
			.equal = {.code = INET_DIAG_BC_S_EQ,
				  .yes = (unsigned char)(2 * op),
				  .no = last ? (uint16_t)(test + op) : test},
			.port = {.no = port[i]},
			.found = {.code = INET_DIAG_BC_JMP,
				  .yes = (unsigned char)op,
				  .no = (uint16_t)(behind - 2 * op)},
		};
	}
}

/* Only notices of our ports wake and fill the socket: the local port is at byte 20. */
static int filter_notices(int fd, const uint16_t *port, unsigned ports)
{
	const uint32_t offset = NLMSG_HDRLEN + offsetof(struct inet_diag_msg, id.idiag_sport);
	struct sock_filter code[PORTS_MAX + 3] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offset)};
	struct sock_fprog program = {.len = (unsigned short)(ports + 3), .filter = code};

	for (unsigned i = 0; i < ports; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port[i],
							   (uint8_t)(ports - i), 0);
	code[ports + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	code[ports + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_notices(struct source *source, const uint16_t *port, unsigned ports)
{
	const int groups[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY};
	const int bytes = NOTICE_BUFFER_BYTES;
	int fd;

	source->notices = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!source->notices || mnl_socket_bind(source->notices, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	fd = mnl_socket_get_fd(source->notices);
	if (filter_notices(fd, port, ports) < 0)
		return -errno;
	/* the second, bounded by net.core.rmem_max, for those without CAP_NET_ADMIN */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	for (unsigned i = 0; i < 2; i++)
		if (mnl_socket_setsockopt(source->notices, NETLINK_ADD_MEMBERSHIP,
					  (void *)&groups[i], sizeof(groups[i])) < 0)
			return -errno;
	return 0;
}

static int open_dump(struct source *source)
{
	/* dumps are answered at once; this is for the kernel that does not */
	const struct timeval patience = {.tv_sec = 1};

	source->dump = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!source->dump || mnl_socket_bind(source->dump, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (setsockopt(mnl_socket_get_fd(source->dump), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0)
		return -errno;
	return 0;
}

static int open_any(struct source **out, const uint16_t *port, unsigned ports, bool notices)
{
	struct source *source;
	int err;

	if (ports < 1 || ports > PORTS_MAX)
		return -EINVAL;
	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	build_filter(source, port, ports);
	err = open_dump(source);
	if (!err && notices)
		err = open_notices(source, port, ports);
	if (err < 0)
		source_close(source);
	else
		*out = source;
	return err;
}

int source_open(struct source **out, const uint16_t *port, unsigned ports)
{
	return open_any(out, port, ports, true);
}

int source_open_dump(struct source **out, const uint16_t *port, unsigned ports)
{
	return open_any(out, port, ports, false);
}

void source_close(struct source *source)
{
	if (!source)
		return;
	if (source->dump)
		mnl_socket_close(source->dump);
	if (source->notices)
		mnl_socket_close(source->notices);
	free(source);
}

/*
 * The older request (TCPDIAG_GETSOCK) dumps both address families in one walk over the
 * kernel's table; SOCK_DIAG_BY_FAMILY would need two.
 */
static int ask(struct source *source, uint32_t states)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(source->buffer);
	struct inet_diag_req *request;

	header->nlmsg_type = TCPDIAG_GETSOCK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = ++source->sequence;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->idiag_states = states;
	memset(request->id.idiag_cookie, 0xff, sizeof(request->id.idiag_cookie));
	mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, source->ports * sizeof(struct port_test),
		     source->test);
	return mnl_socket_sendto(source->dump, header, header->nlmsg_len) < 0 ? -errno : 0;
}

int source_dump(struct source *source, uint32_t states, source_each *each, void *context)
{
	struct reader reader = {each, context};
	const unsigned portid = mnl_socket_get_portid(source->dump);
	int more = MNL_CB_OK, err = ask(source, states);

	if (err < 0)
		return err;
	while (more == MNL_CB_OK) {
		ssize_t bytes = mnl_socket_recvfrom(source->dump, source->buffer, BUFFER_BYTES);

		if (bytes < 0)
			return -errno;
		/* an answer to an earlier question that timed out has another sequence */
		more = mnl_cb_run(source->buffer, (size_t)bytes, source->sequence, portid,
				  read_message, &reader);
		if (more == MNL_CB_ERROR && errno == EPROTO)
			more = MNL_CB_OK;
	}
	return more == MNL_CB_ERROR ? -errno : 0;
}

int source_ended(struct source *source, source_each *each, void *context)
{
	struct reader reader = {each, context};
	int err = 0;

	for (;;) {
		ssize_t bytes = mnl_socket_recvfrom(source->notices, source->buffer, BUFFER_BYTES);

		if (bytes >= 0)
			mnl_cb_run(source->buffer, (size_t)bytes, 0, 0, read_notice, &reader);
		else if (errno == ENOBUFS)
			err = -ENOBUFS;
		else
			return errno == EAGAIN ? err : -errno;
	}
}
