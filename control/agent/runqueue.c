/* SPDX-License-Identifier: BSD-3-Clause */
#include "runqueue.h"
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define FIND_NS (30 * NS_PER_S)
#define FIND_SHARE 2000 /* of the time at most, on hosts with very many open files */
#define THREADS_MAX 4096

static bool holds(int pid, const char *socket)
{
	char path[300], target[64];
	bool found = false;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		bytes = readlink(path, target, sizeof(target) - 1);
		target[bytes > 0 ? bytes : 0] = '\0';
		found = strcmp(target, socket) == 0;
	}
	if (folder)
		closedir(folder);
	return found;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

static void find_processes(struct runqueue *runqueue)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	char socket[64];

	snprintf(socket, sizeof(socket), "socket:[%" PRIu32 "]", runqueue->inode);
	runqueue->pids = 0;
	while (folder && runqueue->pids < RUNQUEUE_PROCESSES_MAX && (entry = readdir(folder)))
		if (isdigit((unsigned char)*entry->d_name) && holds(atoi(entry->d_name), socket))
			runqueue->pid[runqueue->pids++] = atoi(entry->d_name);
	if (folder)
		closedir(folder);
}

static void add_thread(int pid, const char *thread, uint64_t *waited_ns, uint64_t *turns)
{
	uint64_t ran, waited, times;
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ran, &waited, &times) == 3) {
		*waited_ns += waited;
		*turns += times;
	}
	fclose(file);
}

static void add_process(int pid, uint64_t *waited_ns, uint64_t *turns)
{
	char path[64];
	struct dirent *entry;
	unsigned threads = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	while (folder && threads < THREADS_MAX && (entry = readdir(folder)))
		if (isdigit((unsigned char)*entry->d_name)) {
			add_thread(pid, entry->d_name, waited_ns, turns);
			threads++;
		}
	if (folder)
		closedir(folder);
}

void runqueue_sample(struct runqueue *runqueue, uint32_t inode, uint64_t now_ns)
{
	const bool again = runqueue->inode != inode ||
			   now_ns - runqueue->found_ns > FIND_NS + FIND_SHARE * runqueue->find_ns;
	uint64_t waited_ns = 0, turns = 0;

	if (!again && now_ns - runqueue->from_ns < NS_PER_S)
		return;
	if (again) {
		runqueue->inode = inode;
		runqueue->pids = 0;
		runqueue->found_ns = now_ns;
		runqueue->find_ns = thread_cpu_ns();
		if (inode)
			find_processes(runqueue);
		runqueue->find_ns = thread_cpu_ns() - runqueue->find_ns;
	}
	for (unsigned i = 0; i < runqueue->pids; i++)
		add_process(runqueue->pid[i], &waited_ns, &turns);
	runqueue->wait_s = -1;
	/* threads that ended take their sums with them: then there is no window */
	if (!again && turns > runqueue->turns && waited_ns >= runqueue->waited_ns)
		runqueue->wait_s = (double)(waited_ns - runqueue->waited_ns) /
				   (double)(turns - runqueue->turns) / 1e9;
	runqueue->waited_ns = waited_ns;
	runqueue->turns = turns;
	runqueue->from_ns = now_ns;
}
