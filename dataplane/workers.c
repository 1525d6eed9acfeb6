/* SPDX-License-Identifier: BSD-3-Clause */
#include "workers.h"

#include <err.h>
#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ASKS_PER_S 200
#define NICE -15

static uint32_t boot_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

static int epoll_add(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* What a worker sleeps on: its own queues' sockets, `wake` for the end, packets of the kernel. */
static int sleep_open(const struct workers *workers, const struct ports *ports, unsigned index,
		      const struct taps *taps, const struct probes *probes)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool added = epoll >= 0 && epoll_add(epoll, workers->wake, EPOLLIN) == 0;

	for (unsigned i = 0; added && i < ports->ports; i++)
		added = epoll_add(epoll, ports->port[i].socket[index], EPOLLIN) == 0;
	if (added && taps && index == 0)
		added = epoll_add(epoll, taps->kick, EPOLLIN | EPOLLET) == 0;
	if (added && probes && index == 0)
		added = epoll_add(epoll, probes->kick, EPOLLIN | EPOLLET) == 0;
	if (added)
		return epoll;
	warn("cannot wait for packets");
	return -errno;
}

/* A second's messages at most, a burst of them, and the same for each group of sources. */
static struct rare *rare_create(const struct reflect_rule *reflect, struct probes *probes,
				struct taps *taps, int wants)
{
	struct rare *rare = rte_zmalloc("rare", sizeof(*rare), RTE_CACHE_LINE_SIZE);

	if (!rare) {
		warnx("no memory for fragments");
		return NULL;
	}
	icmp_limiter_init(&rare->errors, 2000, 400, 100, 50);
	icmp_limiter_init(&rare->pinned, 20000, 2000, 2000, 200);
	icmp_limiter_init(&rare->relayed, 200, 50, 20, 10);
	icmp_limiter_init(&rare->echo, 2000, 400, 100, 50);
	icmp_limiter_init(&rare->probes, 200000, 4000, 20000, 2000);
	rare->reflect = reflect;
	rare->measured = probes;
	rare->wants_fd = wants;
	rare->taps = taps;
	return rare;
}

/*
 * Of who probes paths and who acts on it, this thread and worker 0 if that sleeps: on a busy host
 * their turn must come within a few milliseconds, or paths seem dead. Without the right to it they
 * only seem so sooner.
 */
static int hurry(void *unused)
{
	(void)unused;
	return setpriority(PRIO_PROCESS, 0, NICE);
}

int workers_start(struct workers *workers, const struct ports *ports, struct routes *routes,
		  const struct pin_file *pins, const struct reflect_rule *reflect,
		  struct probes *probes, struct taps *taps, bool busy_poll)
{
	unsigned lcore, n = 0;
	int ret = 0;

	workers_tick(workers);
	workers->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	workers->wants = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* All of them before the first runs: it looks for flows in the others' pins. */
	for (unsigned i = 0; i < ports->workers; i++) {
		struct worker *w = &workers->worker[i];
		bool sleeps = !busy_poll && ports_can_sleep(ports);

		*w = (struct worker){
			.routes = routes,
			.ports = ports,
			.clock = &workers->clock,
			.counters = &routes->counters->worker[i],
			.pins = pin_file_table(pins, i),
			.secret = pins->header->secret,
			.random = rte_rand() | 1,
			.index = i,
			.others = ports->workers - 1,
			.probes = i == 0 ? probes : NULL,
			.from_kernel = taps && i == 0 ? taps->to_wire : NULL,
			.sleep_fd = sleeps ? sleep_open(workers, ports, i, taps, probes) : -1,
			.rare = rare_create(reflect, probes, taps, workers->wants),
		};
		if (!w->rare || (sleeps && w->sleep_fd < 0))
			return -ENOMEM;
	}
	if (probes)
		hurry(NULL);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (probes && n == 0 && workers->worker[0].sleep_fd >= 0 &&
		    rte_eal_remote_launch(hurry, NULL, lcore) == 0)
			rte_eal_wait_lcore(lcore);
		if (ret == 0 && n < ports->workers)
			ret = rte_eal_remote_launch(worker_form()->run, &workers->worker[n++],
						    lcore);
		workers->workers = n;
	}
	return ret;
}

void workers_stop(struct workers *workers)
{
	if (workers->workers == 0)
		return;
	__atomic_store_n(&workers->clock.stop, true, __ATOMIC_RELAXED);
	eventfd_write(workers->wake, 1);
	rte_eal_mp_wait_lcore();
	for (unsigned i = 0; i < workers->workers; i++) {
		if (workers->worker[i].sleep_fd >= 0)
			close(workers->worker[i].sleep_fd);
		rte_free(workers->worker[i].rare);
	}
	workers->workers = 0;
	close(workers->wants);
	close(workers->wake);
}

/* Each costs the kernel a look-up: strangers' segments must not keep main busy. */
static bool may_ask(struct workers *workers)
{
	uint32_t now_s = boot_s();

	if (now_s != workers->asked_s)
		workers->asked = 0;
	workers->asked_s = now_s;
	return workers->asked++ < ASKS_PER_S;
}

void workers_wants(struct workers *workers, struct routes *routes)
{
	eventfd_t value;

	eventfd_read(workers->wants, &value);
	for (unsigned i = 0; i < workers->workers; i++) {
		struct rare *rare = workers->worker[i].rare;

		if (!__atomic_load_n(&rare->wants, __ATOMIC_ACQUIRE))
			continue;
		if (may_ask(workers))
			routes_segment(routes, &rare->wanted);
		__atomic_store_n(&rare->wants, false, __ATOMIC_RELEASE);
	}
}

void workers_tick(struct workers *workers)
{
	__atomic_store_n(&workers->clock.now_s, boot_s(), __ATOMIC_RELAXED);
}
