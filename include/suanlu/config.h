/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration of a node, one YAML file for its dataplane and its control
 * (default /etc/suanlu/suanlu.yaml). Implemented by control/config.c, read by
 * suanlu-dataplane, suanlu-control and `suanlu check`.
 *
 * config_load either returns a configuration in which every field has been checked and
 * every default filled in, or says what is wrong: file, line, key, what was expected.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <suanlu/publish.h>
#include <suanlu/route.h>
#include <sys/socket.h>

#define SL_CONFIG_FILE "/etc/suanlu/suanlu.yaml"
#define SL_RUN_DIR "/run/suanlu"
#define SL_KEY_BYTES 32 /* Ed25519 public key */
#define SL_PORTS_MAX 16
#define SL_LABELS_MAX 16
#define SL_PROBE_KEY_MAX 128 /* bytes */

#define SL_DEVICE_MAX 128

struct config_port {
	char name[16]; /* of the kernel's interface, or of the tap that takes its place */
	char device[SL_DEVICE_MAX]; /* PCI address or virtual device of DPDK; "": AF_XDP */
};

struct config_dataplane {
	struct config_port *port;
	unsigned ports;
	uint32_t pins;	/* flows to remember, all workers together */
	unsigned *core; /* CPUs, one worker each; none: one worker on any CPU */
	unsigned cores;
	bool busy_poll;	 /* never sleep */
	bool huge_pages; /* false: do not even try */
	struct sl_sid *sid;
	unsigned sids;
	uint32_t *vni; /* of VXLAN that ends here, at address4 */
	unsigned vnis;
};

struct config_site {
	char name[SL_NAME_MAX];
	bool has_key; /* no key: its load stays unknown */
	uint8_t key[SL_KEY_BYTES];
	struct sl_via via[SL_INNER_FAMILIES];
	uint32_t vni;		   /* in a via of VXLAN too */
	double delay_s;		   /* one way, from this node: until it is measured */
	bool delay_fixed;	   /* also then */
	struct in6_addr reflector; /* STAMP, reached by the site's own way; :: none */
	uint32_t servers; /* parallel servers it may claim at most, and is taken to have until it
			     reports */
	uint32_t flows_per_s; /* of a service, that it may claim to finish at most, and is taken to
				 until it reports; 0: no bound */
	char (*label)[SL_NAME_MAX];
	unsigned labels;
	bool discovered; /* not of the file: it announced itself */
};

struct config_service {
	char name[SL_NAME_MAX];
	struct in_addr ipv4; /* as in struct sl_msg_service */
	struct in6_addr ipv6;
	uint16_t port;
	uint8_t protocol;
	enum sl_affinity affinity;
	uint32_t idle_s;
	double max_delay_s;	      /* one way path delay; infinite: no bound */
	char (*require)[SL_NAME_MAX]; /* labels a site must have */
	unsigned requires;
	unsigned *site; /* indices into config.site; empty only with operators */
	unsigned sites;
};

/* Another edge that steers to the same sites: we tell each other our demand. */
struct config_edge {
	char name[SL_NAME_MAX];
	uint8_t key[SL_KEY_BYTES];
	struct sockaddr_storage address; /* where its control listens for telemetry; ss_family 0:
					    only heard on the bus */
};

/* Whoever has approvals of this key may announce itself as a site (control/discover.h). */
struct config_operator {
	char name[SL_NAME_MAX];
	uint8_t key[SL_KEY_BYTES];
	double delay_s; /* one way to its sites, until it is measured */
};

/* An edge that is told the load of this site. */
struct config_receiver {
	struct sockaddr_storage address;
	uint8_t key[SL_KEY_BYTES];
};

/*
 * A node that packets to a site may pass on their way: SRv6 End (RFC 8986 section 4.1) in our
 * dataplane or a kernel. One with a key tells us its measured links; ways by one
 * without are all measured from here.
 */
struct config_transit {
	char name[SL_NAME_MAX];
	bool has_key;
	uint8_t key[SL_KEY_BYTES];
	struct in6_addr sid;
	struct in6_addr reflector; /* STAMP, as the kernel routes to it; :: none */
};

/*
 * Host routes of the service addresses in this host's kernel, for a routing daemon to
 * redistribute (control/announce.h). They are blackhole routes unless an interface is given.
 */
struct config_announce {
	bool on; /* there is an `announce:` section */
	uint32_t table;
	uint32_t metric;
	char interface[16]; /* empty: blackhole */
};

/* How paths are measured: STAMP, RFC 8762. This node answers the probes of others too. */
struct config_probes {
	bool on; /* there is a `probes:` section, or something to be probed */
	uint32_t interval_ms;
	uint32_t dead_ms; /* a path that is silent for so long takes no flow */
	uint32_t hold_ms; /* and none for so long after its first answer; at repeated deaths more */
	uint32_t hold_max_ms;
	bool synchronised; /* clocks are: one-way delays instead of half round trips */
	char *key_file;	   /* secret of the authenticated mode, base64; NULL: unauthenticated */
};

enum config_steering {
	CONFIG_STEERING_OPTIMAL, /* the solver */
	CONFIG_STEERING_NEAREST, /* least path delay among the usable, for contrast */
};

struct config {
	char node[SL_NAME_MAX];
	struct in6_addr address; /* outer source of what this node encapsulates; :: none */
	struct in_addr address4; /* the same for VXLAN, and where its VNIs end; 0.0.0.0: none */
	char *key_file;		 /* Ed25519 seed of this node; NULL: it can verify, not publish */
	char *run_dir;
	char *user; /* control drops to this user when started as root; NULL: stays */
	enum config_steering steering;
	struct config_dataplane dataplane;
	struct config_announce announce;
	struct config_probes probes;
	struct sockaddr_storage telemetry_listen; /* UDP; ss_family 0: none */
	struct sl_bus bus;			  /* no servers: none */
	struct sockaddr_storage metrics_listen;	  /* TCP, HTTP; ss_family 0: none */
	uint32_t interval_ms;			  /* solve and demand reports, default 20 */
	struct config_site *site;
	unsigned sites;
	struct config_service *service;
	unsigned services;
	struct config_edge *edge;
	unsigned edges;
	struct config_transit *transit;
	unsigned transits;
	struct config_operator *operator;
	unsigned operators;
	/* a site's gateway: its sites are its instances, and it answers for them (upward.h) */
	struct config_receiver *receiver;
	unsigned receivers;
	char site_name[SL_NAME_MAX]; /* on the bus; empty: not told there */
};

static inline bool config_is_site(const struct config *config)
{
	return config->receivers > 0 || config->site_name[0];
}

struct config_error {
	char text[512]; /* "FILE:LINE: services[0].port: expected 1..65535, found 70000" */
};

/*
 * Reads and checks `file`. On success *out owns everything (free with config_free) and 0
 * is returned; else -errno, error->text says why, and *out is untouched.
 */
int config_load(const char *file, struct config **out, struct config_error *error);

/*
 * The same for a node that runs with `running`. Also -EBUSY if something differs that cannot
 * change while it runs; error->text says what has to be restarted.
 */
int config_reload(const char *file, const struct config *running, struct config **out,
		  struct config_error *error);

/* All that is said of it is the same, its sites included. Indices may differ. */
bool config_same_service(const struct config *a, unsigned i, const struct config *b, unsigned k);
bool config_same_site(const struct config_site *a, const struct config_site *b);
bool config_same_edge(const struct config_edge *a, const struct config_edge *b);

/* What its file says: without discovered sites. NULL: no memory. */
struct config *config_copy(const struct config *from);

void config_free(struct config *config);

/* The secret in `file`: its bytes, at least 16, or -errno with `why` and the remedy. */
int config_probe_key(const char *file, uint8_t secret[SL_PROBE_KEY_MAX], char *why,
		     size_t why_bytes);
