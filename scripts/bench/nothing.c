/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A BPF program that does nothing, on the tracepoint of the agent's. What the kernel counts as its
 * run time (sysctl kernel.bpf_stats_enabled) is what that counting costs itself: two readings of
 * the clock per call. Prints "ready", and at SIGTERM "CALLS NANOSECONDS".
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>

int main(void)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K}, /* r0 = 0 */
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	int program, link, which;
	sigset_t end;

	program = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "nothing", "GPL", nothing, 2, NULL);
	if (program < 0)
		error(1, errno, "a BPF program");
	link = bpf_raw_tracepoint_open("inet_sock_set_state", program);
	if (link < 0)
		error(1, errno, "inet_sock_set_state");
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	printf("ready\n");
	fflush(stdout);
	sigwait(&end, &which);
	if (bpf_obj_get_info_by_fd(program, &info, &bytes) < 0)
		error(1, errno, "its run time");
	printf("%" PRIu64 " %" PRIu64 "\n", (uint64_t)info.run_cnt, (uint64_t)info.run_time_ns);
	return 0;
}
