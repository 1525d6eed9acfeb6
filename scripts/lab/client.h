/* SPDX-License-Identifier: BSD-3-Clause */
/* What the modes of the lab's client (client.c) are told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#define CLIENT_TARGETS_MAX 8

struct client_options {
	struct sockaddr_storage target[CLIENT_TARGETS_MAX]; /* taken in turn */
	unsigned targets;
	double seconds;
	uint64_t timeout_us;
	const char *log_name; /* NULL: none */
	/* load */
	const char *path;
	double rate_per_s;
	bool constant; /* else Poisson */
	uint64_t seed;
	/* hold */
	unsigned connections;
	uint64_t interval_us; /* between two records of a connection */
	bool reopen;	      /* another one in the place of one that broke */
};

/* Set by SIGINT and SIGTERM: no new work, then report as at the end. */
extern volatile bool client_stopped;

/* Both return the exit status. */
int load_run(const struct client_options *options);
int hold_run(const struct client_options *options);

/* A non-blocking connection under way, or -1 with errno. */
int client_connect(const struct sockaddr_storage *target);

static inline uint64_t client_now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}
