/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer.h"

#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct map_key {
	uint32_t bits;
	uint8_t address[16];
};

static int prefix_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct steer_prefix));
}

static void prefix_add(struct steer_prefix *prefix, unsigned *n, uint32_t map, uint32_t bits,
		       const void *address)
{
	prefix[*n] = (struct steer_prefix){.map = map, .bits = bits};
	memcpy(prefix[*n].address, address, map == STEER_IPV6 ? 16 : 4);
	(*n)++;
}

/* What should be steered, sorted and without repetition. */
static unsigned prefixes_wanted(const struct steer *steer, const struct routes *routes,
				struct steer_prefix *prefix)
{
	unsigned n = routes->updating ? steer->prefixes : 0, kept = 0;

	memcpy(prefix, steer->prefix, n * sizeof(*prefix));
	for (unsigned i = 0; i < routes->sids->sids; i++)
		prefix_add(prefix, &n, STEER_IPV6, routes->sid[i].bits, &routes->sid[i].prefix);
	for (unsigned i = 0; i < routes->sids->vnis; i++)
		prefix_add(prefix, &n, STEER_VXLAN, routes->sids->vni[i], routes->sids->address4);
	for (unsigned i = 0; i < SL_SERVICES_MAX; i++) {
		const struct service *service = routes->service[i];
		if (service && service->ipv4.s_addr)
			prefix_add(prefix, &n, STEER_IPV4, 32, &service->ipv4);
		if (service && !IN6_IS_ADDR_UNSPECIFIED(&service->ipv6))
			prefix_add(prefix, &n, STEER_IPV6, 128, &service->ipv6);
	}
	qsort(prefix, n, sizeof(*prefix), prefix_order);
	for (unsigned i = 0; i < n; i++)
		if (i == 0 || prefix_order(&prefix[i], &prefix[i - 1]))
			prefix[kept++] = prefix[i];
	return kept;
}

static void steer_set(const struct steer *steer, const struct steer_prefix *prefix, bool take)
{
	struct map_key key = {.bits = prefix->bits};
	uint8_t value = 1;

	memcpy(key.address, prefix->address, sizeof(key.address));
	for (unsigned i = 0; i < steer->ports->ports; i++) {
		const struct port *port = &steer->ports->port[i];
		int map = port->steer[prefix->map]; /* none: a card's, whose worker looks */
		int ret = take ? bpf_map_update_elem(map, &key, &value, BPF_ANY)
			       : bpf_map_delete_elem(map, &key);
		if (map >= 0 && ret < 0 && errno != ENOENT)
			warn("warning: %s: cannot steer an address to the fast path", port->name);
	}
}

/* Deletes what is in a map but is not wanted. */
static void prune_map(const struct steer *steer, int map, uint32_t which)
{
	struct map_key key, next = {0}, *at = NULL; /* IPv4: the kernel writes 4 bytes of address */

	while (bpf_map_get_next_key(map, at, &next) == 0) {
		struct steer_prefix prefix = {.map = which, .bits = next.bits};
		memcpy(prefix.address, next.address, sizeof(prefix.address));
		if (bsearch(&prefix, steer->prefix, steer->prefixes, sizeof(prefix),
			    prefix_order)) {
			key = next;
			at = &key;
		} else if (bpf_map_delete_elem(map, &next) < 0) {
			return;
		}
	}
}

static void prune(struct steer *steer)
{
	for (unsigned i = 0; i < steer->ports->ports; i++)
		for (unsigned map = 0; map < STEER_MAPS; map++)
			prune_map(steer, steer->ports->port[i].steer[map], map);
	steer->pruned = true;
}

void steer_sync(struct steer *steer, const struct routes *routes)
{
	static struct steer_prefix wanted[STEER_PREFIXES_MAX];
	unsigned n = prefixes_wanted(steer, routes, wanted), old = 0, new = 0;

	while (old < steer->prefixes || new < n) {
		int order = old == steer->prefixes ? 1
			    : new == n		   ? -1
				       : prefix_order(&steer->prefix[old], &wanted[new]);
		if (order < 0)
			steer_set(steer, &steer->prefix[old++], false);
		else if (order > 0)
			steer_set(steer, &wanted[new ++], true);
		else
			old++, new ++;
	}
	memcpy(steer->prefix, wanted, n * sizeof(*wanted));
	steer->prefixes = n;
	if (routes->synced && !steer->pruned)
		prune(steer);
}

void steer_init(struct steer *steer, const struct ports *ports)
{
	steer->ports = ports;
	steer->prefixes = 0;
	steer->pruned = false;
}
