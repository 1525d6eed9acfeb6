/* SPDX-License-Identifier: BSD-3-Clause */
#include "reflect.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES 2048
#define BATCH 32
#define BUFFER_BYTES (4 << 20)
#define TURNS 8 /* batches before others have their turn */
#define HOP_LIMIT 255
#define UNKNOWN_ERROR_NS 100000000

static int64_t unix_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

uint16_t reflect_clock_error(void)
{
	struct timex timex = {0};
	bool synchronised = adjtimex(&timex) >= 0 && !(timex.status & STA_UNSYNC);

	return stamp_error(synchronised,
			   synchronised ? (uint32_t)timex.esterror * 1000u : UNKNOWN_ERROR_NS);
}

int reflect_open(const struct in6_addr *address, uint16_t port)
{
	struct sockaddr_in6 at = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = *address};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int zero = 0, one = 1, hops = HOP_LIMIT, room = BUFFER_BYTES, result;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	result = -errno;
	close(fd);
	return result;
}

int64_t reflect_received_ns(struct msghdr *message)
{
	struct timespec ts;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			return ts.tv_sec * 1000000000LL + ts.tv_nsec;
		}
	return 0;
}

struct incoming {
	struct sockaddr_in6 from;
	uint8_t data[PACKET_BYTES];
	_Alignas(struct cmsghdr) char control[256];
};

static struct reflect_from where_from(struct msghdr *message)
{
	const struct sockaddr_in6 *address = message->msg_name;
	struct reflect_from from = {.address = address->sin6_addr, .port = address->sin6_port};
	int ttl = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if ((c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) ||
		    (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL))
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	from.ttl = (uint8_t)ttl;
	from.received_ns = reflect_received_ns(message) ?: unix_ns();
	return from;
}

/* From the address that it was sent to, by whichever interface leads back. */
static void answer(int fd, struct msghdr *to, size_t bytes)
{
	struct in6_pktinfo info = {0};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))] = {0};
	struct iovec part = {to->msg_iov->iov_base, bytes};
	struct msghdr message = {
		.msg_name = to->msg_name,
		.msg_namelen = to->msg_namelen,
		.msg_iov = &part,
		.msg_iovlen = 1,
	};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(to); c; c = CMSG_NXTHDR(to, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			message.msg_control = control;
			message.msg_controllen = sizeof(control);
			c = CMSG_FIRSTHDR(&message);
			c->cmsg_level = IPPROTO_IPV6;
			c->cmsg_type = IPV6_PKTINFO;
			c->cmsg_len = CMSG_LEN(sizeof(info));
			memcpy(CMSG_DATA(c), &info, sizeof(info));
			break;
		}
	(void)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); /* lost is lost */
}

static void take(struct reflect *reflect, int fd, struct mmsghdr *packet)
{
	struct msghdr *message = &packet->msg_hdr;
	struct reflect_from from = where_from(message);
	size_t bytes = 0;

	if (!(message->msg_flags & MSG_TRUNC))
		bytes = reflector_answer(&reflect->reflector, &reflect->rule,
					 message->msg_iov->iov_base, packet->msg_len, PACKET_BYTES,
					 &from, unix_ns());

	if (bytes == 0) {
		reflect->refused++;
		return;
	}
	reflect->answered++;
	answer(fd, message, bytes);
}

static void renew_error(struct reflect *reflect)
{
	int64_t now_ns = unix_ns();

	if (llabs(now_ns - reflect->clock_ns) < 1000000000)
		return;
	reflect->clock_ns = now_ns;
	reflect->rule.error = reflect_clock_error();
}

void reflect_turn(struct reflect *reflect, int fd)
{
	static struct incoming in[BATCH];
	struct mmsghdr packet[BATCH];
	struct iovec part[BATCH];
	int got = BATCH;

	renew_error(reflect);
	for (unsigned turn = 0; turn < TURNS && got == BATCH; turn++) {
		for (unsigned i = 0; i < BATCH; i++) {
			part[i] = (struct iovec){in[i].data, PACKET_BYTES};
			packet[i].msg_hdr = (struct msghdr){
				.msg_name = &in[i].from,
				.msg_namelen = sizeof(in[i].from),
				.msg_iov = &part[i],
				.msg_iovlen = 1,
				.msg_control = in[i].control,
				.msg_controllen = sizeof(in[i].control),
			};
		}
		got = recvmmsg(fd, packet, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++)
			take(reflect, fd, &packet[i]);
	}
}
