/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Takes from a port just the packets that are ours, by destination: service addresses,
 * this node's SIDs and its end of VXLAN. Everything else (SSH, ARP, ND, BGP) goes on to the kernel
 * untouched.
 *
 * Answers to our probes go to a ring in memory instead, which is read when the next probes are due:
 * with the time at which they are here, and without waking anybody.
 *
 * If no AF_XDP socket is bound (the dataplane is being restarted) our packets are dropped:
 * TCP sends them again, whereas the kernel would answer "unreachable" and break it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "answer.h"

#define PREFIXES_MAX 8192
#define VLAN_TAGS_MAX 2
#define VXLAN_PORT 4789

struct ipv4_prefix {
	__u32 bits;
	__u8 address[4];
};

struct ipv6_prefix {
	__u32 bits;
	__u8 address[16];
};

/* The AF_XDP driver finds this one by its name. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PREFIXES_MAX);
	__type(key, struct ipv4_prefix);
	__type(value, __u8);
} steer_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PREFIXES_MAX);
	__type(key, struct ipv6_prefix);
	__type(value, __u8);
} steer_ipv6 SEC(".maps");

/* VXLAN that ends here; its address has other traffic too, and other VNIs are the kernel's. */
struct vxlan_end {
	__u32 vni;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct vxlan_end);
	__type(value, __u8);
} steer_vxlan SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct steer_probe_end);
	__type(value, __u8);
} probe_ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} probe_answers SEC(".maps");

struct vlan_tag {
	__be16 tci;
	__be16 type;
};

/* A fragment has no VNI that could be read: for the kernel (RFC 7348 section 4.3: none is made). */
static __always_inline int is_our_vxlan(const struct iphdr *ip, void *end)
{
	const struct udphdr *udp = (void *)ip + ip->ihl * 4;
	const __u8 *vxlan = (void *)(udp + 1);
	struct vxlan_end key;

	if (ip->protocol != IPPROTO_UDP || ip->frag_off & bpf_htons(0x3fff) ||
	    (void *)(vxlan + 8) > end || udp->dest != bpf_htons(VXLAN_PORT))
		return 0;
	key.vni = (__u32)vxlan[4] << 16 | vxlan[5] << 8 | vxlan[6];
	__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
	return bpf_map_lookup_elem(&steer_vxlan, &key) != 0;
}

static __always_inline int is_ours(void *l3, void *end, __be16 type)
{
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = l3;
		struct ipv4_prefix key = {.bits = 32};
		if ((void *)(ip + 1) > end)
			return 0;
		__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
		return bpf_map_lookup_elem(&steer_ipv4, &key) != 0 || is_our_vxlan(ip, end);
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = l3;
		struct ipv6_prefix key = {.bits = 128};
		if ((void *)(ip + 1) > end)
			return 0;
		__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
		return bpf_map_lookup_elem(&steer_ipv6, &key) != 0;
	}
	return 0;
}

static __always_inline int is_answer(struct ipv6hdr *ip, void *end)
{
	struct udphdr *udp = (void *)(ip + 1);
	struct steer_probe_end key = {0};

	if ((void *)(udp + 1) > end || ip->nexthdr != IPPROTO_UDP ||
	    udp->source != bpf_htons(STEER_STAMP_PORT))
		return 0;
	__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
	key.port = udp->dest;
	return bpf_map_lookup_elem(&probe_ends, &key) != 0;
}

/* One that does not fit is lost, as on the way. */
static __always_inline void keep_answer(struct xdp_md *ctx, __u32 at, __u32 bytes)
{
	struct steer_answer *answer;

	if (bytes < sizeof(struct ipv6hdr) || bytes > STEER_ANSWER_BYTES)
		return;
	answer = bpf_ringbuf_reserve(&probe_answers, sizeof(*answer), 0);
	if (!answer)
		return;
	answer->at_ns = bpf_ktime_get_ns();
	answer->bytes = bytes;
	if (bpf_xdp_load_bytes(ctx, at, answer->packet, bytes) < 0)
		answer->bytes = 0;
	bpf_ringbuf_submit(answer, BPF_RB_NO_WAKEUP);
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	void *l3 = eth + 1;

	if (l3 > end)
		return XDP_PASS;
	__be16 type = eth->h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = l3;
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return XDP_PASS;
		type = tag->type;
		l3 = tag + 1;
	}
	if (type == bpf_htons(ETH_P_IPV6) && (void *)((struct ipv6hdr *)l3 + 1) <= end &&
	    is_answer(l3, end)) {
		struct ipv6hdr *ip = l3;
		keep_answer(ctx, l3 - data, sizeof(*ip) + bpf_ntohs(ip->payload_len));
		return XDP_DROP;
	}
	if (!is_ours(l3, end, type))
		return XDP_PASS;
	return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
