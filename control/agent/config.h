/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The agent's configuration (default /etc/suanlu/agent.yaml). Like config.h of a node:
 * either every field is checked and every default filled in, or error->text says file, line,
 * key and what was expected.
 */
#pragma once

#include "../telemetry/approval.h"
#include "mapping.h"
#include <stddef.h>
#include <stdint.h>
#include <suanlu/config.h>
#include <suanlu/publish.h>

#define AGENT_CONFIG_FILE "/etc/suanlu/agent.yaml"
#define AGENT_SERVICES_MAX 64
#define AGENT_EDGES_MAX 64

enum agent_source {
	AGENT_SOURCE_AUTO,    /* kernel, where it can be had, else sockets */
	AGENT_SOURCE_KERNEL,  /* BPF: every connection is timed */
	AGENT_SOURCE_SOCKETS, /* sock_diag: connections are looked at 100 times a second */
	AGENT_SOURCE_METRICS, /* a Prometheus endpoint */
	AGENT_SOURCE_ORCA,    /* a JSON load report of ORCA */
	AGENT_SOURCE_STDIN,   /* JSON lines on standard input */
};

struct agent_service {
	char name[SL_NAME_MAX];
	uint8_t protocol; /* IPPROTO_TCP */
	uint16_t port;	  /* 0: it is not watched */
	uint32_t servers; /* flows that the program works on at the same time */
	enum agent_source source;
	bool requests;		      /* count those within connections, too */
	struct mapping_config scrape; /* url NULL: no endpoint */
	uint32_t scrape_ms;
};

/* Its connections are watched: not only an endpoint asked. */
static inline bool agent_watches(const struct agent_service *service)
{
	return service->source <= AGENT_SOURCE_SOCKETS;
}

/* An edge that gets the reports. */
struct agent_edge {
	char *to; /* "[2001:db8::1]:7801" */
	uint8_t key[SL_KEY_BYTES];
};

struct agent_config {
	char *key_file;
	char site[SL_NAME_MAX];		      /* as the edges call it; "": no bus */
	struct sl_bus bus;		      /* no servers: none */
	uint8_t approval[APPROVAL_BYTES_MAX]; /* to announce itself with */
	unsigned approval_bytes;	      /* 0: it does not */
	char *approval_file;
	struct in6_addr sid[SL_INNER_FAMILIES]; /* ::, not reached in that family */
	char public_key[SL_KEY_TEXT];		/* that belongs to it */
	uint32_t interval_ms, valid_for_ms;
	double price_per_hour, pue;
	char (*label)[SL_NAME_MAX];
	unsigned labels;
	struct agent_edge *edge;
	unsigned edges;
	struct agent_service *service;
	unsigned services;
};

/* On success *out is filled (free with agent_config_clear); else -errno, *out untouched. */
int agent_config_load(const char *file, struct agent_config *out, struct config_error *error);
void agent_config_clear(struct agent_config *config);
