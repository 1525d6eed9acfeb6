/* SPDX-License-Identifier: BSD-3-Clause */
#include "port.h"
#include "card.h"
#include "encap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RX_DESCRIPTORS 2048
#define TX_DESCRIPTORS 2048
/* Fill ring, receive and transmit rings of an AF_XDP queue, and room for bursts in hand. */
#define MBUFS_PER_QUEUE 8192
#define MBUF_CACHE 256
#define PROGRAM_NAME "steer"

_Static_assert(RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN >=
		       RTE_ETHER_HDR_LEN + 40 + 8 + 16 * (SL_SEGMENTS_MAX - 1),
	       "the outer headers fit before any received packet");

/* --- before EAL --- */

static unsigned interface_queues(const char *name)
{
	char path[64];
	unsigned queues = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	dir = opendir(path);
	if (!dir)
		return 1; /* sysfs of another network namespace: the driver will tell */
	for (struct dirent *entry; (entry = readdir(dir));)
		queues += strncmp(entry->d_name, "rx-", 3) == 0;
	closedir(dir);
	return queues;
}

/* Held until this process ends, however it ends; per network namespace, as interfaces are. */
static int interface_claim(struct port *port)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t bytes = offsetof(struct sockaddr_un, sun_path) + 1 +
			  snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
				   "suanlu-port-%s", port->name);

	port->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (port->claim < 0)
		return -errno;
	/* A killed one may still be letting go of it. */
	for (unsigned ms = 0; ms < 2000; ms += 20) {
		if (bind(port->claim, (void *)&address, bytes) == 0)
			return 0;
		usleep(20000);
	}
	warnx("%s: another suanlu-dataplane has this port: stop it first", port->name);
	return -EBUSY;
}

static int program_on(const struct port *port, struct bpf_prog_info *info, int *fd)
{
	uint32_t id = 0, bytes = sizeof(*info);

	*fd = -1;
	if (bpf_xdp_query_id(port->ifindex, 0, &id) < 0 || id == 0)
		return -ENOENT;
	*fd = bpf_prog_get_fd_by_id(id);
	if (*fd < 0 || bpf_obj_get_info_by_fd(*fd, info, &bytes) < 0)
		return -errno;
	return 0;
}

static int map_by_name(const uint32_t *id, unsigned ids, const char *name)
{
	for (unsigned i = 0; i < ids; i++) {
		struct bpf_map_info info = {0};
		uint32_t bytes = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id[i]);
		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && !strcmp(info.name, name))
			return fd;
		close(fd);
	}
	return -1;
}

static const char *const steer_maps[STEER_MAPS] = {"steer_ipv4", "steer_ipv6", "steer_vxlan"};
static const char *const probe_maps[] = {"probe_ends", "probe_answers"};

/* `n` of its maps by name, -1 from the first that it does not have on. */
static int program_maps(const struct port *port, const char *const *names, unsigned n, int *map)
{
	uint32_t id[16], bytes;
	struct bpf_prog_info info = {0};
	int fd, ret = program_on(port, &info, &fd);

	if (ret == 0) {
		info = (struct bpf_prog_info){.nr_map_ids = 16, .map_ids = (uintptr_t)id};
		bytes = sizeof(info);
		ret = bpf_obj_get_info_by_fd(fd, &info, &bytes) < 0 ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	for (unsigned i = 0; ret == 0 && i < n; i++) {
		map[i] = map_by_name(id, info.nr_map_ids, names[i]);
		ret = map[i] < 0 ? -ENOENT : 0;
	}
	return ret;
}

/* After a kill -9 our program is still attached; one that is not ours is left alone. */
static int leftover_find(struct port *port)
{
	struct bpf_prog_info info = {0};
	int fd, ret = program_on(port, &info, &fd);

	if (fd >= 0)
		close(fd);
	if (ret == -ENOENT)
		return 0;
	if (ret < 0) {
		warnx("%s: cannot read its XDP program: %s", port->name, strerror(-ret));
		return ret;
	}
	if (strcmp(info.name, PROGRAM_NAME) != 0) {
		warnx("%s: XDP program '%s' is attached already: remove it with "
		      "'ip link set dev %s xdp off' or take another port",
		      port->name, info.name, port->name);
		return -EBUSY;
	}
	warnx("%s: replacing the XDP program that an earlier run left", port->name);
	port->leftover = true;
	program_maps(port, steer_maps, STEER_MAPS,
		     port->left); /* may be of another version, and lack some */
	return 0;
}

static void port_init(struct port *port)
{
	memset(port->steer, -1, sizeof(port->steer));
	memset(port->left, -1, sizeof(port->left));
	memset(port->socket, -1, sizeof(port->socket));
	port->claim = port->tap = port->probe_ends = port->probe_answers = -1;
	port->id = PORT_NONE;
}

static int port_claim(struct port *port, const char *name, unsigned workers)
{
	int ret;

	snprintf(port->name, sizeof(port->name), "%s", name);
	port->ifindex = if_nametoindex(name);
	if (!port->ifindex) {
		warnx("%s: no such interface: see 'ip link' and dataplane.ports", name);
		return -ENODEV;
	}
	if (interface_queues(name) < workers) {
		warnx("%s: has %u receive queues for %u workers: give fewer dataplane.cores, or "
		      "raise it with 'ethtool -L %s combined %u'",
		      name, interface_queues(name), workers, name, workers);
		return -EINVAL;
	}
	ret = interface_claim(port);
	return ret ? ret : leftover_find(port);
}

int ports_claim(struct ports *ports, const struct config_dataplane *config)
{
	ports->workers = config->cores ? config->cores : 1;
	for (unsigned i = 0; i < config->ports; i++) {
		const struct config_port *wanted = &config->port[i];
		struct port *port = &ports->port[i];
		int ret;

		port_init(port);
		ret = *wanted->device ? card_claim(port, wanted->name, wanted->device)
				      : port_claim(port, wanted->name, ports->workers);
		ports->ports++;
		if (ret < 0)
			return ret;
	}
	return 0;
}

bool port_is_pci(const struct port *port)
{
	return port->device && strncmp(port->device, "net_", 4) != 0;
}

int port_argument(const struct port *port, unsigned workers, const char *program, char *out,
		  size_t bytes)
{
	if (port->device)
		return snprintf(out, bytes, port_is_pci(port) ? "--allow=%s" : "--vdev=%s",
				port->device);
	/* busy_budget=0: with the kernel's busy polling, half of the worker's time is the kernel's
	 */
	return snprintf(out, bytes,
			"--vdev=net_af_xdp_%s,iface=%s,start_queue=0,queue_count=%u,busy_budget=0,"
			"xdp_prog=%s",
			port->name, port->name, workers, program);
}

/* --- after EAL --- */

static void map_copy(int from, int to)
{
	uint32_t key[5], next[5], *at = NULL; /* the longest: prefix length and address */
	uint8_t value = 1;

	if (from < 0)
		return;
	while (bpf_map_get_next_key(from, at, next) == 0) {
		memcpy(key, next, sizeof(key));
		at = key;
		bpf_map_update_elem(to, key, &value, BPF_ANY);
	}
	close(from);
}

/* What the killed run steered stays steered, until control has said what is wanted now. */
static void leftover_take_over(struct port *port)
{
	for (unsigned i = 0; i < STEER_MAPS; i++) {
		map_copy(port->left[i], port->steer[i]);
		port->left[i] = -1;
	}
}

/* The driver loaded the program; its maps are found by what is attached. */
static int maps_open(struct port *port)
{
	int probes[2] = {-1, -1}, ret = program_maps(port, steer_maps, STEER_MAPS, port->steer);

	if (ret == 0)
		ret = program_maps(port, probe_maps, 2, probes);
	port->probe_ends = probes[0];
	port->probe_answers = probes[1];
	if (ret < 0)
		warnx("%s: the XDP program's maps are missing: %s", port->name, strerror(-ret));
	else
		leftover_take_over(port);
	return ret;
}

/* The driver opens a queue's socket with the queue: the one that is new. */
static void find_socket(struct ports *ports, struct port *port, unsigned q)
{
	for (int fd = 0; fd < 4096; fd++) {
		int domain = 0;
		socklen_t bytes = sizeof(domain);
		bool known = false;

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 || domain != AF_XDP)
			continue;
		for (unsigned i = 0; i < ports->ports; i++)
			for (unsigned k = 0; k < ports->workers; k++)
				known |= ports->port[i].socket[k] == fd;
		if (!known)
			port->socket[q] = fd;
	}
}

static int port_configure(struct ports *ports, struct port *port)
{
	unsigned workers = ports->workers;
	struct rte_eth_conf conf = {0};
	char device[64];
	int ret;

	snprintf(device, sizeof(device), "net_af_xdp_%s", port->name);
	ret = rte_eth_dev_get_port_by_name(device, &port->id);
	if (ret == 0)
		ret = rte_eth_dev_configure(port->id, workers, workers, &conf);
	if (ret == 0 && port->leftover) /* no sooner: from here on the kernel has our packets */
		ret = bpf_xdp_detach(port->ifindex, 0, NULL);
	for (unsigned q = 0; ret == 0 && q < workers; q++) {
		ret = rte_eth_rx_queue_setup(port->id, q, RX_DESCRIPTORS, SOCKET_ID_ANY, NULL,
					     ports->mbufs);
		if (ret == 0)
			find_socket(ports, port, q);
		if (ret == 0 && q == 0) /* the driver has attached the program */
			ret = maps_open(port);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(port->id, q, TX_DESCRIPTORS, SOCKET_ID_ANY,
						     NULL);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(port->id);
	if (ret < 0)
		warnx("%s: cannot start the port: %s", port->name, strerror(-ret));
	return ret;
}

static struct rte_mempool *pool_create(const char *name, unsigned queues, unsigned bytes)
{
	unsigned n = queues * MBUFS_PER_QUEUE;
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, n - 1, MBUF_CACHE, 0, bytes, SOCKET_ID_ANY);

	if (!pool)
		warnx("no memory for %u packet buffers of %u bytes: %s", n, bytes,
		      rte_strerror(rte_errno));
	return pool;
}

/* Of the size that AF_XDP wants, and of the cards' largest frame. */
static bool pools_create(struct ports *ports)
{
	unsigned cards = 0, bytes = RTE_MBUF_DEFAULT_BUF_SIZE;

	for (unsigned i = 0; i < ports->ports; i++) {
		const struct port *port = &ports->port[i];
		if (port->device) {
			bytes = RTE_MAX(bytes, card_buffer_bytes(port));
			cards++;
		}
	}
	if (cards)
		ports->frames = pool_create("frames", cards * ports->workers, bytes);
	ports->mbufs = cards == ports->ports
			       ? ports->frames
			       : pool_create("mbufs", (ports->ports - cards) * ports->workers,
					     RTE_MBUF_DEFAULT_BUF_SIZE);
	return ports->mbufs && (!cards || ports->frames);
}

int ports_start(struct ports *ports)
{
	if (!pools_create(ports))
		return -ENOMEM;
	for (unsigned i = 0; i < ports->ports; i++) {
		struct port *port = &ports->port[i];
		int ret = port->device ? card_start(port, ports->workers, ports->frames,
						    ports->frames == ports->mbufs)
				       : port_configure(ports, port);
		if (ret < 0)
			return ret;
		if (port->device)
			ports->taps |= 1u << port->id;
	}
	return 0;
}

void ports_tick(const struct ports *ports)
{
	for (unsigned i = 0; i < ports->ports; i++)
		card_tick(&ports->port[i]);
}

static uint64_t missed_by_socket(int socket)
{
	struct xdp_statistics statistics = {0};
	socklen_t bytes = sizeof(statistics);

	if (getsockopt(socket, SOL_XDP, XDP_STATISTICS, &statistics, &bytes) < 0)
		return 0;
	return statistics.rx_dropped + statistics.rx_ring_full;
}

static uint64_t missed_by_card(const struct port *port)
{
	struct rte_eth_stats stats;

	return rte_eth_stats_get(port->id, &stats) == 0 ? stats.imissed + stats.rx_nombuf : 0;
}

uint64_t ports_missed(struct ports *ports, unsigned worker)
{
	uint64_t before = ports->missed[worker], now = 0;

	for (unsigned i = 0; i < ports->ports; i++) {
		const struct port *port = &ports->port[i];

		if (!port->device)
			now += missed_by_socket(port->socket[worker]);
		else if (worker == 0)
			now += missed_by_card(port);
	}
	ports->missed[worker] = now;
	return now - before;
}

bool ports_can_sleep(const struct ports *ports)
{
	for (unsigned i = 0; i < ports->ports; i++)
		for (unsigned q = 0; q < ports->workers; q++)
			if (ports->port[i].socket[q] < 0)
				return false;
	return true;
}

static void port_stop(struct port *port)
{
	if (port->id != PORT_NONE) {
		rte_eth_dev_stop(port->id);
		rte_eth_dev_close(port->id);
	}
	for (unsigned i = 0; i < STEER_MAPS; i++)
		if (port->steer[i] >= 0)
			close(port->steer[i]);
	if (port->probe_ends >= 0)
		close(port->probe_ends);
	if (port->probe_answers >= 0)
		close(port->probe_answers);
	if (port->claim >= 0)
		close(port->claim);
	card_stop(port);
}

void ports_stop(struct ports *ports)
{
	for (unsigned i = ports->ports; i-- > 0;)
		port_stop(&ports->port[i]);
	if (ports->frames != ports->mbufs)
		rte_mempool_free(ports->frames);
	rte_mempool_free(ports->mbufs);
	ports->ports = 0;
}

const struct port *ports_by_ifindex(const struct ports *ports, int ifindex)
{
	for (unsigned i = 0; i < ports->ports; i++)
		if (ports->port[i].ifindex == ifindex)
			return &ports->port[i];
	return NULL;
}
