/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libsuanlu: publish the load of a data centre to suanlu edges.
 *
 *	struct sl_publisher *p;
 *	if (sl_publisher_open(&p, "/etc/suanlu/site.key") < 0) ...
 *	sl_publisher_add(p, "[2001:db8::1]:7801", "BASE64 PUBLIC KEY OF THE EDGE");
 *	struct sl_load load = {.service = "infer", .servers = 8, ...};
 *	sl_publish(p, &(struct sl_report){.load = &load, .loads = 1});
 *
 * Not thread-safe: one publisher per thread, each with its own key, or a lock. Functions
 * return 0 or -errno; sl_publisher_error gives the reason in words. Nothing blocks but
 * sl_publisher_flush.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SL_KEY_TEXT 45 /* a base64 key with its final NUL */

struct sl_publisher;

struct sl_latency {
	double quantile; /* 0..1 */
	double latency_s;
};

/*
 * One number of draft-ietf-cats-metric-definition, section 4.1. Texts may be NULL, and are
 * otherwise at most 64 printable characters (type: 31, no blanks).
 */
struct sl_metric {
	const char *type;	/* "compute_cpu", "delay_raw", ...; required */
	uint32_t level;		/* 0, 1 or 2 */
	const char *format;	/* "float", "int" */
	const char *unit;	/* "none", "s", "byte", ... */
	const char *source;	/* "directly measured", "estimation", "aggregation", ... */
	const char *statistics; /* "cur", "mean", "max", "min" */
	uint32_t window_ms;	/* over which; 0: not said */
	double value;
};

/* One service at this site; see telemetry.proto for the meaning of each field. */
struct sl_load {
	const char *service;
	uint32_t servers;
	double service_time_s;
	double service_scv; /* negative: unknown */
	uint32_t in_flight, queued;
	double arrivals_per_s, completions_per_s;
	uint64_t arrivals, completions;
	double cpu_utilisation; /* negative: unknown */
	const struct sl_latency *latency;
	size_t latencies; /* at most 16 */
	const struct sl_metric *metric;
	size_t metrics; /* at most 16, and so few that the service fits into 1,400 bytes */
};

struct sl_site_flows {
	const char *site;
	uint64_t sent, closed;
};

struct sl_demand {
	const char *service;
	double new_flows_per_s;
	uint64_t new_flows;
	const struct sl_site_flows *site;
	size_t sites; /* so few that the service fits into 1,400 bytes: 16 always do */
};

/* delay_s, link_s and the rest as in telemetry.proto; an edge's or a transit node's. */
struct sl_path {
	const char *site;
	double delay_s;
	bool drained; /* nothing new goes there from here */
	double link_s;
};

struct sl_offer {
	const char *service;
	uint32_t servers;
};

/* What a site offers, to edges that do not have it in their configuration (telemetry.proto). */
struct sl_announcement {
	const char *site;
	const struct sl_offer *offer;
	size_t offers;		    /* at most 32 */
	const uint8_t *sid4, *sid6; /* 16 bytes each; NULL: not reached in that family */
	const uint8_t *approval;    /* a SignedApproval, of `suanlu approve` */
	size_t approval_bytes;
};

struct sl_report {
	uint64_t measured_at_us; /* 0: now */
	uint32_t valid_for_ms;	 /* 0: 500 */
	const char *const *label;
	size_t labels;
	double price_per_hour, pue; /* 0: not said */
	const struct sl_load *load;
	size_t loads;
	const struct sl_demand *demand;
	size_t demands;
	const struct sl_path *path;
	size_t paths;
	const struct sl_announcement *announcement; /* then no loads, demands or paths */
};

/* Reads a key made by `suanlu keygen`. -EACCES, -ENOENT, -EINVAL (not a key). */
int sl_publisher_open(struct sl_publisher **out, const char *key_file);
void sl_publisher_close(struct sl_publisher *publisher);

/* Another receiver: "ADDRESS:PORT" or "[ADDRESS]:PORT", its public key in base64. */
int sl_publisher_add(struct sl_publisher *publisher, const char *address, const char *public_key);

/* A bus to publish on beside or instead of receivers: NATS (control/telemetry/subject.h). */
struct sl_bus {
	const char *const *server; /* "nats://HOST:PORT", "tls://HOST:PORT" */
	size_t servers;
	/* PEM files, NULL: the system's authorities, no certificate of our own */
	const char *ca_file, *certificate_file, *certificate_key_file;
	const char *server_name; /* in the servers' certificates; NULL: as in the URL, no address */
	const char *credentials_file; /* of NATS (.creds), NULL: none, or in the server's URL */
};

/*
 * Connects in the background, and again whenever that is lost. `name` is the site's name at the
 * edges. -EINVAL: something of the configuration is wrong; -EEXIST: there is a bus already.
 */
int sl_publisher_add_bus(struct sl_publisher *publisher, const struct sl_bus *bus,
			 const char *name);

/* What the last sl_publish met at the bus: 0, or -ENOTCONN while it is not connected. */
int sl_publisher_bus_error(const struct sl_publisher *publisher);

/* For a program that publishes once and ends: waits until the bus is connected and its server
 * has all that was published. 0, at once without a bus; -ETIMEDOUT. */
int sl_publisher_flush(struct sl_publisher *publisher, unsigned timeout_ms);

/*
 * Signs once and sends to every receiver, in as many reports as the services need.
 * Returns 0 if every receiver's datagrams were handed to the kernel (the bus's to its
 * connection), else the first -errno; the other receivers still got theirs. An unreachable receiver
 * is not fatal. -EINVAL: a value that every receiver would refuse as implausible, and nothing was
 * sent.
 */
int sl_publish(struct sl_publisher *publisher, const struct sl_report *report);

/* Why the last call failed, one line; valid until the next call. NULL: why the last
 * sl_publisher_open, sl_keygen or sl_key_public of this thread failed. */
const char *sl_publisher_error(const struct sl_publisher *publisher);

/* What the last sl_publish met at a receiver (0: the first that was added): 0 or -errno.
 * -ECONNREFUSED: an earlier datagram found nobody listening; the last was sent again. */
int sl_publisher_receiver_error(const struct sl_publisher *publisher, size_t receiver);

/* A new key pair: the secret into `file` (mode 0600, never overwrites: -EEXIST), the
 * public key in base64 into `public_key`. */
int sl_keygen(const char *file, char public_key[SL_KEY_TEXT]);

/* The public key, base64, that belongs to the secret in `file`. */
int sl_key_public(const char *file, char public_key[SL_KEY_TEXT]);

#ifdef __cplusplus
}
#endif
