/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe_socket.h"
#include "header.h"
#include "reflect.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <time.h>
#include <unistd.h>

#define IPV6_BYTES 40
#define UDP_BYTES 8
#define HOP_LIMIT 255 /* RFC 8762 section 4.2 */
#define RECEIVE_BATCH 64
#define RECEIVE_BUFFER_BYTES (4 << 20)

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static void put_packet(uint8_t *ip, const struct probe_frame *frame)
{
	uint16_t udp_bytes = UDP_BYTES + stamp_bytes(frame->key);
	uint8_t *udp = ip + IPV6_BYTES;
	const uint8_t pseudo[] = {0, udp_bytes, 0, IPPROTO_UDP};
	rte_be16_t checksum;
	uint64_t sum;

	memset(ip, 0, IPV6_BYTES + UDP_BYTES);
	ip[0] = 0x60;
	put16(ip + 4, udp_bytes);
	ip[6] = IPPROTO_UDP;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, &frame->source, 16);
	memcpy(ip + 24, &frame->reflector, 16);
	put16(udp, frame->source_port);
	put16(udp + 2, STAMP_PORT);
	put16(udp + 4, udp_bytes);
	stamp_write(udp + UDP_BYTES, frame->key, &frame->probe);
	sum = header_sum(header_sum(0, ip + 8, 32), pseudo, sizeof(pseudo));
	checksum = header_checksum(header_sum(sum, udp, udp_bytes));
	checksum = checksum ? checksum : 0xffff;
	memcpy(udp + 6, &checksum, sizeof(checksum));
}

uint8_t *probe_frame_write(uint8_t out[PROBE_FRAME_BYTES], const struct probe_frame *frame,
			   unsigned *bytes)
{
	unsigned ip_bytes = IPV6_BYTES + UDP_BYTES + stamp_bytes(frame->key);
	uint8_t *ip = out + PROBE_FRAME_BYTES - ip_bytes;

	put_packet(ip, frame);
	encap_write(frame->encap, ip, ip_bytes, 0, (uint64_t)frame->probe.session << 44);
	*bytes = frame->encap->header_bytes + ip_bytes;
	return ip - frame->encap->header_bytes;
}

/* --- out --- */

int probe_packets_open(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

void probe_batch_send(struct probe_batch *batch)
{
	struct sockaddr_ll to[PROBE_BATCH];
	struct iovec part[PROBE_BATCH];
	struct mmsghdr message[PROBE_BATCH] = {0};

	for (unsigned i = 0; i < batch->n; i++) {
		to[i] = (struct sockaddr_ll){
			.sll_family = AF_PACKET,
			.sll_protocol = htons(ETH_P_IPV6),
			.sll_ifindex = batch->ifindex[i],
			.sll_halen = ETH_ALEN,
		};
		part[i] = (struct iovec){batch->at[i], batch->bytes[i]};
		message[i].msg_hdr = (struct msghdr){.msg_name = &to[i],
						     .msg_namelen = sizeof(to[i]),
						     .msg_iov = &part[i],
						     .msg_iovlen = 1};
	}
	for (unsigned sent = 0; sent < batch->n;) {
		int n = sendmmsg(batch->fd, message + sent, batch->n - sent, MSG_DONTWAIT);

		sent += n > 0 ? (unsigned)n : 1; /* the interface refuses one: it is lost */
	}
	batch->n = 0;
}

void probe_batch_add(struct probe_batch *batch, const struct probe_frame *frame, int ifindex)
{
	unsigned i = batch->n++;

	batch->ifindex[i] = ifindex;
	batch->at[i] = probe_frame_write(batch->room[i], frame, &batch->bytes[i]);
	if (batch->n == PROBE_BATCH)
		probe_batch_send(batch);
}

int probe_socket_open(const struct in6_addr *address, uint16_t *port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = *address};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, hops = HOP_LIMIT, bytes = RECEIVE_BUFFER_BYTES, result;
	socklen_t length = sizeof(at);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&at, &length) == 0) {
		*port = ntohs(at.sin6_port);
		return fd;
	}
	result = -errno;
	close(fd);
	return result;
}

void probe_socket_send(int fd, const struct probe_frame *frame)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6,
				  .sin6_port = htons(STAMP_PORT),
				  .sin6_addr = frame->reflector};
	uint8_t data[STAMP_AUTHENTICATED_BYTES];
	unsigned bytes = stamp_write(data, frame->key, &frame->probe);

	(void)sendto(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
		     sizeof(to));
}

/* --- in --- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

struct incoming {
	struct sockaddr_in6 from;
	uint8_t data[256];
	_Alignas(struct cmsghdr) char control[64];
};

static void take_one(struct mmsghdr *packet, unsigned socket, probe_take *take, void *context)
{
	const struct sockaddr_in6 *from = packet->msg_hdr.msg_name;
	int64_t now_unix_ns = clock_ns(CLOCK_REALTIME), now_ns = clock_ns(CLOCK_MONOTONIC);
	struct probe_arrival arrival = {
		.data = packet->msg_hdr.msg_iov->iov_base,
		.bytes = packet->msg_len,
		.from = from->sin6_addr,
		.unix_ns = reflect_received_ns(&packet->msg_hdr),
	};
	int64_t ago_ns = now_unix_ns - arrival.unix_ns;

	/* A clock that was set meanwhile does not make it arrive in another age. */
	if (arrival.unix_ns == 0 || ago_ns < 0 || ago_ns > 1000000000)
		ago_ns = 0;
	if (arrival.unix_ns == 0)
		arrival.unix_ns = now_unix_ns;
	arrival.at_ns = (uint64_t)(now_ns - ago_ns);
	if (from->sin6_port == htons(STAMP_PORT))
		take(context, socket, &arrival);
}

void probe_socket_receive(int fd, unsigned socket, probe_take *take, void *context)
{
	static struct incoming in[RECEIVE_BATCH];
	struct mmsghdr packet[RECEIVE_BATCH];
	struct iovec part[RECEIVE_BATCH];
	int got;

	do {
		for (unsigned i = 0; i < RECEIVE_BATCH; i++) {
			part[i] = (struct iovec){in[i].data, sizeof(in[i].data)};
			packet[i].msg_hdr = (struct msghdr){
				.msg_name = &in[i].from,
				.msg_namelen = sizeof(in[i].from),
				.msg_iov = &part[i],
				.msg_iovlen = 1,
				.msg_control = in[i].control,
				.msg_controllen = sizeof(in[i].control),
			};
		}
		got = recvmmsg(fd, packet, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++)
			take_one(&packet[i], socket, take, context);
	} while (got == RECEIVE_BATCH);
}
