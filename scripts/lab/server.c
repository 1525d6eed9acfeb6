/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A compute server of the lab: WORKERS threads, each of which accepts by itself, works, answers
 * and closes; so clients that wait sit in the kernel's accept backlog, as with many model
 * servers, and parallelism is bounded.
 *
 *	GET /work              log-normal work of the given mean and squared variation (SCV)
 *	GET /download?bytes=N  N bytes drawn from the seed; X-Checksum is their BLAKE2b-256
 *	PUT or POST /upload    answers with the BLAKE2b-256 of the body
 *
 * Work is *timed*: the thread sleeps. The lab's machine has too few cores to burn those of
 * three sites, and a sleeping server still queues as a busy one does.
 *
 * On --hold-port (hold.c) any number of long-lived connections carry a trickle of data.
 *
 * --log FILE gets a line per request: arrival (of the request at this host, Unix time, from
 * TCP_INFO, so to the millisecond), start, end, all in microseconds, status, target.
 */
#include "hold.h"
#include "http.h"
#include <argp.h>
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHECKSUM_BYTES 32
#define CHUNK_BYTES (1 << 20)
#define DOWNLOAD_MAX (1ULL << 32)
#define WORKERS_MAX 1024

static struct {
	const char *site;
	uint16_t port, hold_port;
	int backlog;
	unsigned workers;
	double mean_s, scv;
	uint64_t seed;
	const char *log_name;
} options = {.site = "site", .port = 80, .backlog = 4096, .workers = 4, .mean_s = 0.03, .scv = 1};

static int listener;
static FILE *log_file;

struct worker {
	pthread_t thread;
	struct drand48_data random;
	struct http_request request;
	uint8_t chunk[CHUNK_BYTES];
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* Log-normal: mean m and SCV c make sigma^2 = ln(1 + c), mu = ln m - sigma^2 / 2. */
static double work_draw_s(struct worker *worker)
{
	double sigma2 = log1p(options.scv), u, v, normal;

	drand48_r(&worker->random, &u);
	drand48_r(&worker->random, &v);
	normal = sqrt(-2 * log1p(-u)) * cos(2 * M_PI * v);
	return exp(log(options.mean_s) - sigma2 / 2 + sqrt(sigma2) * normal);
}

static int answer_work(struct worker *worker, int fd)
{
	double work_s = work_draw_s(worker);
	struct timespec wait = {(time_t)work_s, (work_s - floor(work_s)) * 1e9};
	char body[128];
	int bytes = snprintf(body, sizeof(body), "{\"site\": \"%s\", \"work_ms\": %.3f}\n",
			     options.site, work_s * 1e3);

	nanosleep(&wait, NULL);
	return http_send_head(fd, 200, options.site, bytes, "Content-Type: application/json\r\n") &&
			       http_send(fd, body, bytes)
		       ? 200
		       : 0;
}

/* The bytes are a function of seed and place, so two passes see the same ones. */
static void chunk_fill(struct worker *worker, uint64_t chunk)
{
	uint8_t seed[randombytes_SEEDBYTES] = {};

	memcpy(seed, &options.seed, sizeof(options.seed));
	memcpy(seed + 8, &chunk, sizeof(chunk));
	randombytes_buf_deterministic(worker->chunk, CHUNK_BYTES, seed);
}

static int answer_download(struct worker *worker, int fd, uint64_t bytes)
{
	uint8_t sum[CHECKSUM_BYTES];
	char text[2 * CHECKSUM_BYTES + 1], extra[128];
	crypto_generichash_state state;
	bool sent;

	crypto_generichash_init(&state, NULL, 0, CHECKSUM_BYTES);
	for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
		chunk_fill(worker, at / CHUNK_BYTES);
		crypto_generichash_update(&state, worker->chunk,
					  bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
	}
	crypto_generichash_final(&state, sum, sizeof(sum));
	snprintf(extra, sizeof(extra), "X-Checksum: %s\r\n",
		 sodium_bin2hex(text, sizeof(text), sum, sizeof(sum)));
	sent = http_send_head(fd, 200, options.site, bytes, extra);
	for (uint64_t at = 0; at < bytes && sent; at += CHUNK_BYTES) {
		chunk_fill(worker, at / CHUNK_BYTES);
		sent = http_send(fd, worker->chunk,
				 bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
	}
	return sent ? 200 : 0;
}

static void body_hash(void *context, const uint8_t *data, size_t bytes)
{
	crypto_generichash_update(context, data, bytes);
}

static int answer_upload(struct worker *worker, int fd)
{
	uint8_t sum[CHECKSUM_BYTES];
	char text[2 * CHECKSUM_BYTES + 2];
	crypto_generichash_state state;

	if (worker->request.expects_continue && !http_send_head(fd, 100, options.site, 0, ""))
		return 0;
	crypto_generichash_init(&state, NULL, 0, CHECKSUM_BYTES);
	if (!http_read_body(fd, &worker->request, body_hash, &state))
		return 0;
	crypto_generichash_final(&state, sum, sizeof(sum));
	sodium_bin2hex(text, sizeof(text), sum, sizeof(sum));
	text[2 * CHECKSUM_BYTES] = '\n';
	return http_send_head(fd, 200, options.site, sizeof(text) - 1, "") &&
			       http_send(fd, text, sizeof(text) - 1)
		       ? 200
		       : 0;
}

static int answer_error(int fd, int status)
{
	http_send_head(fd, status, options.site, 0, "");
	return status;
}

static int answer(struct worker *worker, int fd, int status)
{
	const char *method = worker->request.method, *target = worker->request.target;
	uint64_t bytes;
	char rest;

	if (status)
		return answer_error(fd, status);
	if (!strcmp(target, "/upload") && (!strcmp(method, "PUT") || !strcmp(method, "POST")))
		return worker->request.has_length ? answer_upload(worker, fd)
						  : answer_error(fd, 411);
	if (!strcmp(method, "GET") && !strcmp(target, "/work"))
		return answer_work(worker, fd);
	if (!strcmp(method, "GET") &&
	    sscanf(target, "/download?bytes=%" SCNu64 "%c", &bytes, &rest) == 1)
		return bytes <= DOWNLOAD_MAX ? answer_download(worker, fd, bytes)
					     : answer_error(fd, 400);
	return answer_error(fd, 404);
}

static uint64_t request_age_us(int fd)
{
	struct tcp_info info = {};
	socklen_t bytes = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes);
	return info.tcpi_last_data_recv * 1000ULL;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct timeval patience = {.tv_sec = 10};
	uint64_t start_us, arrival_us;
	int fd, status;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		start_us = now_us();
		arrival_us = start_us - request_age_us(fd);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		status = http_read_head(fd, &worker->request);
		if (status >= 0)
			status = answer(worker, fd, status);
		shutdown(fd, SHUT_WR);
		close(fd);
		if (log_file)
			fprintf(log_file, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%d\t%s\n",
				arrival_us, start_us, now_us(), status, worker->request.target);
	}
	return NULL;
}

static int server_listen(uint16_t port, int backlog)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1, zero = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, backlog) < 0)
		error(1, errno, "port %d", port);
	return fd;
}

static error_t option(int key, char *arg, struct argp_state *state)
{
	(void)state;
	switch (key) {
	case 's':
		options.site = arg;
		return 0;
	case 'p':
		options.port = atoi(arg);
		return 0;
	case 'h':
		options.hold_port = atoi(arg);
		return 0;
	case 'b':
		options.backlog = atoi(arg);
		return 0;
	case 'w':
		options.workers = atoi(arg);
		if (options.workers < 1 || options.workers > WORKERS_MAX)
			argp_error(state, "expected 1 to %d workers", WORKERS_MAX);
		return 0;
	case 'm':
		options.mean_s = atof(arg) / 1e3;
		return 0;
	case 'v':
		options.scv = atof(arg);
		return 0;
	case 'r':
		options.seed = strtoull(arg, NULL, 10);
		return 0;
	case 'l':
		options.log_name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{"site", 's', "NAME", 0, "Answered as X-Site", 0},
	{"port", 'p', "PORT", 0, "Default 80", 0},
	{"hold-port", 'h', "PORT", 0, "Long-lived connections (default none)", 0},
	{"backlog", 'b', "N", 0, "Connections that may wait (default 4096)", 0},
	{"workers", 'w', "N", 0, "Requests worked on at the same time (default 4)", 0},
	{"mean", 'm', "MS", 0, "Mean work (default 30)", 0},
	{"scv", 'v', "C", 0, "Squared coefficient of variation of the work (default 1)", 0},
	{"seed", 'r', "N", 0, "Of work and downloads (default 0)", 0},
	{"log", 'l', "FILE", 0, "A line per request", 0},
	{}};

int main(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options, option, NULL, "A compute server with bounded parallelism.", 0, 0, 0};
	struct worker *worker;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (sodium_init() < 0)
		error(1, 0, "libsodium does not start");
	if (options.log_name) {
		log_file = fopen(options.log_name, "ae");
		if (!log_file)
			error(1, errno, "%s", options.log_name);
		setvbuf(log_file, NULL, _IOLBF, 0);
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1000UL);
	listener = server_listen(options.port, options.backlog);
	if (options.hold_port)
		hold_start(server_listen(options.hold_port, options.backlog), options.site);
	worker = calloc(options.workers, sizeof(*worker));
	for (unsigned i = 0; worker && i < options.workers; i++) {
		srand48_r(options.seed * WORKERS_MAX + i, &worker[i].random);
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			error(1, 0, "thread %u of %u does not start", i, options.workers);
	}
	printf("ready\n");
	fflush(stdout);
	pause();
	return 0;
}
