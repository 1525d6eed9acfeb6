/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAMS 2
#define TIMED_PER_S 2500.0 /* enough to know a mean within 2 % after a second */
#define UNTIMED_MOST 63

extern const char kernel_object[], kernel_object_end[];

struct kernel {
	struct bpf_object *object;
	struct kernel_filter *filter; /* these two shared with the programs */
	struct kernel_notes *notes;
	struct bpf_link *link[PROGRAMS];
	int program[PROGRAMS];
	unsigned programs; /* loaded */
	int counts, histograms;
	struct ring_buffer *wakes;
	unsigned cpus;
	struct kernel_counts *count;	    /* one per CPU, to read into */
	struct kernel_histogram *histogram; /* so too */
};

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
	return 0;
}

static int fill_filter(struct kernel *kernel, const struct kernel_service *service,
		       unsigned services)
{
	struct bpf_map *map = bpf_object__find_map_by_name(kernel->object, ".bss");
	struct kernel_filter *filter;
	struct stat net;
	size_t bytes;

	if (stat("/proc/self/ns/net", &net) < 0)
		return -errno;
	filter = map ? (void *)bpf_map__initial_value(map, &bytes) : NULL;
	if (!filter || bytes < sizeof(*filter))
		return -EINVAL;
	filter->woken = 1; /* until somebody wants to be */
	for (unsigned i = 0; i < services; i++) {
		filter->service[i].net = (uint32_t)net.st_ino;
		filter->service[i].servers = service[i].servers;
		if (service[i].port)
			filter->service_of[service[i].port] = (uint8_t)(i + 1);
	}
	return 0;
}

/* What libbpf held before was only the first content. */
static int map_shared(const struct kernel *kernel, const char *name, size_t bytes, void **out)
{
	int fd = bpf_object__find_map_fd_by_name(kernel->object, name);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	return 0;
}

static int on_wake(void *context, void *data, size_t bytes)
{
	(void)context, (void)data, (void)bytes;
	return 0;
}

static int find_maps(struct kernel *kernel)
{
	int err;

	kernel->counts = bpf_object__find_map_fd_by_name(kernel->object, "counts");
	kernel->histograms = bpf_object__find_map_fd_by_name(kernel->object, "histograms");
	kernel->count = calloc(kernel->cpus, sizeof(*kernel->count));
	kernel->histogram = calloc(kernel->cpus, sizeof(*kernel->histogram));
	if (kernel->counts < 0 || kernel->histograms < 0)
		return -ENOENT;
	kernel->wakes = ring_buffer__new(bpf_object__find_map_fd_by_name(kernel->object, "wakes"),
					 on_wake, NULL, NULL);
	if (!kernel->count || !kernel->histogram || !kernel->wakes)
		return -ENOMEM;
	err = map_shared(kernel, ".bss", sizeof(*kernel->filter), (void **)&kernel->filter);
	return err ? err
		   : map_shared(kernel, ".bss.notes", sizeof(*kernel->notes),
				(void **)&kernel->notes);
}

static struct bpf_program *program_find(const struct kernel *kernel, unsigned i)
{
	static const char *const name[PROGRAMS] = {"state_changes", "program_reads"};

	return bpf_object__find_program_by_name(kernel->object, name[i]);
}

static int attach(struct kernel *kernel)
{
	for (unsigned i = 0; i < kernel->programs; i++) {
		struct bpf_program *program = program_find(kernel, i);

		kernel->program[i] = bpf_program__fd(program);
		kernel->link[i] = bpf_program__attach(program);
		if (!kernel->link[i])
			return -errno;
	}
	return 0;
}

static int load(struct kernel *kernel, const struct kernel_service *service, unsigned services)
{
	const size_t bytes = (size_t)(kernel_object_end - kernel_object);
	int cpus = libbpf_num_possible_cpus(), err;

	if (cpus < 1)
		return -EINVAL;
	kernel->cpus = (unsigned)cpus;
	kernel->object = bpf_object__open_mem(kernel_object, bytes, NULL);
	if (!kernel->object)
		return -errno;
	err = fill_filter(kernel, service, services);
	for (unsigned i = 0; i < PROGRAMS; i++)
		bpf_program__set_autoload(program_find(kernel, i), i < kernel->programs);
	if (!err)
		err = bpf_object__load(kernel->object);
	if (!err)
		err = find_maps(kernel);
	return err ? err : attach(kernel);
}

static void explain(int err, char why[160])
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		snprintf(why, 160, "the kernel has no BTF (/sys/kernel/btf/vmlinux: %s)",
			 strerror(errno));
	else if (err == -EPERM)
		snprintf(why, 160, "BPF is not allowed: it wants CAP_BPF and CAP_PERFMON");
	else
		snprintf(why, 160, "the kernel does not take our BPF programs: %s", strerror(-err));
}

int kernel_open(struct kernel **out, const struct kernel_service *service, unsigned services,
		bool requests, char why[160])
{
	struct kernel *kernel;
	int err;

	if (services < 1 || services > KERNEL_SERVICES_MAX)
		return -EINVAL;
	kernel = calloc(1, sizeof(*kernel));
	if (!kernel) {
		explain(-ENOMEM, why);
		return -ENOMEM;
	}
	kernel->programs = requests ? PROGRAMS : 1;
	libbpf_set_print(quiet);
	err = load(kernel, service, services);
	if (err < 0) {
		explain(err, why);
		kernel_close(kernel);
		return err;
	}
	*out = kernel;
	return 0;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	for (unsigned i = 0; i < PROGRAMS; i++)
		bpf_link__destroy(kernel->link[i]);
	ring_buffer__free(kernel->wakes);
	bpf_object__close(kernel->object);
	if (kernel->filter)
		munmap(kernel->filter, sizeof(*kernel->filter));
	if (kernel->notes)
		munmap(kernel->notes, sizeof(*kernel->notes));
	free(kernel->histogram);
	free(kernel->count);
	free(kernel);
}

/* Both maps' values are arrays of __u64, and of each the sum is wanted. */
static int read_sum(int map, unsigned service, uint64_t *each, unsigned cpus, uint64_t *out,
		    size_t bytes)
{
	const size_t words = bytes / sizeof(uint64_t);

	if (bpf_map_lookup_elem(map, &service, each) < 0)
		return -errno;
	memset(out, 0, bytes);
	for (unsigned i = 0; i < cpus; i++)
		for (size_t j = 0; j < words; j++)
			out[j] += each[i * words + j];
	return 0;
}

int kernel_read(struct kernel *kernel, unsigned service, struct kernel_counts *out)
{
	const struct kernel_watched *watched = &kernel->filter->service[service];
	int err = read_sum(kernel->counts, service, (uint64_t *)kernel->count, kernel->cpus,
			   (uint64_t *)out, sizeof(*out));

	if (err < 0)
		return err;
	out->completions = (uint64_t)__atomic_load_n(&watched->completions, __ATOMIC_ACQUIRE);
	out->arrivals = (uint64_t)__atomic_load_n(&watched->arrivals, __ATOMIC_RELAXED);
	return 0;
}

int kernel_histogram(struct kernel *kernel, unsigned service, struct kernel_histogram *out)
{
	return read_sum(kernel->histograms, service, (uint64_t *)kernel->histogram, kernel->cpus,
			(uint64_t *)out, sizeof(*out));
}

uint64_t kernel_missed(const struct kernel *kernel)
{
	uint64_t missed = 0;

	for (unsigned i = 0; i < kernel->programs; i++) {
		struct bpf_prog_info info = {0};
		uint32_t bytes = sizeof(info);

		if (bpf_obj_get_info_by_fd(kernel->program[i], &info, &bytes) == 0)
			missed += info.recursion_misses;
	}
	return missed;
}

static int64_t present_now(const struct kernel *kernel, unsigned service)
{
	const struct kernel_watched *watched = &kernel->filter->service[service];
	int64_t completions = __atomic_load_n(&watched->completions, __ATOMIC_ACQUIRE);

	return watched->corrections + __atomic_load_n(&watched->arrivals, __ATOMIC_RELAXED) -
	       completions;
}

uint32_t kernel_present(const struct kernel *kernel, unsigned service)
{
	int64_t present = present_now(kernel, service);

	return present > 0 ? (uint32_t)present : 0; /* not in line yet */
}

void kernel_time(struct kernel *kernel, unsigned service, double per_s)
{
	uint32_t untimed = 0;

	while (untimed < UNTIMED_MOST && per_s > TIMED_PER_S * (untimed + 1.0))
		untimed = untimed * 2 + 1;
	__atomic_store_n(&kernel->filter->service[service].untimed, untimed, __ATOMIC_RELAXED);
}

int kernel_wake_fd(const struct kernel *kernel)
{
	return ring_buffer__epoll_fd(kernel->wakes);
}

void kernel_wake_at(struct kernel *kernel, unsigned service, int64_t above, int64_t below)
{
	struct kernel_watched *watched = &kernel->filter->service[service];

	__atomic_store_n(&watched->above, above, __ATOMIC_RELAXED);
	__atomic_store_n(&watched->below, below, __ATOMIC_RELAXED);
}

void kernel_wake_again(struct kernel *kernel)
{
	ring_buffer__consume(kernel->wakes);
	__atomic_store_n(&kernel->filter->woken, 0, __ATOMIC_RELEASE);
}

static void want_notes(struct kernel *kernel, uint32_t wanted)
{
	for (unsigned i = 0; i < KERNEL_SERVICES_MAX; i++)
		__atomic_store_n(&kernel->filter->service[i].noted, wanted, __ATOMIC_SEQ_CST);
}

void kernel_note(struct kernel *kernel)
{
	__atomic_store_n(&kernel->notes->count, 0, __ATOMIC_RELAXED);
	want_notes(kernel, 1);
}

/* The programs note first and count then: a count that stays, stays for the numbers, too. */
int kernel_noted(struct kernel *kernel, struct kernel_noted *out)
{
	const struct kernel_notes *notes = kernel->notes;
	uint32_t count;

	do {
		count = __atomic_load_n(&notes->count, __ATOMIC_SEQ_CST);
		for (unsigned i = 0; i < KERNEL_SERVICES_MAX; i++)
			out->present[i] = present_now(kernel, i);
	} while (count != __atomic_load_n(&notes->count, __ATOMIC_SEQ_CST));
	want_notes(kernel, 0);
	out->note = notes->note;
	out->notes = count;
	return count <= KERNEL_NOTES ? 0 : -ENOBUFS;
}

void kernel_correct(struct kernel *kernel, unsigned service, int64_t by)
{
	__atomic_fetch_add(&kernel->filter->service[service].corrections, by, __ATOMIC_RELAXED);
}
