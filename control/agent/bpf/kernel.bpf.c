/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Times every connection to the services' ports in one network namespace, from its
 * establishment to the moment when this side closes it. One table entry per open connection,
 * one number of them per service, the rest are sums per CPU.
 *
 * A connection that finds a free server when it comes does not wait for one, whatever comes later:
 * the time it takes is service time. Whether it finds one has nothing to do with its own work,
 * so that these are a fair sample.
 *
 * A tracing program is not entered again on a CPU where it runs: an event in an interrupt at
 * just that time is lost. The kernel counts those, and the agent then compares with a dump.
 *
 * CO-RE: the few structs are declared by hand, with the members used; libbpf finds their
 * places in the running kernel.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_map.h"

#define PROTOCOL_TCP 6
#define US_MAX (1u << 31) /* 36 minutes; its square fits into 64 bits four times */

/* netinet/tcp.h has them, but not for this target */
enum { ESTABLISHED = 1, SYN_RECV = 3, CLOSE_WAIT = 8 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u16 skc_num; /* local port, host order */
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct tcp_sock {
	__u32 write_seq;
};

#pragma clang attribute pop

struct kernel_filter filter;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, KERNEL_FLOWS_MAX);
	__type(key, __u64); /* socket cookie */
	__type(value, struct kernel_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KERNEL_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct kernel_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KERNEL_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct kernel_histogram);
} histograms SEC(".maps");

/* The service's number + 1; 0: not ours. */
static __always_inline __u32 service_of(const struct sock *sk)
{
	__u32 service = filter.service_of[sk->__sk_common.skc_num];

	if (!service || sk->sk_protocol != PROTOCOL_TCP ||
	    sk->__sk_common.skc_net.net->ns.inum != filter.net)
		return 0;
	return service;
}

/* The verifier forgets the bound of a number whose address was taken: so a copy is the map's key.
 */
static __always_inline struct kernel_counts *counts_of(__u32 service)
{
	return bpf_map_lookup_elem(&counts, &service);
}

static __always_inline void flow_begin(struct sock *sk, __u32 service)
{
	struct kernel_flow flow = {.established_ns = bpf_ktime_get_ns(), .service = service};
	struct kernel_counts *count = counts_of(service);
	__u64 cookie = bpf_get_socket_cookie(sk);
	__s64 others;

	if (!count)
		return;
	service &= KERNEL_SERVICES_MAX - 1;
	others = __sync_fetch_and_add(&filter.present[service], 1);
	flow.waited = others >= filter.servers[service];
	if (bpf_map_update_elem(&flows, &cookie, &flow, BPF_ANY) < 0) {
		__sync_fetch_and_add(&filter.present[service], -1);
		count->unknown++;
	} else {
		count->arrivals++;
	}
}

static __always_inline void add_sojourn(struct kernel_counts *count, const struct kernel_flow *flow,
					__u64 now_ns)
{
	struct kernel_histogram *histogram = bpf_map_lookup_elem(&histograms, &flow->service);
	__u64 us = (now_ns - flow->established_ns) / 1000;
	__u32 bucket = histogram_bucket(us);

	count->sojourns++;
	count->sojourn_us += us;
	if (histogram && bucket < HISTOGRAM_BUCKETS)
		histogram->bucket[bucket]++;
	if (flow->waited)
		return;
	if (us > US_MAX)
		us = US_MAX;
	count->alone++;
	count->alone_us += us;
	count->alone_us2 += us * us;
}

static __always_inline void flow_end(struct sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct kernel_flow *flow = bpf_map_lookup_elem(&flows, &cookie);
	struct kernel_flow ended;
	struct kernel_counts *count;

	if (!flow)
		return;
	ended = *flow;
	if (bpf_map_delete_elem(&flows, &cookie) < 0)
		return; /* the agent was faster, and counted it */
	count = counts_of(ended.service);
	if (!count)
		return;
	__sync_fetch_and_add(&filter.present[ended.service & (KERNEL_SERVICES_MAX - 1)], -1);
	count->completions++;
	if (ended.established_ns)
		add_sojourn(count, &ended, bpf_ktime_get_ns());
}

static __always_inline int is_open(int state)
{
	return state == ESTABLISHED || state == CLOSE_WAIT;
}

/* A connection that we accepted comes from SYN_RECV, one that we made from SYN_SENT. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes, struct sock *sk, int from, int to)
{
	if (from == SYN_RECV && to == ESTABLISHED) {
		__u32 service = service_of(sk);

		if (service)
			flow_begin(sk, service - 1);
	} else if (is_open(from) && !is_open(to)) {
		if (service_of(sk))
			flow_end(sk);
	}
	return 0;
}

/*
 * The program has read from the socket; what it reads after it wrote is another request. Only
 * loaded if asked for: it runs at each read of each TCP socket of the host.
 */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(program_reads, struct sock *sk)
{
	struct kernel_counts *count;
	struct kernel_flow *flow;
	struct tcp_sock *tcp;
	__u64 cookie;

	if (!service_of(sk))
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	flow = bpf_map_lookup_elem(&flows, &cookie);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!flow || !tcp || (flow->read && flow->written == tcp->write_seq))
		return 0;
	flow->read = 1;
	flow->written = tcp->write_seq;
	count = counts_of(flow->service);
	if (count)
		count->requests++;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
