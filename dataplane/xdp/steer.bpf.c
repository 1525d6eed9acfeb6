/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Takes from a port just the packets that are ours, by destination: service addresses and
 * this node's SIDs. Everything else (SSH, ARP, ND, BGP) goes on to the kernel untouched.
 *
 * If no AF_XDP socket is bound (the dataplane is being restarted) our packets are dropped:
 * TCP sends them again, whereas the kernel would answer "unreachable" and break it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PREFIXES_MAX 8192
#define VLAN_TAGS_MAX 2

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

struct vlan_tag {
	__be16 tci;
	__be16 type;
};

static __always_inline int is_ours(void *l3, void *end, __be16 type)
{
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = l3;
		struct ipv4_prefix key = {.bits = 32};
		if ((void *)(ip + 1) > end)
			return 0;
		__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
		return bpf_map_lookup_elem(&steer_ipv4, &key) != 0;
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
	if (!is_ours(l3, end, type))
		return XDP_PASS;
	return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
