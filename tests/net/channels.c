/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loaded before DPDK (LD_PRELOAD): a veth says how many receive queues it has, yet DPDK's AF_XDP
 * driver asks for "combined" ones only, as network cards have, and would take a single queue.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
	va_list more;
	void *what;
	int result;

	va_start(more, request);
	what = va_arg(more, void *);
	va_end(more);
	result = (int)syscall(SYS_ioctl, fd, request, what);
	if (result == 0 && request == SIOCETHTOOL) {
		struct ethtool_channels *channels = (void *)((struct ifreq *)what)->ifr_data;

		if (channels->cmd == ETHTOOL_GCHANNELS && channels->max_combined == 0) {
			channels->max_combined = channels->max_rx;
			channels->combined_count = channels->rx_count;
		}
	}
	return result;
}
