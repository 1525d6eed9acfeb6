/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal.h"

#include <err.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARGUMENTS_MAX (24 + 2 * SL_PORTS_MAX)
#define HUGE_PAGE_BYTES (2ULL << 20)
/* Routes, name slots and DPDK's own; packet buffers come on top. */
#define BASE_MB 64
#define MBUFS_MB_PER_QUEUE 24

struct arguments {
	int n;
	char *value[ARGUMENTS_MAX + 1];
};

static void add(struct arguments *arguments, const char *format, const char *value)
{
	char *text;

	if (arguments->n < ARGUMENTS_MAX && asprintf(&text, format, value) >= 0)
		arguments->value[arguments->n++] = text;
}

static unsigned long free_huge_pages(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");

	if (file && fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages;
}

static void add_memory(struct arguments *arguments, const struct config *config,
		       const struct ports *ports)
{
	unsigned mb = BASE_MB + ports->ports * ports->workers * MBUFS_MB_PER_QUEUE;
	unsigned long pages = config->dataplane.huge_pages ? free_huge_pages() : 0;
	char text[16];

	snprintf(text, sizeof(text), "%u", mb);
	add(arguments, "-m%s", text);
	if (pages * HUGE_PAGE_BYTES >= (uint64_t)mb << 20) {
		add(arguments, "--in-memory", NULL);
		return;
	}
	add(arguments, "--no-huge", NULL);
	if (config->dataplane.huge_pages)
		warnx("running without hugepages: %lu of 2 MiB are free, %u MiB are needed; "
		      "to have them: sysctl vm.nr_hugepages=%u",
		      pages, mb, mb / 2 + 1);
}

/* Lcore 0 is the main thread, on any CPU we may use; workers follow. */
static void add_lcores(struct arguments *arguments, const struct config_dataplane *config)
{
	char text[1024] = "", any[512] = "";
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (unsigned i = 0; i < CPU_SETSIZE && strlen(any) < sizeof(any) - 8; i++)
		if (CPU_ISSET(i, &cpus))
			sprintf(any + strlen(any), "%s%u", any[0] ? "," : "", i);
	snprintf(text, sizeof(text), "0@(%s)", any);
	if (config->cores == 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",1@(%s)", any);
	for (unsigned i = 0; i < config->cores; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",%u@%u", i + 1,
			 config->core[i]);
	add(arguments, "--lcores=%s", text);
	add(arguments, "--main-lcore=%s", "0");
}

static int add_ports(struct arguments *arguments, const struct ports *ports, const char *program)
{
	for (unsigned i = 0; i < ports->ports; i++) {
		char text[256];
		int n = port_argument(&ports->port[i], ports->workers, program, text, sizeof(text));
		if (n < 0 || n >= (int)sizeof(text))
			return -ENAMETOOLONG;
		add(arguments, "%s", text);
	}
	return 0;
}

/* The XDP object is part of this binary (xdp/meson.build); the driver wants a file. */
extern const uint8_t steer_object[], steer_object_end[];

static int program_file = -1; /* read when a port's queues are set up, so kept open */

static int program_open(void)
{
	size_t bytes = steer_object_end - steer_object;

	program_file = memfd_create("steer.bpf.o", MFD_CLOEXEC);
	if (program_file >= 0 && write(program_file, steer_object, bytes) == (ssize_t)bytes)
		return 0;
	warn("cannot hand over the XDP program");
	return -EIO;
}

/* Only those that are named: others stay as they are. */
static bool any_pci(const struct ports *ports)
{
	for (unsigned i = 0; i < ports->ports; i++)
		if (port_is_pci(&ports->port[i]))
			return true;
	return false;
}

int eal_start(const struct config *config, const struct ports *ports, bool verbose)
{
	/* DPDK keeps what they point to, and changes the array that it is given. */
	static struct arguments arguments, given;
	char program[32];
	int ret = program_open();

	if (ret < 0)
		return ret;
	snprintf(program, sizeof(program), "/proc/self/fd/%d", program_file);
	setenv("LIBXDP_SKIP_DISPATCHER", "1",
	       1); /* our program itself on the port, nothing around it */
	setenv("RUNTIME_DIRECTORY", config->run_dir, 1); /* where EAL keeps its files */
	add(&arguments, "suanlu-dataplane", NULL);
	if (!any_pci(ports))
		add(&arguments, "--no-pci", NULL);
	add(&arguments, "--file-prefix=%s", "eal");
	add(&arguments, "--log-level=lib.*:%s", verbose ? "info" : "error");
	add(&arguments, "--log-level=pmd.*:%s", verbose ? "info" : "error");
	add_memory(&arguments, config, ports);
	add_lcores(&arguments, &config->dataplane);
	ret = add_ports(&arguments, ports, program);
	given = arguments;
	if (ret == 0 && rte_eal_init(given.n, given.value) < 0) {
		ret = -rte_errno;
		warnx("DPDK does not start: %s%s", rte_strerror(rte_errno),
		      verbose ? "" : " (-v shows what it says)");
	}
	return ret;
}

void eal_stop(void)
{
	rte_eal_cleanup();
	close(program_file);
}
