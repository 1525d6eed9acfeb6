/* SPDX-License-Identifier: BSD-3-Clause */
#include "card.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 1024
/* Ethernet, two VLAN tags, and that the inner packet is moved within its buffer. */
#define FRAME_MORE_BYTES (RTE_ETHER_HDR_LEN + 2 * 4 + 42)

/* --- before EAL --- */

static int tap_attach(int fd, const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int ret = -1;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	/* A killed one may still be letting go of it. */
	for (unsigned ms = 0; ms < 2000; ms += 20) {
		ret = ioctl(fd, TUNSETIFF, &request);
		if (ret == 0 || errno != EBUSY)
			break;
		usleep(20000);
	}
	return ret < 0 ? -errno : 0;
}

int card_claim(struct port *port, const char *name, const char *device)
{
	int ret;

	snprintf(port->name, sizeof(port->name), "%s", name);
	port->device = device;
	port->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	ret = port->tap < 0 ? -errno : tap_attach(port->tap, name);
	if (ret == -EBUSY)
		warnx("%s: another process has this tap: stop it, or take another name", name);
	else if (ret == -EINVAL)
		warnx("%s: is an interface already, and no tap: take another name for %s", name,
		      device);
	else if (ret < 0)
		warnx("%s: cannot make the tap: %s (/dev/net/tun, CAP_NET_ADMIN)", name,
		      strerror(-ret));
	if (ret < 0)
		return ret;
	if (ioctl(port->tap, TUNSETPERSIST, 1) < 0)
		warn("warning: %s: its addresses will not survive our restart", name);
	port->ifindex = if_nametoindex(name);
	return 0;
}

/* --- the tap as the card is, and the card as the tap is --- */

static int interface_ioctl(const struct port *port, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", port->name);
	ret = fd < 0 || ioctl(fd, what, request) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

static uint16_t tap_mtu(const struct port *port)
{
	struct ifreq request = {0};

	return interface_ioctl(port, SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : RTE_ETHER_MTU;
}

static int tap_set_mac(const struct port *port)
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
	struct rte_ether_addr mac;
	int ret = rte_eth_macaddr_get(port->id, &mac);

	memcpy(request.ifr_hwaddr.sa_data, &mac, sizeof(mac));
	return ret < 0 ? ret : interface_ioctl(port, SIOCSIFHWADDR, &request);
}

static void tap_set_carrier(const struct port *port)
{
	struct rte_eth_link link = {0};
	int carrier;

	rte_eth_link_get_nowait(port->id, &link);
	carrier = link.link_status == RTE_ETH_LINK_UP;
	ioctl(port->tap, TUNSETCARRIER, &carrier);
}

/* In EAL's interrupt thread. */
static int on_link(uint16_t id, enum rte_eth_event_type type, void *port, void *result)
{
	(void)id;
	(void)type;
	(void)result;
	tap_set_carrier(port);
	return 0;
}

void card_follow(struct port *port, const struct netlink_link *before)
{
	struct rte_ether_addr mac = port->link.mac;
	int ret = 0;

	if (port->link.mtu_bytes != before->mtu_bytes)
		ret = rte_eth_dev_set_mtu(port->id, port->link.mtu_bytes);
	if (ret < 0 && ret != -ENOTSUP)
		warnx("warning: %s: the card does not take an MTU of %u now (%s): start anew",
		      port->name, port->link.mtu_bytes, strerror(-ret));
	if (!rte_is_same_ether_addr(&mac, &before->mac) &&
	    rte_eth_dev_default_mac_addr_set(port->id, &mac) < 0)
		warnx("warning: %s: the card does not take another MAC address", port->name);
}

unsigned card_buffer_bytes(const struct port *port)
{
	return RTE_ALIGN_CEIL(RTE_PKTMBUF_HEADROOM + tap_mtu(port) + FRAME_MORE_BYTES, 64u);
}

/* --- after EAL --- */

static const char *device_name(const struct port *port, char out[128])
{
	snprintf(out, 128, "%.*s", (int)strcspn(port->device, ","), port->device);
	return out;
}

/* Sockets of the driver's queues, if it has any (net_af_packet), in the order of their queues. */
static void find_sockets(struct port *port, unsigned workers, unsigned ifindex)
{
	unsigned q = 0;

	for (int fd = 0; ifindex && fd < 4096 && q < workers; fd++) {
		struct sockaddr_ll address = {0};
		socklen_t bytes = sizeof(address);
		if (getsockname(fd, (void *)&address, &bytes) == 0 &&
		    address.sll_family == AF_PACKET && address.sll_ifindex == (int)ifindex)
			port->socket[q++] = fd;
	}
}

static void tell(const struct port *port, const struct rte_eth_dev_info *info,
		 const struct rte_eth_conf *conf, unsigned workers)
{
	warnx("%s: %s (%s), %u queue%s%s%s, %s%s", port->name, port->device, info->driver_name,
	      workers, workers > 1 ? "s" : "",
	      conf->rxmode.mq_mode == RTE_ETH_MQ_RX_RSS ? ", RSS" : "",
	      conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE ? ", freed in bulk" : "",
	      conf->intr_conf.lsc ? "link by interrupt" : "link looked at each second",
	      port->socket[0] < 0 ? ", busy poll" : "");
}

/* The tap's, as far as the driver says that it can; net_af_packet says 1,500 and can more. */
static uint16_t possible_mtu(const struct port *port, const struct rte_eth_dev_info *info)
{
	uint32_t more = info->max_mtu < UINT16_MAX ? info->max_rx_pktlen - info->max_mtu
						   : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
	uint16_t mtu = tap_mtu(port);

	if (mtu + more <= info->max_rx_pktlen)
		return mtu;
	warnx("warning: %s: %s takes an MTU of %u at most, says its driver", port->name,
	      port->device, info->max_rx_pktlen - more);
	return info->max_rx_pktlen - more;
}

static int configure(struct port *port, unsigned workers, const struct rte_eth_dev_info *info,
		     bool alone, struct rte_eth_conf *conf)
{
	const uint64_t hash = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

	if (info->max_rx_queues < workers || info->max_tx_queues < workers) {
		warnx("%s: %s has %u receive and %u transmit queues for %u workers: give fewer "
		      "dataplane.cores",
		      port->name, port->device, info->max_rx_queues, info->max_tx_queues, workers);
		return -EINVAL;
	}
	*conf = (struct rte_eth_conf){.rxmode.mtu = possible_mtu(port, info)};
	if (workers > 1 && info->flow_type_rss_offloads & hash) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & hash;
	}
	if (alone)
		conf->txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	conf->intr_conf.lsc = *info->dev_flags & RTE_ETH_DEV_INTR_LSC ? 1 : 0;
	return rte_eth_dev_configure(port->id, workers, workers, conf);
}

static int queues(const struct port *port, unsigned workers, struct rte_mempool *buffers)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);

	for (unsigned q = 0; ret == 0 && q < workers; q++) {
		ret = rte_eth_rx_queue_setup(port->id, q, rx, SOCKET_ID_ANY, NULL, buffers);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port->id, q, tx, SOCKET_ID_ANY, NULL);
	}
	return ret;
}

int card_start(struct port *port, unsigned workers, struct rte_mempool *buffers, bool alone)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	char name[128];
	int ret = rte_eth_dev_get_port_by_name(device_name(port, name), &port->id);

	if (ret == 0)
		ret = rte_eth_dev_info_get(port->id, &info);
	if (ret == 0)
		ret = configure(port, workers, &info, alone, &conf);
	if (ret == 0)
		ret = queues(port, workers, buffers);
	if (ret == 0 && conf.rxmode.mtu == tap_mtu(port))
		ret = rte_eth_dev_set_mtu(port->id, conf.rxmode.mtu);
	if (ret == -ENOTSUP)
		ret = 0;
	if (ret == 0 && conf.intr_conf.lsc)
		rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_LSC, on_link, port);
	if (ret == 0)
		ret = rte_eth_dev_start(port->id);
	if (ret == 0)
		ret = tap_set_mac(port);
	if (ret < 0) {
		warnx("%s: cannot start %s: %s", port->name, port->device, strerror(-ret));
		return ret;
	}
	rte_eth_allmulticast_enable(port->id); /* ND and routing protocols; the kernel chooses */
	find_sockets(port, workers, info.if_index);
	port->link_watched = conf.intr_conf.lsc;
	tap_set_carrier(port);
	tell(port, &info, &conf, workers);
	return 0;
}

void card_tick(const struct port *port)
{
	if (port->device && !port->link_watched)
		tap_set_carrier(port);
}

void card_stop(struct port *port)
{
	if (port->tap >= 0)
		close(port->tap);
}
