/* SPDX-License-Identifier: BSD-3-Clause */
#include "tap.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING 1024
#define TURN 64

static struct port *port_of(const struct taps *taps, uint16_t id)
{
	for (unsigned i = 0; i < taps->ports->ports; i++)
		if (taps->ports->port[i].id == id)
			return &taps->ports->port[i];
	return NULL;
}

bool taps_give(struct taps *taps, unsigned worker, struct rte_mbuf *mbuf)
{
	if (rte_ring_sp_enqueue(taps->to_kernel[worker], mbuf) < 0)
		return false;
	/* after it is in the ring: who falls asleep looks once more after saying so */
	if (__atomic_exchange_n(&taps->asleep, 0, __ATOMIC_SEQ_CST))
		eventfd_write(taps->wake, 1);
	return true;
}

/* A tap that is down refuses; the kernel would not have taken it from a card either. */
static unsigned write_all(struct taps *taps)
{
	struct rte_mbuf *mbuf[TURN];
	unsigned done = 0;

	for (unsigned i = 0; i < taps->workers; i++) {
		unsigned n =
			rte_ring_sc_dequeue_burst(taps->to_kernel[i], (void **)mbuf, TURN, NULL);
		for (unsigned k = 0; k < n; k++) {
			const struct port *port = port_of(taps, mbuf[k]->port);
			if (port && write(port->tap, rte_pktmbuf_mtod(mbuf[k], void *),
					  rte_pktmbuf_data_len(mbuf[k])) < 0)
				errno = 0;
			rte_pktmbuf_free(mbuf[k]);
		}
		done += n;
	}
	return done;
}

static bool read_one(struct taps *taps, const struct port *port)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(taps->ports->frames);
	ssize_t n =
		mbuf ? read(port->tap, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_tailroom(mbuf))
		     : -1;

	if (n <= 0) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	mbuf->data_len = mbuf->pkt_len = n;
	mbuf->port = port->id;
	if (rte_ring_sp_enqueue(taps->to_wire, mbuf) < 0)
		rte_pktmbuf_free(mbuf);
	return true;
}

static unsigned read_all(struct taps *taps)
{
	unsigned done = 0;

	for (unsigned i = 0; i < taps->ports->ports; i++) {
		const struct port *port = &taps->ports->port[i];
		for (unsigned k = 0; port->tap >= 0 && k < TURN && read_one(taps, port); k++)
			done++;
	}
	if (done)
		eventfd_write(taps->kick, 1);
	return done;
}

static bool rings_empty(const struct taps *taps)
{
	for (unsigned i = 0; i < taps->workers; i++)
		if (!rte_ring_empty(taps->to_kernel[i]))
			return false;
	return true;
}

static void sleep_until(struct taps *taps)
{
	struct pollfd fds[SL_PORTS_MAX + 1] = {{.fd = taps->wake, .events = POLLIN}};
	unsigned n = 1;
	eventfd_t wakes;

	for (unsigned i = 0; i < taps->ports->ports; i++)
		if (taps->ports->port[i].tap >= 0)
			fds[n++] =
				(struct pollfd){.fd = taps->ports->port[i].tap, .events = POLLIN};
	__atomic_store_n(&taps->asleep, 1, __ATOMIC_SEQ_CST);
	if (rings_empty(taps))
		poll(fds, n, -1);
	__atomic_store_n(&taps->asleep, 0, __ATOMIC_SEQ_CST);
	eventfd_read(taps->wake, &wakes);
}

static void *run(void *argument)
{
	struct taps *taps = argument;

	while (!__atomic_load_n(&taps->stop, __ATOMIC_RELAXED))
		if (write_all(taps) + read_all(taps) == 0)
			sleep_until(taps);
	return NULL;
}

static struct rte_ring *ring(const char *format, unsigned i)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), format, i);
	return rte_ring_create(name, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int taps_start(struct taps **out, struct ports *ports)
{
	struct taps *taps;
	bool made;

	*out = NULL;
	if (!ports->taps)
		return 0;
	taps = rte_zmalloc("taps", sizeof(*taps), RTE_CACHE_LINE_SIZE);
	if (!taps)
		return -ENOMEM;
	*taps = (struct taps){.ports = ports, .mask = ports->taps, .workers = ports->workers};
	taps->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	taps->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	taps->to_wire = ring("to-wire", 0);
	made = taps->to_wire && taps->wake >= 0 && taps->kick >= 0;
	for (unsigned i = 0; made && i < taps->workers; i++)
		made = (taps->to_kernel[i] = ring("to-kernel-%u", i)) != NULL;
	*out = taps;
	if (!made || rte_ctrl_thread_create(&taps->thread, "suanlu-taps", NULL, run, taps) != 0) {
		warnx("cannot start the way to the kernel: %s", rte_strerror(rte_errno));
		return -ENOMEM;
	}
	return 0;
}

void taps_stop(struct taps *taps)
{
	if (!taps)
		return;
	__atomic_store_n(&taps->stop, true, __ATOMIC_RELAXED);
	eventfd_write(taps->wake, 1);
	if (taps->thread)
		pthread_join(taps->thread, NULL);
	for (unsigned i = 0; i < taps->workers; i++)
		rte_ring_free(taps->to_kernel[i]);
	rte_ring_free(taps->to_wire);
	close(taps->wake);
	close(taps->kick);
	rte_free(taps);
}
