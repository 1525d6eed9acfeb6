/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Counts every connection to the services' ports in one network namespace, and times it from
 * its establishment to the moment when this side closes it. Two counters per service, and a table
 * of start times that stays in the cache: entries are found by the socket's cookie, and those count
 * up. Of many thousands a second only each second, fourth, ... in the mean is timed; the others are
 * given no cookie, which is dear. One whose place is taken by an older one is counted, but not
 * timed. All that has nothing to do with its own work, and neither has whether it finds a free
 * server when it comes. One that does waits for none, whatever comes later: its time is service
 * time. So those timed are a fair sample.
 *
 * A tracing program is not entered again on a CPU where it runs: an event in an interrupt at
 * just that time is lost. The kernel counts those, and the agent then compares with a dump,
 * during which every event is noted.
 *
 * CO-RE: the few structs are declared by hand, with the members used; libbpf finds their
 * places in the running kernel.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_map.h"

#define PROTOCOL_TCP 6
#define US_MAX (1ul << 31) /* 36 minutes; its square fits into 64 bits four times */

/* netinet/tcp.h has them, but not for this target */
enum { ESTABLISHED = 1, CLOSE_WAIT = 8 };

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

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__u16 skc_num; /* local port, host order */
	possible_net_t skc_net;
	atomic64_t skc_cookie; /* 0: nobody asked for it yet */
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct tcp_sock {
	__u32 write_seq;
	__u64 tcp_mstamp; /* us, CLOCK_MONOTONIC: when TCP last looked at the clock */
};

#pragma clang attribute pop

struct kernel_filter filter;
struct kernel_notes notes SEC(".bss.notes");
struct kernel_timed timed[KERNEL_TIMED] SEC(".bss.timed");

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

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct kernel_read);
} reads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} wakes SEC(".maps");

/* The service's number; negative: not ours. */
static __always_inline int service_of(const struct sock *sk)
{
	int service = filter.service_of[sk->__sk_common.skc_num] - 1;

	if (service < 0 || service >= KERNEL_SERVICES_MAX || sk->sk_protocol != PROTOCOL_TCP ||
	    sk->__sk_common.skc_net.net->ns.inum != filter.service[service].net)
		return -1;
	return service;
}

/* The verifier forgets the bound of a number whose address was taken: so a copy is the map's key.
 */
static __always_inline struct kernel_counts *counts_of(__u32 service)
{
	return bpf_map_lookup_elem(&counts, &service);
}

/* Consecutive numbers, whose patterns may be those of the load, become unrelated ones. */
static __always_inline __u32 mix(__u64 number)
{
	return (__u32)(number * 0x9e3779b97f4a7c15ull >> 32);
}

/* Not often: only while the agent compares with a dump. */
static __always_inline void note(__u64 cookie, __u32 service, __u32 ended)
{
	__u32 at = __sync_fetch_and_add(&notes.count, 1);

	if (at < KERNEL_NOTES)
		notes.note[at] = (struct kernel_note){cookie, service, ended};
}

/* Once, until the agent wants it again. Two at the same time do no harm. */
static __always_inline void wake(void)
{
	__u64 word = 0;

	if (filter.woken)
		return;
	filter.woken = 1;
	bpf_ringbuf_output(&wakes, &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
}

/* TCP has just looked at the clock, for the packet that established the connection. */
static __always_inline void time_from_now(struct sock *sk, int waited)
{
	__u64 cookie = bpf_get_socket_cookie(sk), now_us;
	struct kernel_timed *slot = &timed[cookie & (KERNEL_TIMED - 1)];
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp)
		return;
	now_us = tcp->tcp_mstamp;
	if (slot->cookie && now_us - slot->from_us < US_MAX)
		return;
	slot->from_us = now_us;
	slot->waited = waited;
	slot->cookie = cookie;
}

static __always_inline void flow_begin(struct sock *sk, __u32 service)
{
	struct kernel_watched *watched = &filter.service[service];
	__s64 number, others;

	if (watched->noted)
		note(bpf_get_socket_cookie(sk), service, 0);
	number = __sync_fetch_and_add(&watched->arrivals, 1);
	others = watched->corrections + number - watched->completions;
	if (others >= watched->above)
		wake();
	if (!(mix(number) & watched->untimed))
		time_from_now(sk, others >= watched->servers);
}

static __always_inline void add_sojourn(__u32 service, __u64 us, int waited)
{
	struct kernel_counts *count = counts_of(service);
	struct kernel_histogram *histogram = bpf_map_lookup_elem(&histograms, &service);
	__u32 bucket = histogram_bucket(us);

	if (!count || !histogram)
		return;
	count->sojourns++;
	count->sojourn_us += us;
	if (bucket < HISTOGRAM_BUCKETS)
		histogram->bucket[bucket]++;
	if (waited)
		return;
	if (us > US_MAX)
		us = US_MAX;
	count->alone++;
	count->alone_us += us;
	count->alone_us2 += us * us;
}

static __always_inline void flow_end(struct sock *sk, __u32 service)
{
	struct kernel_watched *watched = &filter.service[service];
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	struct kernel_timed *slot = &timed[cookie & (KERNEL_TIMED - 1)];
	__s64 number;

	if (watched->noted)
		note(bpf_get_socket_cookie(sk), service, 1);
	number = __sync_fetch_and_add(&watched->completions, 1) + 1;
	if (watched->corrections + watched->arrivals - number < watched->below)
		wake();
	if (!cookie || slot->cookie != cookie)
		return;
	slot->cookie = 0;
	add_sojourn(service, bpf_ktime_get_ns() / 1000 - slot->from_us, slot->waited);
}

static __always_inline int is_open(int state)
{
	return state == ESTABLISHED || state == CLOSE_WAIT;
}

/* As a dump would see it: all with the service's local port. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changes, struct sock *sk, int from, int to)
{
	int service;

	if (is_open(from) == is_open(to))
		return 0;
	service = service_of(sk);
	if (service < 0)
		return 0;
	if (to == ESTABLISHED)
		flow_begin(sk, service);
	else
		flow_end(sk, service);
	return 0;
}

/*
 * The program has read from the socket; what it reads after it wrote is another request. Only
 * loaded if asked for: it runs at each read of each TCP socket of the host.
 */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(program_reads, struct sock *sk)
{
	int service = service_of(sk);
	struct kernel_counts *count;
	struct kernel_read *last;
	struct tcp_sock *tcp;

	if (service < 0)
		return 0;
	last = bpf_sk_storage_get(&reads, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!last || !tcp || (last->any && last->written == tcp->write_seq))
		return 0;
	last->any = 1;
	last->written = tcp->write_seq;
	count = counts_of(service);
	if (count)
		count->requests++;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
