/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many simulated sites, whose reports are really signed: each in time for the moment that it says
 * it was measured at, but before the sending begins, since a core signs less than it verifies.
 *
 *	sites config --sites N     the `services` and `sites` of an edge, as YAML
 *	sites send --sites N ...   their reports, evenly spread over time, by UDP or on a bus
 *	sites signatures           how many signatures of reports libsodium verifies in a second of
 *				   a core's time: more than that a receiver cannot apply
 *
 * Sites stand in groups of 50, and each offers the SERVICES of its group, so that a service has 50
 * sites. Keys follow from a site's number. Loads wander at random, so that weights change.
 */
#include "control/clock.h"
#include "control/telemetry/bus.h"
#include "control/telemetry/codec.h"
#include "control/telemetry/draft.h"
#include <argp.h>
#include <errno.h>
#include <error.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GROUP 50
#define SERVERS 8
#define SERVICES_MAX 64
#define TRIES 100 /* signatures, to see how long one takes, */
#define TURNS 5	  /* so often */
#define BUSES_MAX 8

struct site {
	struct key key;
	uint8_t pair[CODEC_PAIR_BYTES];
	double utilisation[SERVICES_MAX];
	uint64_t arrivals[SERVICES_MAX];
};

struct message {
	uint16_t bytes;
	uint8_t data[CODEC_DATAGRAM_MAX];
};

static unsigned sites = 100, services = 20, rate = 10, seconds = 5, valid_ms = 500;
static const char *mode, *edge, *edge_key, *server[BUSES_MAX];
static unsigned servers;

static void make_key(unsigned i, struct key *key)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	char text[32];

	snprintf(text, sizeof(text), "suanlu lab site %u", i);
	crypto_generichash(seed, sizeof(seed), (uint8_t *)text, strlen(text), NULL, 0);
	crypto_sign_seed_keypair(key->public, key->secret, seed);
}

static void print_service(unsigned group, unsigned k)
{
	unsigned number = group * services + k;
	unsigned end = (group + 1) * GROUP < sites ? (group + 1) * GROUP : sites;

	printf("  - {name: g%us%u, ipv4: 192.0.%u.%u, protocol: tcp, port: 80, sites: [", group, k,
	       2 + number / 250, 1 + number % 250);
	for (unsigned i = group * GROUP; i < end; i++)
		printf("%st%u", i == group * GROUP ? "" : ", ", i);
	printf("]}\n");
}

static void print_config(void)
{
	printf("services:\n");
	for (unsigned group = 0; group * GROUP < sites; group++)
		for (unsigned k = 0; k < services; k++)
			print_service(group, k);
	printf("sites:\n");
	for (unsigned i = 0; i < sites; i++) {
		char text[SL_KEY_TEXT];
		struct key key;

		make_key(i, &key);
		key_print_public(key.public, text);
		printf("  - {name: t%u, key: %s, sid: \"fc00:a:%x:4::1\", delay_ms: %.1f, "
		       "servers: %u}\n",
		       i, text, i, 1 + i * 7 % 20 * 0.5, SERVERS);
	}
}

static double chance(void)
{
	return (double)random() / RAND_MAX;
}

static void fill_load(struct site *site, unsigned group, unsigned k, char name[16],
		      struct sl_load *load)
{
	double *at = &site->utilisation[k];

	*at = fmin(0.95, fmax(0.1, *at + 0.2 * (chance() - 0.5)));
	snprintf(name, 16, "g%us%u", group, k);
	site->arrivals[k] += (uint64_t)(*at * SERVERS / 0.02 / rate);
	*load = (struct sl_load){.service = name,
				 .servers = SERVERS,
				 .service_time_s = 0.02 * (0.9 + 0.2 * chance()),
				 .service_scv = 1,
				 .in_flight = (uint32_t)(*at * SERVERS + 0.5),
				 .queued = *at > 0.8 ? (uint32_t)(10 * chance()) : 0,
				 .arrivals_per_s = *at * SERVERS / 0.02,
				 .completions_per_s = *at * SERVERS / 0.02,
				 .arrivals = site->arrivals[k],
				 .completions = site->arrivals[k],
				 .cpu_utilisation = -1};
}

static void sign(struct site *site, unsigned i, uint64_t at_us, struct message *out)
{
	struct sl_load load[SERVICES_MAX];
	char name[SERVICES_MAX][16];
	struct sl_report report = {
		.measured_at_us = at_us, .valid_for_ms = valid_ms, .load = load, .loads = services};
	struct draft draft;
	Suanlu__Report whole;
	int bytes;

	for (unsigned k = 0; k < services; k++)
		fill_load(site, i / GROUP, k, name[k], &load[k]);
	if (draft_init(&draft, &report, at_us) < 0)
		error(1, 0, "no memory");
	whole = draft_slice(&draft, 0, draft.entries);
	whole.sequence = at_us;
	bytes = codec_sign(&site->key, &whole, out->data);
	if (bytes < 0)
		error(1, 0, "%u services are more than a report has room for", services);
	draft_free(&draft);
	out->bytes = (uint16_t)bytes;
	if (edge)
		codec_tag(site->pair, out->data, out->bytes,
			  out->data + offsetof(struct codec_header, tag));
}

static void wait_until(uint64_t at_us)
{
	struct timespec at = {(time_t)(at_us / 1000000), (long)(at_us % 1000000 * 1000)};

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int open_socket(void)
{
	struct sockaddr_storage address;
	int bytes = key_parse_address(edge, &address);
	int fd = bytes < 0 ? -1 : socket(address.ss_family, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, (socklen_t)bytes) < 0)
		error(1, errno, "%s", edge);
	return fd;
}

static struct bus *open_bus(void)
{
	const struct sl_bus config = {.server = server, .servers = servers};
	char why[BUS_ERROR_TEXT];
	struct bus *bus;

	if (bus_open(&bus, &config, "lab-sites", NULL, NULL, why) < 0 || bus_start(bus) < 0)
		error(1, 0, "%s", why);
	if (bus_flush(bus, 5000) < 0)
		error(1, 0, "no bus at %s", server[0]);
	return bus;
}

/* One message, of site `i`. */
static bool put(int fd, struct bus *bus, unsigned i, const struct message *message)
{
	struct subject subject = {.kind = SUBJECT_SITE};

	if (!bus)
		return send(fd, message->data, message->bytes, 0) == message->bytes;
	snprintf(subject.name, sizeof(subject.name), "t%u", i);
	return bus_publish(bus, &subject, message->data, message->bytes) == 0;
}

static struct site *make_sites(void)
{
	struct site *site = calloc(sites, sizeof(*site));
	uint8_t key[KEY_PUBLIC_BYTES];

	if (!site || (edge && key_parse_public(edge_key, key) < 0))
		error(1, 0, "no memory, or not the key of an edge");
	for (unsigned i = 0; i < sites; i++) {
		make_key(i, &site[i].key);
		if (edge && codec_pair(&site[i].key, key, site[i].pair) < 0)
			error(1, 0, "not the key of an edge");
		for (unsigned k = 0; k < services; k++)
			site[i].utilisation[k] = 0.2 + 0.6 * chance();
	}
	return site;
}

/* When all can have been signed, also on a machine that has other things to do. */
static uint64_t start_time(struct site *site, size_t total)
{
	uint64_t took_us = UINT64_MAX;
	struct message message;

	/* the quickest turn: in another one the machine may have done something else */
	for (unsigned turn = 0; turn < TURNS; turn++) {
		uint64_t begun_us = clock_unix_us();

		for (unsigned i = 0; i < TRIES; i++)
			sign(&site[i % sites], i % sites, begun_us, &message);
		if (clock_unix_us() - begun_us < took_us)
			took_us = clock_unix_us() - begun_us;
	}
	return clock_unix_us() + 500000 + 6 * total * took_us / TRIES;
}

static void send_all(void)
{
	size_t total = (size_t)sites * rate * seconds, lost = 0;
	struct message *message = calloc(total, sizeof(*message));
	struct site *site = make_sites();
	uint64_t start_us = start_time(site, total), late_us = 0;
	double step_us = 1e6 / sites / rate;
	struct bus *bus = servers ? open_bus() : NULL;
	int fd = bus ? -1 : open_socket();

	if (!message)
		error(1, 0, "no memory for %zu reports", total);
	for (size_t i = 0; i < total; i++)
		sign(&site[i % sites], i % sites, start_us + (uint64_t)((double)i * step_us),
		     &message[i]);
	if (clock_unix_us() > start_us)
		error(1, 0, "signing took six times as long as it did at first");
	wait_until(start_us);
	printf("ready\n");
	fflush(stdout);
	for (size_t i = 0; i < total; i++) {
		uint64_t at_us = start_us + (uint64_t)((double)i * step_us);

		wait_until(at_us);
		lost += !put(fd, bus, (unsigned)(i % sites), &message[i]);
		if (clock_unix_us() - at_us > late_us)
			late_us = clock_unix_us() - at_us;
	}
	if (bus)
		bus_flush(bus, 1000);
	bus_close(bus);
	free(site);
	free(message);
	printf("{\"sent\": %zu, \"lost\": %zu, \"late_ms\": %.3f}\n", total - lost, lost,
	       (double)late_us / 1000);
}

static void verify_signatures(void)
{
	struct site *site = make_sites();
	uint8_t signature[crypto_sign_BYTES];
	struct message message;
	uint64_t begun_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID), used_ns = 0;
	unsigned valid = 0;

	sign(site, 0, clock_unix_us(), &message);
	crypto_sign_detached(signature, NULL, message.data, message.bytes, site->key.secret);
	while (used_ns < (uint64_t)seconds * 1000000000) {
		valid += crypto_sign_verify_detached(signature, message.data, message.bytes,
						     site->key.public) == 0;
		used_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begun_ns;
	}
	printf("%.0f\n", valid * 1e9 / (double)used_ns);
	free(site);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'n':
		sites = (unsigned)atoi(argument);
		return 0;
	case 's':
		services = (unsigned)atoi(argument);
		return 0;
	case 'r':
		rate = (unsigned)atoi(argument);
		return 0;
	case 't':
		seconds = (unsigned)atoi(argument);
		return 0;
	case 'v':
		valid_ms = (unsigned)atoi(argument);
		return 0;
	case 'e':
		edge = argument;
		return 0;
	case 'k':
		edge_key = argument;
		return 0;
	case 'b':
		if (servers == BUSES_MAX)
			argp_error(state, "more than %d servers", BUSES_MAX);
		server[servers++] = argument;
		return 0;
	case ARGP_KEY_ARG:
		mode = argument;
		return 0;
	case ARGP_KEY_END:
		if (!mode || sites == 0 || services == 0 || services > SERVICES_MAX || rate == 0)
			argp_error(state,
				   "expected config, send or signatures, and numbers in range");
		if (strcmp(mode, "send") == 0 && !servers && (!edge || !edge_key))
			argp_error(state, "send: expected --edge and --edge-key, or --bus");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"sites", 'n', "N", 0, "how many (100)", 0},
	{"services", 's', "N", 0, "of each (20)", 0},
	{"rate", 'r', "N", 0, "reports a second of each (10)", 0},
	{"seconds", 't', "N", 0, "to send (5)", 0},
	{"valid-for-ms", 'v', "N", 0, "of each report (500)", 0},
	{"edge", 'e', "ADDR:PORT", 0, "by UDP", 0},
	{"edge-key", 'k', "BASE64", 0, "its public key", 0},
	{"bus", 'b', "URL", 0, "by NATS; may be repeated", 0},
	{0},
};

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "config|send|signatures", "Many simulated sites.", 0, 0, 0};

	if (sodium_init() < 0)
		error(1, 0, "libsodium does not start");
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	srandom(1);
	if (strcmp(mode, "config") == 0)
		print_config();
	else if (strcmp(mode, "signatures") == 0)
		verify_signatures();
	else
		send_all();
	return 0;
}
